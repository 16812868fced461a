"""Behind a proxy, with every server that there is; the proxy is our own endpoint."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import (
    Client,
    ClientLimits,
    ConnectError,
    DrainTimeouts,
    LineCodec,
    Listener,
    LocalProtocolError,
    ProxyHeader,
    ProxyingEndpoint,
    ProxyTLS,
    SocketOptions,
    StreamEndpoint,
    TCPEndpoint,
    UnixEndpoint,
    behind_proxy,
    encode_proxy_header,
    open_connection,
    open_tcp_listeners,
    open_unix_listener,
    read_socket_options,
    serve_listeners,
    set_socket_options,
)
from snowtrio.asgi import serve_asgi_listeners
from snowtrio.http import HTTPLimits, Request, Response, serve_http_listeners
from snowtrio.websocket import WebSocket, serve_websocket_listeners

from ..serving import LIMIT, ask, lines_of
from .tcp import connect, serving_tcp, until

CLIENT, FRONT = ("192.0.2.1", 40000), ("198.51.100.2", 443)
HEADER = ProxyHeader(source=CLIENT, destination=FRONT)
OVER_TLS = ProxyHeader(source=CLIENT, destination=FRONT, tls=ProxyTLS(version="TLSv1.3"))
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def listeners_here() -> list[Listener]:
    return behind_proxy(await open_tcp_listeners(0), trusted=["127.0.0.0/8"])


@asynccontextmanager
async def running(serve: Any, handler: Any, **options: Any) -> AsyncGenerator[Any, None]:
    """Run a verb behind a proxy for the time of a block, then drain."""
    async with trio.open_nursery() as nursery:
        listeners = await listeners_here()
        server = await nursery.start(partial(serve, handler, listeners, **options))
        yield server
        with trio.fail_after(LIMIT):
            await server.drain(DrainTimeouts(goodbye=0.5, wait=1))


async def answer_of(port: int, data: bytes) -> bytes:
    """Return all that comes back for some bytes."""
    with trio.fail_after(LIMIT):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(data)
            return b"".join([piece async for piece in stream])


# Framed messages


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_tls_behind_the_header(
    in_pieces: bool, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W33: what comes in the header's segment is TLS already; or byte by byte."""

    class Piecewise(trio.abc.Stream):
        """Sends each byte alone, or the header in the segment of what comes behind it."""

        def __init__(self, below: trio.SocketStream) -> None:
            self.below = below
            below.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.waiting = encode_proxy_header(HEADER)

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            data, self.waiting = self.waiting + bytes(data), b""
            for start in range(0, len(data), 1 if in_pieces else len(data)):
                await self.below.send_all(data[start : start + (1 if in_pieces else len(data))])

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            return bytes(await self.below.receive_some(max_bytes))

        async def wait_send_all_might_not_block(self) -> None:
            await trio.lowlevel.checkpoint()

        async def aclose(self) -> None:
            await self.below.aclose()

    async with serving_tcp(
        serve=serve_listeners, where=await listeners_here(), ssl_context=server_ssl_context
    ) as server:
        below = Piecewise(await connect(server))
        stream = trio.SSLStream(below, client_ssl_context, server_hostname="localhost")
        async with stream:
            assert await ask(stream, b"hello") == b"hello"
            (connection,) = server.connections
            assert connection.peer_address == CLIENT
            assert connection.local_address == FRONT
            assert connection.proxy is not None
            assert connection.proxy.header == HEADER


