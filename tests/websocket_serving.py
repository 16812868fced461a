"""WebSocket servers in memory, and a client that speaks bytes; its frames are wsproto's."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)

from snowtrio.testing import MemoryListener
from snowtrio.websocket import (
    WebSocket,
    WebSocketServer,
    WebSocketStatistics,
    serve_websocket_listeners,
)

from .http_serving import Peer, Reply
from .serving import LIMIT

# The example of RFC 6455, section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

FIELDS = {
    "Host": "test",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


async def echo(websocket: WebSocket) -> None:
    async for message in websocket:
        await websocket.send(message)


def handshake(
    *more: str,
    target: str = "/",
    method: str = "GET",
    version: str = "1.1",
    without: tuple[str, ...] = (),
    body: bytes = b"",
) -> bytes:
    """Return a request for a WebSocket.

    Parameters:
        more: lines after the usual fields.
        target: of the request line.
        method: likewise.
        version: likewise.
        without: usual fields to leave out.
        body: behind the head.
    """
    fields = [f"{name}: {value}" for name, value in FIELDS.items() if name not in without]
    lines = [f"{method} {target} HTTP/{version}", *fields, *more, "", ""]
    return "\r\n".join(lines).encode() + body


class WebSocketPeer(Peer):
    """A client that shakes hands by itself, and whose frames are wsproto's.

    The parameters are those of `Peer`.
    """

    def __init__(self, stream: trio.abc.Stream, patience: float = LIMIT) -> None:
        super().__init__(stream, patience)
        self.frames = Connection(ConnectionType.CLIENT)
        self._events: list[Event] = []

    async def open(self, *more: str, **options: Any) -> Reply:
        """Shake hands; what comes behind is frames."""
        reply = await self.ask(handshake(*more, **options))
        assert reply.status == 101, (reply, self.read)
        self.read_frames()
        return reply

    async def say(self, message: str | bytes) -> None:
        """Send a message."""
        await self.send(self.framed(message))

    def framed(self, message: str | bytes) -> bytes:
        """Return the frame of a message."""
        if isinstance(message, str):
            return self.frames.send(TextMessage(message))
        return self.frames.send(BytesMessage(message))

    async def hear(self) -> str | bytes:
        """Return the next message, whole."""
        parts: list[Any] = []
        while True:
            event = await self.event()
            assert isinstance(event, Message), event
            parts.append(event.data)
            if event.message_finished:
                whole: str | bytes = type(parts[0])().join(parts)
                return whole if isinstance(whole, str) else bytes(whole)

    async def echoed(self, message: str | bytes) -> str | bytes:
        """Send a message, and return the next that comes."""
        await self.say(message)
        return await self.hear()

    async def ping(self, payload: bytes = b"?") -> bytes:
        """Send a ping, and return the payload of the pong that comes next."""
        await self.send(self.frames.send(Ping(payload)))
        event = await self.event()
        assert isinstance(event, Pong), event
        return bytes(event.payload)

    async def told(self) -> tuple[int, str]:
        """Return the close that comes next; it is not answered."""
        event = await self.event()
        assert isinstance(event, CloseConnection), event
        return int(event.code), event.reason or ""

    async def close(self, code: int = 1000, reason: str | None = None) -> tuple[int, str]:
        """Close, and return what the server answers."""
        await self.send(self.frames.send(CloseConnection(code, reason)))
        return await self.told()

    async def answer_close(self) -> None:
        """Answer a close with a normal one."""
        await self.send(self.frames.send(CloseConnection(1000)))

    async def event(self) -> Event:
        """Return what comes next."""
        with trio.fail_after(self.patience):
            while not self._events:
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError("the server ended")
                self.read = bytes(data)
                self.read_frames()
        return self._events.pop(0)

    def read_frames(self) -> None:
        """Take what has been read for frames: called behind the handshake."""
        data, self.read = self.read, b""
        if data:
            self.frames.receive_data(data)
            self._events += self.frames.events()


@attrs.define
class WebSocketServed:
    """A server in memory."""

    server: WebSocketServer
    listener: MemoryListener
    nursery: trio.Nursery
    patience: float

    async def connect(self) -> WebSocketPeer:
        """Connect, and shake no hands."""
        return WebSocketPeer(await self.listener.connect(), self.patience)

    async def open(self, *more: str, **options: Any) -> WebSocketPeer:
        """Connect and shake hands."""
        peer = await self.connect()
        await peer.open(*more, **options)
        return peer

    @property
    def counts(self) -> WebSocketStatistics:
        return self.server.statistics()

    @property
    def connections(self) -> int:
        return self.counts.http.server.pool.connections


@asynccontextmanager
async def serving_websocket(
    handler: Any = echo,
    *,
    patience: float = LIMIT,
    **options: Any,
) -> AsyncGenerator[WebSocketServed, None]:
    """Serve in memory; at the end cancel, and check that nothing is left."""
    listener = MemoryListener()
    served: WebSocketServed | None = None
    try:
        async with trio.open_nursery() as nursery:
            serve = partial(serve_websocket_listeners, handler, [listener], **options)
            served = WebSocketServed(await nursery.start(serve), listener, nursery, patience)
            yield served
            nursery.cancel_scope.cancel()
    finally:
        if served is not None:
            check_nothing_left(served.server)


def check_nothing_left(server: WebSocketServer) -> None:
    counts = server.statistics()
    pool = counts.http.server.pool
    assert (pool.connections, pool.handshaking) == (0, 0)
    assert (counts.open, list(server.websockets)) == (0, [])
    assert sum(counts.closed.values()) == counts.opened
