"""Whatever opens sockets takes options (row P3): `ss` sees them on the connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import (
    LineCodec,
    SocketOptions,
    UnixEndpoint,
    UnsupportedOptionError,
    read_socket_options,
    serve_tcp,
    set_socket_options,
)
from snowtrio.asgi import serve_asgi
from snowtrio.http import HTTPClient, Request, Response, fetch, serve_http, serve_http_unix
from snowtrio.websocket import (
    WebSocket,
    open_reconnecting,
    open_websocket,
    serve_websocket,
    serve_websocket_unix,
)

from ..serving import LIMIT, echo
from .optioned import has_ss, linux, look

pytestmark = [linux, has_ss]

RENO = SocketOptions(congestion_control="reno")
FOR_TCP = SocketOptions(no_delay=True)


async def respond(request: Request) -> Response:
    return Response("here")


async def reply(websocket: WebSocket) -> None:
    async for message in websocket:
        await websocket.send(message)


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


@asynccontextmanager
async def running(serve: Callable[..., Any], *args: Any, **options: Any) -> AsyncGenerator[Any]:
    """Yield a server."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve, *args, **options))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "serve",
    [
        partial(serve_tcp, echo, LineCodec()),
        partial(serve_http, respond),
        partial(serve_websocket, reply),
        partial(serve_asgi, application, lifespan="off"),
    ],
    ids=["tcp", "http", "websocket", "asgi"],
)
async def test_servers(serve: Any) -> None:
    """P3: the connections that they accept have them."""
    async with running(serve, 0, options=RENO) as server:
        host, port = server.addresses[0]
        async with await trio.open_tcp_stream(host, port):
            assert " reno " in look("sport", port)
            assert " reno " not in look("dport", port)


@pytest.mark.parametrize(
    "serve",
    [partial(serve_http_unix, respond), partial(serve_websocket_unix, reply)],
    ids=["http", "websocket"],
)
async def test_servers_on_unix_sockets(serve: Any, tmp_path: Path) -> None:
    """P3: theirs are not those of TCP."""
    with pytest.raises(UnsupportedOptionError, match="no_delay"):
        await serve(tmp_path / "socket", options=FOR_TCP)


async def test_http_clients() -> None:
    """P3: those that are kept, and those for one request."""
    seen: list[str] = []

    async def look_then_respond(request: Request) -> Response:
        seen.append(look("dport", port))
        return Response("here")

    async with running(serve_http, look_then_respond, 0) as server:
        host, port = server.addresses[0]
        async with HTTPClient(options=RENO) as client:
            await client.fetch(f"http://{host}:{port}/")
        await fetch(f"http://{host}:{port}/", options=RENO)
        await fetch(f"http://{host}:{port}/")
    assert [" reno " in each for each in seen] == [True, True, False]


async def test_websockets() -> None:
    """P3: one, and one after the other."""
    async with running(serve_websocket, reply, 0) as server:
        host, port = server.addresses[0]
        url = f"ws://{host}:{port}/"
        with trio.fail_after(LIMIT):
            async with open_websocket(url, options=RENO):
                assert " reno " in look("dport", port)
            async with open_reconnecting(url, options=RENO) as connections:
                async for connection in connections:
                    async with connection:
                        assert " reno " in look("dport", port)
                        break
            async with HTTPClient() as client:
                with pytest.raises(TypeError, match="options of its own"):
                    async with open_websocket(url, options=RENO, client=client):
                        pass


async def test_handlers_set_them_on_their_own_connection() -> None:
    """P3: of HTTP and of WebSockets."""

    async def respond_reno(request: Request) -> Response:
        set_socket_options(request, RENO)
        return Response("done")

    async def serve_reno(websocket: WebSocket) -> None:
        set_socket_options(websocket, RENO)
        await websocket.send("done")
        await websocket.receive()

    async with (
        running(serve_http, respond_reno, 0) as server,
        HTTPClient() as client,
    ):
        host, port = server.addresses[0]
        assert (await client.fetch(f"http://{host}:{port}/")).text() == "done"
        assert " reno " in look("sport", port)
    async with running(serve_websocket, serve_reno, 0) as server:
        host, port = server.addresses[0]
        async with open_websocket(f"ws://{host}:{port}/") as websocket:
            assert await websocket.receive() == "done"
            assert " reno " in look("sport", port)
            assert read_socket_options(websocket).congestion_control != "reno"


def test_what_has_options_of_its_own() -> None:
    """P3: an endpoint, and connections that another library opens."""
    with pytest.raises(TypeError, match="an endpoint has its own options"):
        HTTPClient(endpoint=UnixEndpoint("/nowhere"), options=RENO)
    with pytest.raises(TypeError, match="opened by python-socks, without options"):
        HTTPClient(proxy="socks5://127.0.0.1:1", options=RENO)
    with pytest.raises(UnsupportedOptionError, match="defer_accept"):
        HTTPClient(options=SocketOptions(defer_accept=1))
