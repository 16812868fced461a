"""HTTP servers on real sockets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest
import trio

from snowtrio import open_tcp_listeners
from snowtrio.http import (
    HTTPLimits,
    HTTPServer,
    Request,
    Response,
    serve_http,
    serve_http_listeners,
    serve_http_unix,
)

from ..http_serving import GET, QUICK, Peer, chunked, request, serving_http_on
from ..serving import LIMIT
from .tcp import living_tasks, reset, until


async def connect(server: HTTPServer) -> Peer:
    return Peer(await trio.open_tcp_stream("127.0.0.1", server.port))


async def echo(asked: Request) -> Response:
    return Response(await asked.body() or str(asked.peer_address and asked.peer_address[0]))


async def test_tcp(readiness: str) -> None:
    """Z4: requests split and pipelined, on a connection that goes on."""
    async with serving_http_on(serve_http, echo, 0) as server:
        peer = await connect(server)
        async with peer.stream:
            await peer.send(GET[:10])
            await trio.sleep(0.01)
            assert (await peer.ask(GET[10:])).body == b"127.0.0.1"
            await peer.send(GET * 500)
            for _ in range(500):
                assert (await peer.reply()).status == 200
            head = request("POST", "/", "Transfer-Encoding: chunked")
            assert (await peer.ask(head + chunked(b"x" * 100_000))).body == b"x" * 100_000
        await until(lambda: not server.statistics().server.pool.connections)


async def test_unix(tmp_path: Path) -> None:
    """Z4: peers have no address there."""
    path = tmp_path / "http.socket"
    async with serving_http_on(serve_http_unix, echo, path, mode=0o666) as server:
        assert path.stat().st_mode & 0o777 == 0o666
        async with await trio.open_unix_socket(str(path)) as stream:
            assert (await Peer(stream).ask(GET)).status == 200
        with pytest.raises(LookupError):
            assert server.port
    assert not path.exists()


async def test_listeners() -> None:
    """Z4: one server over many."""
    listeners = [*await open_tcp_listeners(0), *await open_tcp_listeners(0)]
    async with serving_http_on(serve_http_listeners, echo, listeners) as server:
        for address in server.addresses:
            assert isinstance(address, tuple)
            async with await trio.open_tcp_stream(*address[:2]) as stream:
                assert (await Peer(stream).ask(GET)).body == b"127.0.0.1"


async def test_tls(server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext) -> None:
    """Z4: HTTPS, and rules that are replaced while the server runs."""
    serve = partial(serve_http, ssl_context=server_ssl_context)
    async with serving_http_on(serve, echo, 0) as server:
        assert server.ssl_context is server_ssl_context
        for _ in range(2):
            stream = await trio.open_ssl_over_tcp_stream(
                "localhost", server.port, ssl_context=client_ssl_context
            )
            async with stream:
                peer = Peer(stream)
                for _ in range(3):
                    assert (await peer.ask(request("POST", "/", body=b"abc"))).body == b"abc"
                await peer.ask(request("GET", "/", "Connection: close"))
                assert await peer.rest() == b""  # With a closing alert, or this would raise.
            server.ssl_context = server_ssl_context


async def test_port_in_use() -> None:
    """Z4: the verb raises, and leaves nothing open."""
    async with serving_http_on(serve_http, echo, 0) as server:
        with pytest.raises(OSError, match=str(server.port)):
            await serve_http(echo, server.port)


async def test_refused_upload_sees_its_response() -> None:
    """Z5: a client that goes on sending for a while is not reset before it reads."""

    async def upload(peer: Peer) -> None:
        try:
            for _ in range(50):
                await peer.send(b"x" * 10_000)
                await trio.sleep(0.001)
        except trio.BrokenResourceError:
            pass

    limits = HTTPLimits(max_body_size=1000, linger_timeout=5)
    async with serving_http_on(serve_http, echo, 0, limits=limits) as server:
        peer = await connect(server)
        async with peer.stream, trio.open_nursery() as nursery:
            await peer.send(request("POST", "/", "Content-Length: 10000000"))
            nursery.start_soon(upload, peer)
            await trio.sleep(0.1)
            assert (await peer.reply()).status == 413
            assert await peer.rest() == b""


async def test_full_server() -> None:
    """Z4: 503 on a real socket, though the request comes after it."""
    limits = HTTPLimits(max_connections=1, linger_timeout=1)
    async with serving_http_on(serve_http, echo, 0, limits=limits) as server:
        first = await connect(server)
        async with first.stream:
            assert (await first.ask(GET)).status == 200
            second = await connect(server)
            async with second.stream:
                assert (await second.ask(GET)).status == 503
                assert await second.rest() == b""


async def test_client_that_is_gone_ends_its_handler(
    caplog: pytest.LogCaptureFixture, readiness: str
) -> None:
    """Z5: while it waits, reads or streams; that is nobody's mistake."""
    ended: list[str] = []

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 10_000
                await trio.lowlevel.checkpoint()
        finally:
            ended.append("stream")

    async def handler(asked: Request) -> Response:
        if asked.path == "/stream":
            return Response(endless())
        if asked.path == "/part":
            writer = await asked.start_response()
            try:
                await trio.sleep_forever()
            finally:
                ended.append("/part")
                await writer.send("so long")  # Nobody is there any more.
        try:
            if asked.path == "/wait":
                await trio.sleep_forever()
            return Response(await asked.body())
        finally:
            ended.append(asked.path)

    tasks = living_tasks()
    async with serving_http_on(serve_http, handler, 0) as server:
        for data in (
            request("GET", "/stream"),
            request("GET", "/wait"),
            request("GET", "/part"),
            request("POST", "/read", "Content-Length: 10") + b"abc",
        ):
            peer = await connect(server)
            await peer.send(data)
            await until(lambda: server.statistics().under_way == 1)
            assert isinstance(peer.stream, trio.SocketStream)
            reset(peer.stream)
            await until(lambda: server.statistics().under_way == 0)
    assert ended == ["stream", "/wait", "/part", "/read"]
    await until(lambda: living_tasks() == tasks)
    assert not caplog.records


