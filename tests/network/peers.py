"""A peer of an example: a plain connection, read line by line, with a deadline on every read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import attrs
import trio

from .examples import RunningExample, SharedExample

# Far above what it takes, so that only a hang meets it.
TIMEOUT = 20.0


@attrs.define(eq=False)
class Peer:
    """One end of a plain connection."""

    stream: trio.abc.Stream
    received: bytearray = attrs.field(init=False, factory=bytearray)
    """What has come and was not asked for yet."""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_eof(self) -> None:
        assert isinstance(self.stream, trio.abc.HalfCloseableStream)
        await self.stream.send_eof()

    async def fill(self) -> bool:
        """Read once; return whether anything came."""
        with trio.fail_after(TIMEOUT):
            data = await self.stream.receive_some(65536)
        self.received += data
        return bool(data)

    async def line(self) -> str:
        """Return the next line, which must come."""
        while b"\n" not in self.received:
            assert await self.fill(), f"ended after {bytes(self.received)!r}"
        line, _, self.received = self.received.partition(b"\n")
        return line.decode()

    async def exactly(self, size: int) -> bytes:
        """Return that many bytes, which must come."""
        while len(self.received) < size:
            assert await self.fill(), f"ended after {len(self.received)} bytes of {size}"
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    async def rest(self) -> bytes:
        """Return what comes up to the end of input; a reset is an error."""
        while await self.fill():
            pass
        data = bytes(self.received)
        self.received.clear()
        return data

    async def pump(self, data: bytes) -> None:
        """Send the same again and again, until the connection ends."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while True:
                await self.stream.send_all(data)


@contextlib.asynccontextmanager
async def connected(example: RunningExample | SharedExample) -> AsyncIterator[Peer]:
    """Connect to an example for the time of a block."""
    async with await example.connect() as stream:
        yield Peer(stream)


def line_of(size: int) -> bytes:
    """Return a line of `size` bytes, its newline not counted, that differs all along."""
    text = b"".join(b"%d " % number for number in range(size // 2 + 1))
    return text[:size] + b"\n"