@pytest.mark.parametrize("headerless", ["refuse", "direct"])
async def test_a_tls_client_without_a_header(
    headerless: Any, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W33: refused; or served where that was chosen, with all of its first flight."""
    listeners = behind_proxy(
        await open_tcp_listeners(0), trusted=["127.0.0.1"], headerless=headerless
    )
    async with serving_tcp(
        serve=serve_listeners, where=listeners, ssl_context=server_ssl_context
    ) as server:
        stream = trio.SSLStream(
            await connect(server), client_ssl_context, server_hostname="localhost"
        )
        if headerless == "direct":
            async with stream:
                assert await ask(stream, b"hello") == b"hello"
            return
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()
        await trio.aclose_forcefully(stream)
        await until(lambda: server.statistics().pool.handshakes_failed)


async def test_a_backlog_of_them_while_it_drains() -> None:
    """W33, S23: those that had connected are accepted, and their headers read."""
    async with serving_tcp(serve=serve_listeners, where=await listeners_here()) as server:
        # Without a step of the server's, which would accept them.
        peers = [socket.create_connection(("127.0.0.1", server.port), LIMIT) for _ in range(5)]
        for number, peer in enumerate(peers):
            peer.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n%d\n" % number)
        report = await server.drain()
        assert [each.peer_address for each in report.connections] == [("192.0.2.1", 1)] * 5
        for number, peer in enumerate(peers):
            with peer, peer.makefile("rb") as file:
                assert file.read() == b"%d\n" % number


async def test_the_options_of_listeners() -> None:
    """W33, P3: they are those of the listeners below."""
    (listener,) = await listeners_here()
    set_socket_options(listener, SocketOptions(keep_alive=True))
    assert read_socket_options(listener).keep_alive
    await listener.aclose()


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    """W33: and with the addresses of Unix sockets in the header."""
    path = tmp_path / "socket"
    listeners = behind_proxy([await open_unix_listener(path)], trusted=["unix"])
    header = ProxyHeader(source="/client", destination="/front")
    async with (
        serving_tcp(serve=serve_listeners, where=listeners) as server,
        open_connection(LineCodec(), ProxyingEndpoint(UnixEndpoint(path), header)) as connection,
    ):
        await connection.send(b"hello")
        assert await connection.receive() == b"hello"
        assert server.addresses == [str(path)]
        (served,) = server.connections
        assert (served.peer_address, served.local_address) == ("/client", "/front")


# The client's side


async def test_a_pool_that_speaks_for_a_client(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W33: each connection begins with the header, then TLS for the right name."""
    async with serving_tcp(
        serve=serve_listeners, where=await listeners_here(), ssl_context=server_ssl_context
    ) as server:
        service = TCPEndpoint("localhost", server.port, ssl_context=client_ssl_context)
        endpoint = ProxyingEndpoint(service, HEADER)
        assert str(endpoint) == f"localhost:{server.port}"
        limits = ClientLimits(max_connections=2)
        async with Client(LineCodec(), endpoint, limits=limits) as client:
            for _ in range(4):
                await client.send(b"hello")
            for _ in range(4):
                assert (await client.receive())[0] == b"hello"
            assert {each.peer_address for each in server.connections} == {CLIENT}


async def test_listeners_have_their_sockets() -> None:
    """P3: their options are set and read as those of any other."""
    (listener,) = behind_proxy(await open_tcp_listeners(0), trusted=["127.0.0.1"])
    assert listener.socket is not None
    assert listener.socket.getsockname() == listener.address
    set_socket_options(listener, SocketOptions(hop_limit=9))
    assert read_socket_options(listener).hop_limit == 9
    await listener.aclose()


async def test_a_header_that_cannot_be_sent() -> None:
    """W33: it is told before anybody connects; and where nobody takes it, connecting fails."""
    with pytest.raises(LocalProtocolError):
        ProxyingEndpoint(
            TCPEndpoint("localhost", 1), ProxyHeader(source=("x", 1), destination=FRONT)
        )

    opened: list[trio.StapledStream[Any, Any]] = []

    async def open_broken() -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.aclose()
        opened.append(ours)
        return ours

    endpoint = ProxyingEndpoint(StreamEndpoint(open_broken, "nobody"), HEADER)
    with pytest.raises(ConnectError, match="nobody"):
        await endpoint.connect()
    with pytest.raises(trio.ClosedResourceError):  # It is left open to nobody.
        await opened[0].send_all(b"more")


# HTTP, WebSockets, ASGI


async def test_http(caplog: pytest.LogCaptureFixture) -> None:
    """W33, Z6: the request and the access log have the client."""
    caplog.set_level(logging.INFO, "snowtrio.http.access")

    async def handle(request: Request) -> Response:
        assert request.proxy is not None
        return Response.json([request.peer_address, request.local_address])

    async with running(serve_http_listeners, handle) as server:
        answer = await answer_of(server.port, encode_proxy_header(HEADER) + GET)
        assert answer.endswith(b'[["192.0.2.1",40000],["198.51.100.2",443]]')
        assert await answer_of(server.port, GET) == b""
        assert server.statistics().server.pool.handshakes_failed == 1
    (line,) = [line for line in lines_of(caplog, logging.INFO) if "GET" in line]
    assert line.startswith("192.0.2.1 ")


async def test_http_of_one_client_too_many() -> None:
    """W33, B2: it gets the 503 that it would get without a proxy."""

    async def handle(request: Request) -> Response:
        return Response()

    limits = HTTPLimits(max_connections_per_peer=1)
    async with (
        running(serve_http_listeners, handle, limits=limits) as server,
        await trio.open_tcp_stream("127.0.0.1", server.port) as first,
    ):
        await first.send_all(encode_proxy_header(HEADER) + GET.replace(b"close", b"keep-alive"))
        assert (await first.receive_some()).startswith(b"HTTP/1.1 200")
        answer = await answer_of(server.port, encode_proxy_header(HEADER) + GET)
        assert answer.startswith(b"HTTP/1.1 503")
        other = ProxyHeader(source=("192.0.2.2", 1), destination=FRONT)
        answer = await answer_of(server.port, encode_proxy_header(other) + GET)
        assert answer.startswith(b"HTTP/1.1 200")


async def test_websocket() -> None:
    """W33: the WebSocket has the client, and shows the proxy."""

    async def handle(websocket: WebSocket) -> None:
        assert websocket.proxy is not None
        await websocket.send(f"{websocket.peer_address} {websocket.proxy.header.version}")

    async with running(serve_websocket_listeners, handle) as server:
        upgrade = (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            await stream.send_all(encode_proxy_header(HEADER) + upgrade)
            data = b""
            with trio.fail_after(LIMIT):
                while b"('192.0.2.1', 40000) 2" not in data:
                    piece = await stream.receive_some()
                    assert piece, data
                    data += piece


@pytest.mark.parametrize(
    ("header", "scheme"),
    [(HEADER, "http"), (OVER_TLS, "https"), (ProxyHeader(local=True), "http"), (None, "http")],
)
async def test_asgi(header: ProxyHeader | None, scheme: str) -> None:
    """W33: client, server, the scheme as the client has it, and the header as an extension."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    listeners = behind_proxy(
        await open_tcp_listeners(0), trusted=["127.0.0.1"], headerless="direct"
    )
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_asgi_listeners, app, listeners, lifespan="off"))
        said = encode_proxy_header(header) if header is not None else b""
        assert (await answer_of(server.port, said + GET)).startswith(b"HTTP/1.1 200")
        await server.drain()
    (scope,) = scopes
    assert scope["scheme"] == scheme
    assert (scope["client"] == CLIENT) == (scheme == "https" or header is HEADER)
    assert (scope["server"] == FRONT) == (scheme == "https" or header is HEADER)
    assert ("snowtrio.proxy" in scope["extensions"]) == (header is not None)
    if header is not None:
        assert scope["extensions"]["snowtrio.proxy"]["info"].header == header
    assert "http.response.trailers" in scope["extensions"]