async def test_slow_clients_do_not_hold_up_others(readiness: str) -> None:
    """Z4: in every phase, those that read nothing among them."""

    async def handler(asked: Request) -> Response:
        if asked.path == "/large":
            return Response(b"x" * 10_000_000)
        return Response(await asked.body())

    limits = HTTPLimits(
        head_timeout=0.3, body_timeout=0.3, keep_alive_timeout=0.3, stall_timeout=0.3,
        linger_timeout=0.1,
    )  # fmt: skip
    greetings = (b"", GET[:9], GET, request("POST", "/", "Content-Length: 9"), GET + b"P")
    async with serving_http_on(serve_http, handler, 0, limits=limits) as server:
        peers = [await connect(server) for _ in range(12)]
        for peer, greeting in zip(peers, (*greetings, *greetings), strict=False):
            await peer.send(greeting)
        for peer in peers[10:]:
            await peer.send(request("GET", "/large"))
        quick = await connect(server)
        with trio.fail_after(LIMIT):
            while server.statistics().server.pool.connections > 1:
                assert (await quick.ask(GET)).status == 200
                await trio.sleep(0.01)
        assert server.statistics().refused == {408: 6}
        for peer in (*peers, quick):
            await peer.stream.aclose()


async def test_drain_finishes_what_is_under_way() -> None:
    """B3: a download and an upload that began before."""
    begun = trio.Event()

    async def handler(asked: Request) -> Response:
        begun.set()
        await trio.sleep(0.05)
        return Response(await asked.body())

    async with trio.open_nursery() as nursery:
        server: HTTPServer = await nursery.start(partial(serve_http, handler, 0, limits=QUICK))
        peer, idle = await connect(server), await connect(server)
        await peer.send(request("POST", "/", "Content-Length: 4") + b"ab")
        await begun.wait()
        nursery.start_soon(server.drain)
        assert await idle.rest() == b""
        await idle.stream.aclose()
        await peer.send(b"cd")
        reply = await peer.reply()
        assert (reply.body, reply.headers["connection"]) == (b"abcd", "close")
        await peer.stream.aclose()
