"""curl talks to our HTTP server: what it sends is taken, and what we send it is understood."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio.http import HTTPLimits, Request, Response, file_response

from .examples import needs_program, run_program
from .http_peers import curl, curl_json, opened, report, serving_http, write_certificates

pytestmark = needs_program("curl")

DIGITS = b"0123456789" * 50_000
LARGE = bytes(range(256)) * 4096 * 3
"""Three MiB: more than what is taken without being asked for."""
ROOMY = HTTPLimits(max_body_size=8 * 2**20)


@pytest.fixture
def large_file(tmp_path: Path) -> str:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return str(path)


def said(verbose: bytes, direction: str, name: str) -> list[str]:
    """Return the values of a field that curl -v tells of, sent (``>``) or received (``<``)."""
    pattern = rf"^{direction} {name}: (.*?)\r?$"
    return re.findall(pattern, verbose.decode(), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_both_versions(version: str) -> None:
    """Row Z5: curl is answered in HTTP/1.1, and knows the end of the body in both."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/some/path?query=1"
        told = await curl_json(f"--http{version}", url)
        assert told["method"] == "GET"
        assert told["target"] == "/some/path?query=1"
        assert told["version"] == version


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_stream_in_both_versions(version: str) -> None:
    """Row Z5: chunked where that can be, up to the end of the connection where it cannot."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]

    async def stream(request: Request) -> Response:
        return Response(pieces())

    async with serving_http(stream) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert await curl(f"--http{version}", url) == LARGE


async def test_head() -> None:
    """Row Z5: the fields of the GET and no body, after which the connection goes on."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        head, body, *_ = (await curl("-I", url, "--next", "-sS", url)).split(b"\r\n\r\n")
        assert b"content-type: application/json" in head
        assert int(re.findall(rb"content-length: (\d+)", head)[0]) > 0
        assert json.loads(body)["method"] == "GET"
        assert opened(server) == 1


async def test_several_urls_on_one_connection() -> None:
    """Row Z5: keep-alive."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/[1-20]"
        lines = await curl("-w", "\\n", url)
        told = [json.loads(line)["target"] for line in lines.splitlines()]
        assert told == [f"/{number}" for number in range(1, 21)]
        assert opened(server) == 1


async def test_closing_and_keeping_in_http_1_0() -> None:
    """Row Z5: HTTP/1.0 closes by default, and keeps alive where curl asks for it."""
    async with serving_http() as server:
        urls = [f"http://127.0.0.1:{server.port}/{n}" for n in range(3)]
        await curl("--http1.0", "-H", "Connection: close", *urls)
        assert opened(server) == 3
        await curl("--http1.0", "-H", "Connection: keep-alive", *urls)
        assert opened(server) == 4


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_upload_waits_for_continue(large_file: str, chunked: bool) -> None:
    """Row Z4: ``100 Continue`` comes before the body, which is whole."""
    fields = ("-H", "Transfer-Encoding: chunked") if chunked else ()
    async with serving_http(limits=ROOMY) as server:
        url = f"http://127.0.0.1:{server.port}/"
        expect = ("-H", "Expect: 100-continue", "--expect100-timeout", "20")
        done = await run_program(
            *("curl", "-q", "-sSv", "--noproxy", "*", *expect, *fields),
            *("--data-binary", f"@{large_file}", url),
        )
        told = json.loads(done.stdout)
        assert (told["size"], told["sum"]) == (len(LARGE), sum(LARGE))
        assert b"< HTTP/1.1 100 Continue" in done.stderr
        assert said(done.stderr, "<", "transfer-encoding") == []
        assert bool(said(done.stderr, ">", "transfer-encoding")) is chunked


async def test_a_refused_upload_is_never_sent(large_file: str) -> None:
    """Row Z4: the answer comes instead of ``100 Continue``."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        expect = ("-H", "Expect: 100-continue", "--expect100-timeout", "20")
        told = await curl(
            *(*expect, "-o", "/dev/null", "-w", "%{http_code} %{size_upload}"),
            *("--data-binary", f"@{large_file}", url),
        )
        assert told == b"413 0"


async def test_a_refused_upload_that_is_sent_all_the_same(large_file: str) -> None:
    """Row Z5: curl sees the answer, not a reset."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        for _ in range(10):
            told = await curl(
                *("-H", "Expect:", "-o", "/dev/null", "-w", "%{http_code}"),
                *("--data-binary", f"@{large_file}", url),
            )
            assert told == b"413"


async def test_uploads_in_chunks(large_file: str) -> None:
    """Row Z4: from a pipe, whose length nobody knows, and from a file on demand."""
    async with serving_http(limits=ROOMY) as server:
        url = f"http://127.0.0.1:{server.port}/"
        piped = await curl_json("-T", "-", url, stdin=LARGE)
        assert piped["method"] == "PUT"
        forced = await curl_json("-H", "Transfer-Encoding: chunked", "-T", large_file, url)
        for told in piped, forced:
            assert (told["size"], told["sum"]) == (len(LARGE), sum(LARGE))
            assert ["transfer-encoding", "chunked"] in told["headers"]


async def test_slow_downloads_and_uploads(large_file: str) -> None:
    """Row Z5: backpressure both ways, byte for byte, on a client that takes and gives little."""
    size = 300_000

    async def answer(request: Request) -> Response:
        return Response(await request.body())

    async with serving_http(answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        got = await curl("--limit-rate", "300k", "--data-binary", "@-", url, stdin=LARGE[:size])
        assert got == LARGE[:size]


async def test_an_offer_of_http_2_is_not_taken() -> None:
    """Row Z4: what curl asks for with ``Upgrade: h2c`` is answered in HTTP/1.1, and goes on."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        lines = await curl("--http2", "-w", "\\n%{http_version}\\n", url, url)
        first, version, second, version_again = lines.splitlines()
        assert (version, version_again) == (b"1.1", b"1.1")
        assert ["upgrade", "h2c"] in json.loads(first)["headers"]
        assert json.loads(second)["method"] == "GET"
        assert opened(server) == 1


