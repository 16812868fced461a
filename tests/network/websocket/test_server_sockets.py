"""WebSocket servers on real sockets, where they listen and how they end."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import open_tcp_listeners
from snowtrio.http import HTTPLimits
from snowtrio.websocket import (
    WebSocketServer,
    serve_websocket,
    serve_websocket_listeners,
    serve_websocket_unix,
)

from ...websocket_serving import WebSocketPeer, echo, handshake
from ..tcp import reset, until
from .serving import connect, opened, serving_websocket_on


async def test_tcp(readiness: str) -> None:
    """W25: a free port, loopback by default; many messages, in batches and one by one."""
    async with serving_websocket_on() as server:
        (address,) = server.addresses
        assert address == ("127.0.0.1", server.port)
        peer = await opened(server)
        await peer.send(b"".join(peer.framed(str(number)) for number in range(500)))
        for number in range(500):
            assert await peer.hear() == str(number)
        assert await peer.echoed(b"x" * 1_000_000) == b"x" * 1_000_000
        assert await peer.close(4000, "bye") == (4000, "")
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await until(lambda: not server.statistics().http.server.pool.connections)


async def test_a_server_that_is_cancelled() -> None:
    """W26: cuts at once; a word to each goes before that, as the kernel takes it."""
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(serve_websocket, echo, 0)
        peer = await opened(server)
        nursery.cancel_scope.cancel()
    assert await peer.told() == (1001, "")
    assert await peer.rest() == b""
    await peer.stream.aclose()


async def test_a_port_in_use() -> None:
    """W25: raises at once; nothing is left open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}") as caught:
            await serve_websocket(echo, port)
        assert caught.value.errno == errno.EADDRINUSE


async def test_no_such_host() -> None:
    """W25: likewise."""
    with pytest.raises(OSError, match=r"host\.invalid"):
        await serve_websocket(echo, 0, host="host.invalid")


async def test_unix_socket(tmp_path: Path) -> None:
    """W25: a stale file is replaced, a live one is not; it is removed at the end."""
    path = tmp_path / "ws.socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    serving = partial(serving_websocket_on, where=path, serve=serve_websocket_unix)
    async with serving() as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(OSError, match="another server listens there"):
            await serve_websocket_unix(echo, path)
        assert server.addresses == [str(path)]
        with pytest.raises(LookupError):
            assert server.port
        peer = WebSocketPeer(await trio.open_unix_socket(path))
        await peer.open()
        (websocket,) = server.websockets
        assert websocket.peer_address == ""
        assert await peer.echoed("still") == "still"
        await peer.stream.aclose()
    assert not path.exists()


async def test_one_server_over_many_listeners() -> None:
    """W25: IPv4 twice; the server owns them."""
    listeners = [*await open_tcp_listeners(0), *await open_tcp_listeners(0)]
    serving = serving_websocket_on(where=listeners, serve=serve_websocket_listeners)
    async with serving as server:
        for address in server.addresses:
            assert isinstance(address, tuple)
            async with await trio.open_tcp_stream(*address[:2]) as stream:
                peer = WebSocketPeer(stream)
                await peer.open()
                assert await peer.echoed("x") == "x"


def over_tls(stream: trio.abc.Stream, context: ssl.SSLContext) -> trio.SSLStream[Any]:
    return trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)


async def test_tls(server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext) -> None:
    """W30: as without, one context for all; rules that are replaced hold for new connections."""
    async with serving_websocket_on(ssl_context=server_ssl_context) as server:
        assert server.ssl_context is server_ssl_context
        for _ in range(3):
            peer = await connect(server)
            peer.stream = over_tls(peer.stream, client_ssl_context)
            await peer.send(handshake() + peer.framed("early"))
            assert (await peer.reply()).status == 101
            peer.read_frames()
            assert await peer.hear() == "early"
            assert await peer.echoed(b"x" * 100_000) == b"x" * 100_000
            assert await peer.close() == (1000, "")
            assert await peer.rest() == b""
            await peer.stream.aclose()
        server.ssl_context = None
        plain = await opened(server)
        assert await plain.echoed("x") == "x"
        await plain.stream.aclose()


