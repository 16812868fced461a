"""``examples/http_fetch.py``, run against servers that answer well, and some that do not."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio.http import HTTPServer, Request, Response

from .examples import EXAMPLES, run_program
from .http_peers import serving_http, write_certificates
from .peers import TIMEOUT
from .test_http_programs_clients import LINES, lines

MISSING = '{"status":"näh"}'.encode()


async def answer(request: Request) -> Response:
    """Answer as the path says."""
    match request.path:
        case "/lines":
            return Response(lines())
        case "/echo":
            told = {"method": request.method, "came": await request.json(any_content_type=True)}
            return Response.json(told)
        case "/once":
            return Response(status=302, headers={"Location": "/lines"})
        case "/round":
            return Response(status=302, headers={"Location": "/round"})
        case "/late":
            await trio.sleep_forever()
        case "/coded":
            return Response(b"no gzip", headers={"Content-Encoding": "gzip"})
    return Response(MISSING, 404, {"X-Kind": "problem"})


async def fetch(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the example; what it says of a problem is one line."""
    example = str(EXAMPLES / "http_fetch.py")
    done = await run_program(sys.executable, "-W", "error", example, *arguments)
    assert len(done.stderr.splitlines()) == (1 if done.returncode else 0), done.stderr.decode()
    return done


def url(server: HTTPServer, path: str, scheme: str = "http") -> str:
    return f"{scheme}://localhost:{server.port}{path}"


async def test_the_body_is_printed_as_it_is() -> None:
    """Row Z7: a stream, a redirect to it, and a 404, which is a result."""
    async with serving_http(answer) as server:
        for path in ("/lines", "/once"):
            assert (await fetch(url(server, path))).stdout == LINES.encode()
        missing = await fetch(url(server, "/missing"))
        assert (missing.returncode, missing.stdout) == (0, MISSING)


@pytest.mark.on_one_python
async def test_head_prints_the_headers() -> None:
    """Row Z15: and nothing else."""
    async with serving_http(answer) as server:
        done = await fetch("--head", url(server, "/missing"))
        first, *fields = done.stdout.decode().splitlines()
        assert first == "HTTP/1.1 404"
        assert "x-kind: problem" in fields
        assert f"content-length: {len(MISSING)}" in fields


@pytest.mark.on_one_python
async def test_json_is_posted_and_printed_for_people() -> None:
    """Row Z7: a body makes a POST."""
    async with serving_http(answer) as server:
        done = await fetch("--json", "--data", '["ü", null]', url(server, "/echo"))
        assert done.stdout.decode() == (
            '{\n  "method": "POST",\n  "came": [\n    "ü",\n    null\n  ]\n}\n'
        )


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--fail", "/missing"), 22),
        (("--timeout", "0.5", "/late"), 28),
        (("/round",), 47),
        (("/coded",), 61),
        (("--json", "/lines"), 65),
    ],
)
async def test_what_goes_wrong_has_the_status_that_curl_has_for_it(
    arguments: tuple[str, ...], status: int
) -> None:
    """Rows Z9 to Z11."""
    *options, path = arguments
    async with serving_http(answer) as server:
        done = await fetch(*options, url(server, path))
        assert done.returncode == status, done.stderr


@asynccontextmanager
async def saying(data: bytes) -> AsyncGenerator[str, None]:
    """Give the URL of a server that says one thing to everybody, and leaves."""

    async def say(stream: trio.SocketStream) -> None:
        async with stream:
            assert await stream.receive_some()
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, say, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
        nursery.cancel_scope.cancel()


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 56),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 56),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 8),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 8),
    ],
)
async def test_servers_that_break_off_or_the_rules(data: bytes, status: int) -> None:
    """Rows Z7 and Z8."""
    async with saying(data) as where:
        assert (await fetch(where)).returncode == status


@pytest.mark.on_one_python
async def test_nothing_listens() -> None:
    """Row Z11."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = await fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert done.returncode == 7
    assert b"refused" in done.stderr


@pytest.mark.on_one_python
async def test_no_url() -> None:
    """Row Z7."""
    for text in ("ftp://example.org/", "http://", "nonsense"):
        assert (await fetch(text)).returncode == 3


@pytest.mark.on_one_python
async def test_tls(
    ca: trustme.CA,
    server_cert: trustme.LeafCert,
    server_ssl_context: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """Row Z14: an authority of one's own is trusted, a strange one is not."""
    files = write_certificates(ca, server_cert, tmp_path)
    async with serving_http(answer, ssl_context=server_ssl_context) as server:
        where = url(server, "/lines", "https")
        assert (await fetch("--cacert", files.authority, where)).stdout == LINES.encode()
        assert (await fetch(where)).returncode == 35


async def test_a_line_is_printed_when_it_has_come() -> None:
    """Row Z12: the body is not waited for to its end."""
    seen = trio.Event()

    async def two() -> AsyncIterator[str]:
        yield "first\n"
        await seen.wait()
        yield "second\n"

    async def stream(request: Request) -> Response:
        return Response(two())

    async with serving_http(stream) as server:
        process = await trio.lowlevel.open_process(
            [sys.executable, str(EXAMPLES / "http_fetch.py"), url(server, "/")],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with process.stdout as output:
                with trio.fail_after(TIMEOUT):
                    assert await output.receive_some() == b"first\n"
                    seen.set()
                    assert await output.receive_some() == b"second\n"
                    assert await process.wait() == 0
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