async def test_http_2_without_asking_is_refused() -> None:
    """Row Z4: its preface is no request of ours; curl is told at once."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        done = await run_program(
            "curl", "-q", "-sS", "--noproxy", "*", "--http2-prior-knowledge", url
        )
        assert done.returncode != 0


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(DIGITS)
    return path


async def test_ranges_of_a_file(text_file: Path, tmp_path: Path) -> None:
    """Row Z5: from the front, the middle, the end; several; none; a download resumed."""

    async def answer(request: Request) -> Response:
        return file_response(request, text_file)

    async with serving_http(answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert await curl("-r", "0-4", url) == b"01234"
        assert await curl("-r", "499998-", url) == b"89"
        assert await curl("-r", "-3", url) == b"789"
        parts = await curl("-r", "0-1,5-6", url)
        assert parts.count(b"content-range: bytes ") == 2
        assert await curl("-r", "500000-", "-o", "/dev/null", "-w", "%{http_code}", url) == b"416"
        half = tmp_path / "half"
        half.write_bytes(DIGITS[:123_456])
        await curl("-C", "-", "-o", str(half), url)
        assert half.read_bytes() == DIGITS


async def test_a_file_that_curl_has_already(text_file: Path, tmp_path: Path) -> None:
    """Row Z5: by its date, and by its tag, both as curl keeps them."""

    async def answer(request: Request) -> Response:
        return file_response(request, text_file)

    async with serving_http(answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        copy, tag = str(tmp_path / "copy"), str(tmp_path / "tag")
        status = ("-w", "%{http_code}")
        assert await curl(*status, "-R", "-o", copy, "--etag-save", tag, url) == b"200"
        assert await curl(*status, "-o", "/dev/null", "-z", copy, url) == b"304"
        assert await curl(*status, "-o", "/dev/null", "--etag-compare", tag, url) == b"304"
        (tmp_path / "another").write_bytes(b"another")
        (tmp_path / "another").rename(text_file)
        assert await curl(*status, "-o", "/dev/null", "--etag-compare", tag, url) == b"200"


async def test_tls(
    ca: trustme.CA,
    server_cert: trustme.LeafCert,
    server_ssl_context: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """Row Z14: a custom authority is trusted, keep-alive works, HTTP/2 is not agreed on."""
    files = write_certificates(ca, server_cert, tmp_path)
    server_ssl_context.set_alpn_protocols(["http/1.1"])
    async with serving_http(ssl_context=server_ssl_context) as server:
        url = f"https://localhost:{server.port}/"
        command = ("--cacert", files.authority, "--http2", "-w", "\\n%{http_version}\\n")
        first, version, second, _ = (await curl(*command, url, url)).splitlines()
        assert version == b"1.1"
        assert first == second
        assert opened(server) == 1
        untrusted = await run_program("curl", "-q", "-sS", "--noproxy", "*", url)
        assert untrusted.returncode == 60


async def test_as_the_proxy_itself() -> None:
    """Row Z4: a target in absolute form is what a proxy is asked."""
    async with serving_http() as server:
        proxy = ("--noproxy", "", "--proxy", f"http://127.0.0.1:{server.port}")
        told = await curl_json(*proxy, "http://elsewhere.example/some/path")
        assert told["target"] == "http://elsewhere.example/some/path"
        assert ["host", "elsewhere.example"] in told["headers"]


async def tunnel(stream: trio.SocketStream) -> None:
    """Be a proxy that knows CONNECT alone."""
    head = b""
    async with stream:
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        host, port = head.split()[1].decode().rsplit(":", 1)
        async with await trio.open_tcp_stream(host, int(port)) as behind, trio.open_nursery() as n:
            await stream.send_all(b"HTTP/1.1 200 Go ahead\r\n\r\n")
            n.start_soon(pass_on, stream, behind)
            await pass_on(behind, stream)
            n.cancel_scope.cancel()


async def pass_on(source: trio.SocketStream, to: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # Who has what he wanted leaves.
        async for data in source:
            await to.send_all(data)
        await to.send_eof()


async def test_through_a_proxy(
    ca: trustme.CA,
    server_cert: trustme.LeafCert,
    server_ssl_context: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """Row Z15: HTTPS in a tunnel."""
    files = write_certificates(ca, server_cert, tmp_path)
    async with serving_http(ssl_context=server_ssl_context) as server, trio.open_nursery() as n:
        listeners = await n.start(partial(trio.serve_tcp, tunnel, 0, host="127.0.0.1"))
        proxy = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        command = ("--noproxy", "", "--proxy", proxy, "--cacert", files.authority)
        told = await curl_json(*command, f"https://localhost:{server.port}/here")
        assert told["target"] == "/here"
        n.cancel_scope.cancel()


async def test_a_client_that_gives_up_in_the_middle() -> None:
    """Row Z5: the handler's generator is closed when curl leaves, and the next is served."""
    closed = trio.Event()

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
                await trio.sleep(0.001)
        finally:
            closed.set()

    async def answer(request: Request) -> Response:
        return Response(forever()) if request.path == "/forever" else await report(request)

    async with serving_http(answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        done = await run_program(
            "curl", "-q", "-sS", "--noproxy", "*", "--max-time", "0.5", f"{url}/forever"
        )
        assert done.returncode == 28
        with trio.fail_after(20):
            await closed.wait()
        assert (await curl_json(url))["method"] == "GET"
