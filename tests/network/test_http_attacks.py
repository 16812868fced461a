"""What strangers try, over sockets."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import Cause, DrainTimeouts
from snowtrio.asgi import ASGIServer, serve_asgi
from snowtrio.http import Folder, HTTPLimits, HTTPServer, Request, Response, serve_http

from ..http_serving import GET, QUICK, Peer, request, serving_http_on
from ..serving import LIMIT, errors_in

MIB = 1024 * 1024
OLD = request(version="1.0")


@asynccontextmanager
async def connected(port: int, greeting: bytes) -> AsyncIterator[Peer]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        peer = Peer(stream)
        await peer.send(greeting)
        yield peer


async def part_then(fails: bool) -> AsyncIterator[bytes]:
    yield b"a part"
    if fails:
        raise OSError("the rest cannot be had")
    await trio.sleep_forever()


async def test_a_cut_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: a body for HTTP/1.0 ends with the connection, so a failure is a reset.

    Proxies ask in HTTP/1.0, and would keep half a document as a whole one.
    """

    async def handler(asked: Request) -> Response:
        return Response(part_then(fails=True))

    async with (
        serving_http_on(serve_http, handler, 0) as server,
        connected(server.port, OLD) as peer,
    ):
        with pytest.raises(trio.BrokenResourceError):
            await peer.rest()
    assert len(errors_in(caplog)) == 1


async def test_a_cut_for_asgi_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: neither where an application leaves its response incomplete."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a part", "more_body": True})

    async with trio.open_nursery() as nursery:
        server: ASGIServer = await nursery.start(
            lambda task_status: serve_asgi(app, 0, lifespan="off", task_status=task_status)
        )
        async with connected(server.port, OLD) as peer:
            with pytest.raises(trio.BrokenResourceError):
                await peer.rest()
        nursery.cancel_scope.cancel()
    assert "left a response incomplete" in caplog.text


@pytest.mark.parametrize("way", ["drain", "close_all", "cancel"])
async def test_a_server_that_ends_is_no_end(way: str) -> None:
    """Z5: the same where the server cuts what takes too long."""

    async def handler(asked: Request) -> Response:
        return Response(part_then(fails=False))

    async with trio.open_nursery() as nursery:
        server: HTTPServer = await nursery.start(
            lambda task_status: serve_http(handler, 0, limits=QUICK, task_status=task_status)
        )
        async with connected(server.port, OLD) as peer:
            while b"a part" not in peer.read:
                peer.read += await peer.stream.receive_some()
            if way == "drain":
                await server.drain(DrainTimeouts(goodbye=0.01, wait=0.01))
            elif way == "close_all":
                server.close_all()
            else:
                nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True), pytest.raises(trio.BrokenResourceError):
                await peer.rest()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_whole_body_ends_in_peace(version: str) -> None:
    """Z5: what is complete, or tells its end itself, is not overtaken by a reset."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"all of it"

    async def handler(asked: Request) -> Response:
        return Response(pieces())

    async with serving_http_on(serve_http, handler, 0) as server:
        asked = request("GET", "/", "Connection: close", version=version)
        async with connected(server.port, asked) as peer:
            assert (await peer.reply()).body == b"all of it"
            assert await peer.rest() == b""


async def test_nothing_behind_a_refused_tunnel_is_a_request() -> None:
    """Z4: a client that did not wait for the answer meant it for somebody else."""
    seen: list[str] = []

    async def handler(asked: Request) -> Response:
        seen.append(asked.target)
        return Response("no", 405)

    async with serving_http_on(serve_http, handler, 0) as server:
        tunnel = request("CONNECT", "inside:80")
        async with connected(server.port, tunnel + GET) as peer:
            reply = await peer.reply()
            assert (reply.status, reply.headers["connection"]) == (405, "close")
            assert await peer.rest() == b""
    assert seen == ["inside:80"]


async def test_no_more_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Z5: that no more files can be open is 503, and no line in the log for each request."""
    (tmp_path / "file").write_text("content")
    folder = Folder(tmp_path)

    async def handler(asked: Request) -> Response:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.close(next_free := os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_free + asked.sequence - 1, hard))
        try:
            return folder(asked)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    async with (
        serving_http_on(serve_http, handler, 0) as server,
        connected(server.port, b"") as peer,
    ):
        for _ in range(2):  # Neither the folder, nor the file in it.
            reply = await peer.ask(request("GET", "/file"))
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert (await peer.ask(request("GET", "/file"))).body == b"content"
    assert not errors_in(caplog)


@pytest.mark.parametrize("way", ["pieces", "file"])
async def test_a_byte_now_and_then_holds_no_place(way: str, tmp_path: Path) -> None:
    """Z4: who takes a response slower than anybody would is cut, though it never stalls."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1024 * MIB)
    folder = Folder(tmp_path)

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield bytes(64 * 1024)

    async def handler(asked: Request) -> Response:
        return Response(pieces()) if way == "pieces" else folder(asked)

    limits = HTTPLimits(stall_timeout=0.4, min_send_rate=64 * MIB)

    async with (
        serving_http_on(serve_http, handler, 0, limits=limits) as server,
        connected(server.port, request("GET", "/file")) as peer,
    ):
        with trio.fail_after(LIMIT), contextlib.suppress(trio.BrokenResourceError):
            while await peer.stream.receive_some(256 * 1024):
                await trio.sleep(0.01)
        assert server.statistics().server.pool.ended == {Cause.DROPPED: 1}


@pytest.mark.parametrize("earlier", [b"", GET])
async def test_a_server_that_was_held_up_blames_nobody(earlier: bytes) -> None:
    """Z4: what a client has sent in time is answered, though a handler has kept us from it."""
    limits = HTTPLimits(head_timeout=0.5, keep_alive_timeout=0.5, linger_timeout=0.2)
    waiting: list[Peer] = []

    def handler(asked: Request) -> Response:
        if asked.target == "/hold-up":
            for peer in waiting:
                assert isinstance(peer.stream, trio.SocketStream)
                os.write(peer.stream.socket.fileno(), GET)
            time.sleep(0.8)
        return Response("in time")

    async with (
        serving_http_on(serve_http, handler, 0, limits=limits) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(10):
            waiting.append(await stack.enter_async_context(connected(server.port, earlier)))
            if earlier:
                await waiting[-1].reply()
        async with connected(server.port, request("GET", "/hold-up")) as peer:
            assert (await peer.reply()).body == b"in time"
        for peer in waiting:
            assert (await peer.reply()).body == b"in time"
