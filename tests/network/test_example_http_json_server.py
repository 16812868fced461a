"""``examples/http_json_server.py``, run as its docstring says."""

from __future__ import annotations

import json
import re
import signal
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import trio
import trustme

from .examples import (
    RunningExample,
    SharedExample,
    needs_program,
    running_example,
    shared_example,
)
from .http_peers import CertificateFiles, curl, curl_json, write_certificates
from .peers import TIMEOUT, Peer, connected

STATS = {"service": "http_json_server", "message": "hello", "method": "GET", "path": "/stats"}


@pytest.fixture
def certificates(ca: trustme.CA, server_cert: trustme.LeafCert, tmp_path: Path) -> CertificateFiles:
    return write_certificates(ca, server_cert, tmp_path)


@pytest.fixture(scope="module")
def shared() -> Iterator[SharedExample]:
    """For those who ask one thing."""
    with shared_example("http_json_server") as example:
        yield example


def url(example: RunningExample | SharedExample, path: str, scheme: str = "http") -> str:
    return f"{scheme}://localhost:{example.port}{path}"


async def connect_tls(example: RunningExample, context: ssl.SSLContext) -> Peer:
    stream = await example.connect()
    return Peer(trio.SSLStream(stream, context, server_hostname="localhost"))


async def read_response(peer: Peer) -> tuple[str, dict[str, str], bytes]:
    """Return a response's status line, fields and body, whose length it has to say."""
    status, fields = await read_head(peer)
    return status, fields, await peer.exactly(int(fields["content-length"]))


async def read_head(peer: Peer) -> tuple[str, dict[str, str]]:
    status = (await peer.line()).removesuffix("\r")
    fields: dict[str, str] = {}
    while line := (await peer.line()).removesuffix("\r"):
        name, _, value = line.partition(": ")
        fields[name.lower()] = value
    return status, fields


async def read_chunk(peer: Peer) -> bytes:
    size = int((await peer.line()).removesuffix("\r"), 16)
    data = await peer.exactly(size)
    assert await peer.exactly(2) == b"\r\n"
    return data


# What it answers


async def test_the_five_fields_are_the_requests_facts() -> None:
    """Row Z6: over two connections, and counted on the server."""
    async with running_example("http_json_server") as example:
        async with connected(example) as first, connected(example) as second:
            for sequence, peer in enumerate((first, second, first), 1):
                await peer.send(b"GET /stats?who=me HTTP/1.1\r\nHost: me\r\n\r\n")
                status, fields, body = await read_response(peer)
                assert status == "HTTP/1.1 200 OK"
                assert fields["content-type"] == "application/json"
                assert json.loads(body) == {**STATS, "sequence": sequence}
        assert example.read_errors() == ""


