"""Files over real sockets, for programs that are not ours too."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio.http import HTTPServer, Request, Response, _opened, file_response, serve_http

from ..serving import LIMIT, read_all

CONTENT = os.urandom(5_000_000)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file that no socket takes at once."""
    path = tmp_path / "big.bin"
    path.write_bytes(CONTENT)
    os.utime(path, (784111777, 784111777))
    return path


@asynccontextmanager
async def serving_file(
    path: Path, *, shrink_to: int | None = None, **options: Any
) -> AsyncGenerator[HTTPServer, None]:
    """Serve one file under every path but ``/text``.

    Parameters:
        path: of it.
        shrink_to: its size once a response has been made.
        options: of the server.
    """

    async def handler(request: Request) -> Response:
        if request.path == "/text":
            return Response("text")
        response = file_response(request, path)
        if shrink_to is not None:
            os.truncate(path, shrink_to)
        return response

    async with trio.open_nursery() as nursery:
        server: HTTPServer = await nursery.start(partial(serve_http, handler, 0, **options))
        yield server
        with trio.fail_after(LIMIT):
            await server.drain()


@asynccontextmanager
async def connected(server: HTTPServer) -> AsyncGenerator[trio.SocketStream, None]:
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        yield stream


def ask(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: a", *lines, "", ""]).encode()


async def curl(server: HTTPServer, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("there is no curl")
    command = [program, "-sS", *arguments, f"http://127.0.0.1:{server.port}/"]
    with trio.fail_after(LIMIT):
        return await trio.run_process(command, capture_stdout=True, capture_stderr=True)


async def test_a_file_among_pipelined_requests(big: Path) -> None:
    """Z4, Z5: everything in its order, on one connection."""
    parts = "range: bytes=0-1999999,3000000-3000000"
    requests = [
        ask("/text"),
        ask("/"),
        ask("/text"),
        ask("/", parts),
        ask("/text", "connection: close"),
    ]
    async with serving_file(big) as server, connected(server) as stream:
        await stream.send_all(b"".join(requests))
        came = await read_all(stream)
    first, came = came.split(CONTENT)
    assert first.startswith(b"HTTP/1.1 200")
    assert b"\r\n\r\ntextHTTP/1.1 200" in first
    between, behind = came.split(CONTENT[:2_000_000])
    assert b"\r\n\r\ntextHTTP/1.1 206" in between
    assert CONTENT[3_000_000:3_000_001] + b"\r\n--" in behind
    assert behind.endswith(b"\r\n\r\ntext")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux is asked for it")
async def test_a_large_file_is_sent_by_the_kernel(
    big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Z5: and read where it cannot be told whether a disk would have to be waited for."""
    sent = 0
    sendfile = os.sendfile

    def count(out: int, source: int, offset: int, size: int) -> int:
        nonlocal sent
        taken = sendfile(out, source, offset, size)
        sent += taken
        return taken

    monkeypatch.setattr(os, "sendfile", count)
    async with serving_file(big) as server, connected(server) as stream:
        await stream.send_all(ask("/", "connection: close"))
        assert (await read_all(stream)).endswith(CONTENT)
        assert sent in (0, len(CONTENT))
        if memory_is_told(big):
            assert sent == len(CONTENT)
        monkeypatch.setattr(_opened, "_NOWAIT", None)
        sent = 0
        async with connected(server) as another:
            await another.send_all(ask("/", "connection: close"))
            assert (await read_all(another)).endswith(CONTENT)
        assert sent == 0


def memory_is_told(path: Path) -> bool:
    """Say whether the file system can read without waiting; tmpfs, for one, does not say so."""
    with path.open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError:
            return False
    return True


async def test_a_file_through_tls(
    big: Path, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Z5: where the kernel cannot send it, it is read and sent."""
    async with serving_file(big, ssl_context=server_ssl_context) as server:
        stream = await trio.open_ssl_over_tcp_stream(
            "localhost", server.port, ssl_context=client_ssl_context, https_compatible=True
        )
        async with stream:
            await stream.send_all(ask("/", "connection: close"))
            came = await read_all(stream)
    assert came.endswith(b"\r\n\r\n" + CONTENT)


async def test_a_client_that_leaves_in_the_middle(big: Path) -> None:
    """Z5: the file is closed; every test here looks for what is left open."""
    async with serving_file(big) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(ask("/"))
        await stream.receive_some(1000)
        await stream.aclose()


async def test_a_file_that_shrinks_ends_in_a_cut(
    big: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Z5: what is missing is not made up, and the connection is not used again."""
    async with serving_file(big, shrink_to=3_000_000) as server, connected(server) as stream:
        await stream.send_all(ask("/") + ask("/text"))
        came = await read_all(stream)
    body = came.partition(b"\r\n\r\n")[2]
    assert CONTENT.startswith(body)
    assert len(body) <= 3_000_000
    assert "become shorter" in caplog.text


async def test_a_drain_lets_a_file_be_sent_to_its_end(big: Path) -> None:
    """S14, Z5."""
    async with (
        serving_file(big) as server,
        await trio.open_tcp_stream("127.0.0.1", server.port) as stream,
        trio.open_nursery() as nursery,
    ):
        await stream.send_all(ask("/"))
        came = await stream.receive_some(1000)
        nursery.start_soon(server.drain)
        came += await read_all(stream)
    assert came.endswith(b"\r\n\r\n" + CONTENT)


async def test_curl_gets_the_whole_a_part_and_what_is_left(big: Path, tmp_path: Path) -> None:
    """Z5."""
    got = tmp_path / "got"
    async with serving_file(big) as server:
        assert (await curl(server)).stdout == CONTENT
        assert (await curl(server, "-r", "4000000-4999998")).stdout == CONTENT[4_000_000:-1]
        assert (await curl(server, "-r", "-7")).stdout == CONTENT[-7:]
        got.write_bytes(CONTENT[:1_234_567])
        await curl(server, "-C", "-", "-o", str(got))
        assert got.read_bytes() == CONTENT
        head = (await curl(server, "-I")).stdout
    assert b"content-length: 5000000\r\n" in head
    assert b"accept-ranges: bytes\r\n" in head


async def test_curl_does_not_get_again_what_it_has(big: Path, tmp_path: Path) -> None:
    """Z5."""
    tag, status = tmp_path / "tag", ("-o", os.devnull, "-w", "%{http_code} %{size_download}")
    async with serving_file(big) as server:
        first = await curl(server, "--etag-save", str(tag), *status)
        again = await curl(server, "--etag-compare", str(tag), *status)
        dated = await curl(server, "-z", "Sun, 06 Nov 1994 08:49:37 GMT", *status)
    assert [each.stdout for each in (first, again, dated)] == [b"200 5000000", b"304 0", b"304 0"]