@pytest.mark.parametrize("kind", ["silent before TLS", "silent after TLS", "no TLS", "distrusts"])
async def test_tls_clients_that_come_no_further(
    kind: str, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W3, W30: each is closed in time, and the next one served."""
    limits = HTTPLimits(handshake_timeout=0.3, head_timeout=0.3, linger_timeout=0.1)
    serving = serving_websocket_on(ssl_context=server_ssl_context, http_limits=limits)
    async with serving as server:
        peer = await connect(server)
        async with peer.stream as stream:
            if kind == "no TLS":
                await peer.send(handshake())
            elif kind == "distrusts":
                with pytest.raises(trio.BrokenResourceError):
                    await over_tls(stream, ssl.create_default_context()).do_handshake()
            elif kind == "silent after TLS":
                peer.stream = over_tls(stream, client_ssl_context)
                await peer.stream.do_handshake()
            if kind != "distrusts":
                with contextlib.suppress(trio.BrokenResourceError):
                    await peer.rest()
        await until(lambda: not server.statistics().http.server.pool.connections)
        assert server.statistics().opened == 0
        good = await connect(server)
        good.stream = over_tls(good.stream, client_ssl_context)
        await good.open()
        await good.stream.aclose()


@pytest.mark.parametrize("when_full", [None, "wait"])
async def test_no_place(when_full: Any) -> None:
    """W23: 503, or a wait in the backlog."""
    limits = HTTPLimits(max_connections=2, linger_timeout=0.2)
    async with serving_websocket_on(http_limits=limits, when_full=when_full) as server:
        first, second = await opened(server), await opened(server)
        third = await connect(server)
        await third.send(handshake())
        if when_full is None:
            assert (await third.reply()).status == 503
        assert await first.echoed("x") == "x"
        await first.close()
        await first.stream.aclose()
        if when_full == "wait":
            assert (await third.reply()).status == 101
        for peer in second, third:
            await peer.stream.aclose()


async def test_clients_that_break_off(caplog: pytest.LogCaptureFixture) -> None:
    """W9: a reset ends its handler and nobody else; other servers ended here (DESIGN.md)."""
    ended: list[str] = []

    async def handler(websocket: Any) -> None:
        try:
            await trio.sleep_forever() if websocket.path == "/deaf" else await echo(websocket)
        finally:
            ended.append(websocket.path)

    async with serving_websocket_on(handler) as server:
        good = await opened(server)
        for target in ("/deaf", "/echo"):
            peer = await connect(server)
            await peer.open(target=target)
            await peer.send(peer.framed("some")[:3])
            assert isinstance(peer.stream, trio.SocketStream)
            reset(peer.stream)
        await until(lambda: len(ended) == 2)
        for _ in range(20):
            stream = (await connect(server)).stream
            assert isinstance(stream, trio.SocketStream)
            reset(stream)
        assert await good.echoed("still") == "still"
        await until(lambda: server.statistics().closed == {1006: 2})
        await good.stream.aclose()
    assert not [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]


async def test_a_drain_from_a_thread() -> None:
    """W26: by Trio's own way from threads; all are told, and hooks are done when it returns."""
    ended: list[bool] = []

    async def handler(websocket: Any) -> None:
        await echo(websocket)
        ended.append(True)

    async with serving_websocket_on(handler) as server:
        peers = [await opened(server) for _ in range(5)]

        def drain() -> int:
            trio.from_thread.run(server.drain)
            return len(ended)

        async def part(peer: WebSocketPeer) -> None:
            assert await peer.told() == (1001, "")
            await peer.answer_close()
            await peer.rest()
            await peer.stream.aclose()

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(part, peer)
            assert await trio.to_thread.run_sync(drain) == 5


async def test_an_object_that_serves_once() -> None:
    """W25: a server made by hand, and a second call."""
    server = WebSocketServer(echo)
    with pytest.raises(RuntimeError):
        await server.drain()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, await open_tcp_listeners(0))
        with pytest.raises(RuntimeError, match="once"):
            await server.serve([])
        peer = await opened(server)
        assert await peer.echoed("x") == "x"
        await peer.stream.aclose()
        await server.drain()
