"""ASGI applications with WebSockets that are served in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import attrs
import trio

from snowtrio import Side, StreamEndpoint
from snowtrio.asgi import ASGIServer, serve_asgi_listeners
from snowtrio.testing import MemoryListener
from snowtrio.testing.websocket import WirePeer
from snowtrio.websocket import WebSocket, open_websocket

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@attrs.frozen
class Served:
    """A server that runs, and its listener in memory."""

    server: ASGIServer
    listener: MemoryListener

    def open(self, path: str = "/ws", **options: Any) -> AbstractAsyncContextManager[WebSocket]:
        endpoint = StreamEndpoint(self.listener.connect)
        return open_websocket(f"ws://memory{path}", endpoint=endpoint, **options)

    async def connect(self, greeting: bytes = HANDSHAKE) -> WirePeer:
        """Return a peer in the test's hands, which has asked for something."""
        peer = WirePeer(Side.CLIENT, await self.listener.connect())
        await peer.send(greeting)
        return peer


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Served]:
    """Serve in memory for the time of a block."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_asgi_listeners, app, [listener], lifespan="off", **options)
        yield Served(await nursery.start(serve), listener)
        nursery.cancel_scope.cancel()


async def accept(receive: Receive, send: Send, **more: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def disconnected(code: int, reason: str = "") -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}
