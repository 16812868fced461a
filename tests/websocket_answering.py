"""WebSocket servers that say what they are told, byte for byte; their frames are wsproto's."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    TextMessage,
)

from snowtrio import StreamEndpoint
from snowtrio.testing import MemoryListener

from .serving import LIMIT

URL = "ws://books.example/chat?a=b"


def accept_value(key: str) -> str:
    """Return what answers a key (RFC 6455, section 4.2.2)."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return base64.b64encode(digest).decode()


class Request:
    """A request as it came.

    Parameters:
        data: its head.
    """

    def __init__(self, data: bytes) -> None:
        self.line, *lines = data.decode().removesuffix("\r\n\r\n").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        self.fields = {name.lower(): value for name, value in pairs}
        assert len(self.fields) == len(lines), lines

    def agreeing(self, *more: str, without: tuple[str, ...] = ()) -> bytes:
        """Return a right answer.

        Parameters:
            more: further lines.
            without: names of usual fields to leave out.
        """
        fields = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_value(self.fields["sec-websocket-key"]),
        }
        lines = [f"{name}: {value}" for name, value in fields.items() if name not in without]
        return "\r\n".join(["HTTP/1.1 101 Switching", *lines, *more, "", ""]).encode()


class Answerer:
    """One connection of a server.

    Parameters:
        stream: to the client.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.frames = Connection(ConnectionType.SERVER)
        self._read = b""
        self._events: list[Event] = []

    async def request(self) -> Request:
        """Read the request."""
        with trio.fail_after(LIMIT):
            while b"\r\n\r\n" not in self._read:
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError
                self._read += data
        head, mark, rest = self._read.partition(b"\r\n\r\n")
        self._read = b""
        if rest:
            self.frames.receive_data(rest)
        return Request(head + mark)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def agree(self, *more: str, behind: bytes = b"") -> Request:
        """Read the request and agree; `behind` is in the segment of the answer."""
        request = await self.request()
        await self.send(request.agreeing(*more) + behind)
        return request

    def framed(self, message: str | bytes) -> bytes:
        """Return the frame of a message."""
        event: Event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        return self.frames.send(event)

    def pinged(self, payload: bytes = b"?") -> bytes:
        """Return a ping."""
        return self.frames.send(Ping(payload))

    def closed(self, code: int = 1000, reason: str | None = None) -> bytes:
        """Return a close."""
        return self.frames.send(CloseConnection(code, reason))

    async def event(self) -> Event:
        """Return what comes next."""
        with trio.fail_after(LIMIT):
            while not self._events:
                self._events += self.frames.events()
                if self._events:
                    break
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError
                self.frames.receive_data(bytes(data))
        return self._events.pop(0)

    async def hear(self) -> str | bytes:
        """Return the next message, whole."""
        parts: list[Any] = []
        while True:
            event = await self.event()
            assert isinstance(event, Message), event
            parts.append(event.data)
            if event.message_finished:
                whole: str | bytes = type(parts[0])().join(parts)
                return whole

    async def told(self) -> int:
        """Return the code of the close that comes next; it is not answered."""
        event = await self.event()
        assert isinstance(event, CloseConnection), event
        return int(event.code)

    async def ended(self) -> bool:
        """Wait for the end; say whether nothing came before it."""
        with trio.fail_after(LIMIT):
            try:
                return not await self.stream.receive_some()
            except trio.BrokenResourceError:
                return True


class Answering:
    """A server in memory, connection by connection."""

    def __init__(self) -> None:
        self._listener = MemoryListener()
        self.endpoint = StreamEndpoint(self._connect, "memory")
        self.attempts: list[float] = []
        """When somebody tried to connect."""
        self.failures: list[Exception] = []
        """Raised by the next attempts, one each."""

    async def _connect(self) -> trio.abc.Stream:
        self.attempts.append(trio.current_time())
        if self.failures:
            raise self.failures.pop(0)
        return await self._listener.connect()

    async def accept(self) -> Answerer:
        """Return the next connection."""
        with trio.fail_after(LIMIT):
            return Answerer(await self._listener.accept())
