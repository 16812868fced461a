"""HTTP servers for tests, in memory and on sockets, and a client that speaks bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

from snowtrio import DrainTimeouts
from snowtrio.http import HTTPLimits, HTTPServer, HTTPStatistics, serve_http_listeners
from snowtrio.testing import MemoryListener

from .serving import LIMIT

QUICK = HTTPLimits(linger_timeout=0.2)
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def request(
    method: str = "GET", target: str = "/", *fields: str, body: bytes = b"", version: str = "1.1"
) -> bytes:
    """Return a request, with a length where it has a body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """Return a body in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"%b0\r\n%b\r\n" % (chunks, trailers)


@attrs.define
class Reply:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str] = attrs.Factory(dict)


class Peer:
    """Sends bytes and reads responses; knows nothing of the code under test.

    Parameters:
        stream: to the server.
        patience: seconds that nothing here comes near.
    """

    def __init__(self, stream: trio.abc.Stream, patience: float = LIMIT) -> None:
        self.stream = stream
        self.patience = patience
        self.read = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def ask(self, data: bytes, *, bodiless: bool = False) -> Reply:
        """Send bytes and read a response."""
        await self.send(data)
        return await self.reply(bodiless=bodiless)

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """Read a response; one to a HEAD has no body."""
        with trio.fail_after(self.patience):
            head = await self._until(b"\r\n\r\n")
            start, *lines = head.decode("latin-1").split("\r\n")
            headers = _parse(lines)
            reply = Reply(int(start.split(" ")[1]), headers, b"")
            if bodiless or reply.status < 200 or reply.status in (204, 304):
                return reply
            if headers.get("transfer-encoding") == "chunked":
                await self._read_chunks(reply)
            elif "content-length" in headers:
                reply.body = await self._take(int(headers["content-length"]))
            else:
                reply.body = await self.rest()
            return reply

    async def rest(self) -> bytes:
        """Return everything up to the end of input."""
        with trio.fail_after(self.patience):
            while data := await self.stream.receive_some():
                self.read += data
        read, self.read = self.read, b""
        return read

    async def _read_chunks(self, reply: Reply) -> None:
        while size := int(await self._until(b"\r\n"), 16):
            reply.body += await self._take(size)
            assert await self._take(2) == b"\r\n"
        while line := await self._until(b"\r\n"):
            reply.trailers.update(_parse([line.decode()]))

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self.read:
            await self._more()
        found, _, self.read = self.read.partition(mark)
        return found

    async def _take(self, size: int) -> bytes:
        while len(self.read) < size:
            await self._more()
        taken, self.read = self.read[:size], self.read[size:]
        return taken

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise EOFError(f"the server ended after {self.read!r}")
        self.read += data


def _parse(lines: Sequence[str]) -> dict[str, str]:
    fields = [line.split(": ", 1) for line in lines]
    return {name: value for name, value in fields}  # noqa: C416 - lists are no pairs to dict


@attrs.define
class HTTPServed:
    """A server in memory."""

    server: HTTPServer
    listener: MemoryListener
    nursery: trio.Nursery
    patience: float = LIMIT

    async def connect(self, greeting: bytes = b"") -> Peer:
        """Connect, say something, and let the server do what it does with it."""
        peer = Peer(await self.listener.connect(), self.patience)
        if greeting:
            await peer.send(greeting)
        await trio.testing.wait_all_tasks_blocked()
        return peer

    @property
    def counts(self) -> HTTPStatistics:
        return self.server.statistics()

    @property
    def connections(self) -> int:
        return self.counts.server.pool.connections


@asynccontextmanager
async def serving_http(
    handler: Any,
    *,
    listener: MemoryListener | None = None,
    patience: float = LIMIT,
    **options: Any,
) -> AsyncGenerator[HTTPServed, None]:
    """Serve in memory; at the end cancel, and check that nothing is left."""
    listener = listener if listener is not None else MemoryListener()
    served: HTTPServed | None = None
    try:
        async with trio.open_nursery() as nursery:
            serve = partial(serve_http_listeners, handler, [listener], **options)
            served = HTTPServed(await nursery.start(serve), listener, nursery, patience)
            yield served
            nursery.cancel_scope.cancel()
    finally:
        assert served is None or nothing_left(served.server)


@asynccontextmanager
async def serving_http_on(
    serve: Any, handler: Any, where: Any, *, limits: HTTPLimits = QUICK, **options: Any
) -> AsyncGenerator[HTTPServer, None]:
    """Serve on a real socket; at the end drain, and check that nothing is left."""
    async with trio.open_nursery() as nursery:
        server: HTTPServer = await nursery.start(
            partial(serve, handler, where, limits=limits, **options)
        )
        yield server
        with trio.fail_after(LIMIT):
            await server.drain(DrainTimeouts(goodbye=0.2, wait=0.2))
            while nursery.child_tasks:
                await trio.sleep(0.002)
    assert nothing_left(server)


def nothing_left(server: HTTPServer) -> bool:
    counts = server.statistics()
    pool = counts.server.pool
    assert (pool.connections, pool.handshaking) == (0, 0)
    assert (counts.under_way, counts.upgraded) == (0, 0)
    return True
