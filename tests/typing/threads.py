"""Types of functions in threads, as mypy and pyright see them (row W32). Checked, never run."""

from __future__ import annotations

from typing import assert_type

import trio

from snowtrio import (
    Connection,
    JSONLinesCodec,
    LineCodec,
    RequestHandler,
    ThreadedFunction,
    Threads,
    serve_tcp,
)
from snowtrio.http import Request, Response, Router, serve_http
from snowtrio.websocket import (
    Message,
    WebSocket,
    WebSocketCallbacks,
    serve_websocket,
)

threads = Threads(4)


@threads
def answer(connection: Connection[bytes], line: bytes) -> bytes | None:
    return line


@threads
def length(connection: Connection[bytes], line: bytes) -> int:
    return len(line)


@threads
def respond(request: Request) -> Response:
    return Response.json({"path": request.path})


@threads
def reply(websocket: WebSocket, message: Message) -> str:
    return str(message)


class Callbacks(WebSocketCallbacks):
    """Callbacks that block."""

    @threads
    def on_open(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, websocket: WebSocket
    ) -> None:
        return None

    @threads
    def on_message(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, websocket: WebSocket, message: Message
    ) -> str:
        return str(message)


async def use(nursery: trio.Nursery) -> None:
    assert_type(await threads.run(len, "abc"), int)
    await serve_tcp(answer, LineCodec(), 0)
    await serve_tcp(RequestHandler(answer), LineCodec(), 0)
    await serve_tcp(length, LineCodec(), 0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await serve_tcp(answer, JSONLinesCodec(), 0)
    await serve_http(respond, 0)
    await serve_websocket(reply, 0)
    await serve_websocket(Callbacks(), 0)
    Router().get("/")(respond)


class Shop:
    """Has a method that blocks."""

    @threads
    def price(self, name: str, /) -> int:
        return len(name)


async def ask(shop: Shop) -> None:
    assert_type(shop.price, ThreadedFunction[[str], int])
    assert_type(await shop.price("tea"), int)
    await shop.price(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