async def test_requests_in_a_row_are_answered_in_order() -> None:
    """Rows Z4 and Z6: sent at once, a HEAD and an error among them."""
    requests = [("GET", "/stats"), ("HEAD", "/stats"), ("GET", "/nowhere"), ("GET", "/stats")]
    async with running_example("http_json_server") as example, connected(example) as peer:
        await peer.send(
            b"".join(
                f"{method} {path} HTTP/1.1\r\nHost: me\r\n\r\n".encode()
                for method, path in requests
            )
        )
        assert json.loads((await read_response(peer))[2])["sequence"] == 1
        status, fields = await read_head(peer)
        assert status == "HTTP/1.1 200 OK"
        left_out = {**STATS, "method": "HEAD", "sequence": 2}
        assert int(fields["content-length"]) == len(json.dumps(left_out, separators=(",", ":")))
        assert (await read_response(peer))[0] == "HTTP/1.1 404 Not Found"
        assert json.loads((await read_response(peer))[2])["sequence"] == 4


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/stats/"), ("POST", "/stats"), ("GET", "/echo"), ("DELETE", "/time")],
)
async def test_anything_else_is_404_in_json(shared: SharedExample, method: str, path: str) -> None:
    """Row Z6."""
    async with connected(shared) as peer:
        await peer.send(f"{method} {path} HTTP/1.1\r\nHost: me\r\n\r\n".encode())
        status, fields, body = await read_response(peer)
        assert status == "HTTP/1.1 404 Not Found"
        assert fields["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert problem["status"] == 404
        assert path in problem["detail"]
        await peer.send(b"GET /stats HTTP/1.1\r\nHost: me\r\n\r\n")
        assert (await read_response(peer))[0] == "HTTP/1.1 200 OK"


@needs_program("curl")
@pytest.mark.parametrize(
    "value", [{"hello": [1, 2]}, [], None, "", "ümläut \x00 \U0001f409", 1.5, -(2**53), True]
)
async def test_curl_gets_its_json_back(shared: SharedExample, value: object) -> None:
    """Row Z6."""
    sent = json.dumps(value).encode()
    assert await curl_json("--data-binary", "@-", url(shared, "/echo"), stdin=sent) == value


@needs_program("curl")
async def test_a_body_above_the_limit_is_413() -> None:
    """Row Z4."""
    async with running_example("http_json_server", "--max-body-size", "1000") as example:
        command = ("-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-")
        for size, status in ((1000, b"200"), (1001, b"413")):
            body = b'"%s"' % (b"x" * (size - 2))
            assert await curl(*command, url(example, "/echo"), stdin=body) == status


async def test_a_line_a_second() -> None:
    """Row Z5: each comes as it is made."""
    async with running_example("http_json_server") as example, connected(example) as peer:
        await peer.send(b"GET /time HTTP/1.1\r\nHost: me\r\n\r\n")
        _, fields = await read_head(peer)
        assert fields["transfer-encoding"] == "chunked"
        first, second = [
            datetime.fromisoformat((await read_chunk(peer)).decode().strip()) for _ in range(2)
        ]
        assert 0 < (second - first).total_seconds() < TIMEOUT


@needs_program("curl")
async def test_tls(certificates: CertificateFiles) -> None:
    """Row Z14: curl trusts the authority, and gets all of it as without TLS."""
    arguments = ("--tls-cert", certificates.chain, "--tls-key", certificates.key)
    async with running_example("http_json_server", *arguments) as example:
        trusting = ("--cacert", certificates.authority)
        told = await curl_json(*trusting, url(example, "/stats", "https"))
        assert told == {**STATS, "sequence": 1}
        assert await curl_json(*trusting, "-d", "[1]", url(example, "/echo", "https")) == [1]
        assert example.read_errors() == ""


@needs_program("curl")
async def test_a_unix_socket(tmp_path: Path) -> None:
    """Row S26: the socket's file is gone at the end."""
    path = tmp_path / "json.sock"
    async with running_example("http_json_server", "--unix", str(path)) as example:
        assert example.address == str(path)
        told = await curl_json("--unix-socket", str(path), "http://localhost/stats")
        assert told == {**STATS, "sequence": 1}
    assert not path.exists()


async def test_what_is_no_json_is_400() -> None:
    """Row Z13: the connection goes on."""
    async with running_example("http_json_server") as example, connected(example) as peer:
        for body in (b"", b"{", b'{"a": NaN}', b"\xff"):
            length = f"Content-Length: {len(body)}"
            await peer.send(f"POST /echo HTTP/1.1\r\nHost: me\r\n{length}\r\n\r\n".encode() + body)
            assert (await read_response(peer))[0] == "HTTP/1.1 400 Bad Request"
        assert example.read_errors() == ""


async def test_the_access_log_tells_of_each_request() -> None:
    """Row B7."""
    async with running_example("http_json_server", "--access-log") as example:
        async with connected(example) as peer:
            await peer.send(b"GET /stats HTTP/1.1\r\nHost: me\r\n\r\n")
            await read_response(peer)
        await example.stop()
        assert '"GET /stats HTTP/1.1" 200' in example.read_errors()


# Its end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_when_all_is_answered(
    number: signal.Signals, certificates: CertificateFiles, client_ssl_context: ssl.SSLContext
) -> None:
    """Rows Z3 and P11: a stream is brought to its end, an idle connection closed, over TLS."""
    arguments = ("--tls-cert", certificates.chain, "--tls-key", certificates.key)
    async with running_example("http_json_server", *arguments) as example:
        idle, streaming, sending = [
            Peer(
                trio.SSLStream(
                    await example.connect(), client_ssl_context, server_hostname="localhost"
                )
            )
            for _ in range(3)
        ]
        await idle.send(b"GET /stats HTTP/1.1\r\nHost: me\r\n\r\n")
        await read_response(idle)
        await streaming.send(b"GET /time HTTP/1.1\r\nHost: me\r\n\r\n")
        await read_head(streaming)
        await read_chunk(streaming)
        await sending.send(b"POST /echo HTTP/1.1\r\nHost: me\r\nContent-Length: 6\r\n\r\n[1,")
        await idle.send(b"GET /stats HTTP/1.1\r\nHost: me\r\n\r\n")
        await read_response(idle)
        example.process.send_signal(number)
        assert await idle.rest() == b""
        await sending.send(b"2]\n")
        status, fields, body = await read_response(sending)
        assert (status, body) == ("HTTP/1.1 200 OK", b"[1,2]")
        assert fields["connection"] == "close"
        assert await sending.rest() == b""
        assert re.fullmatch(rb"(?s:.*)0\r\n\r\n", await streaming.rest())
        for peer in idle, streaming, sending:
            await peer.stream.aclose()
        await example.wait_stopped()
        assert example.read_errors() == ""
