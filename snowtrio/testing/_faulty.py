"""A stream that misbehaves on command."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

ResultT = TypeVar("ResultT")

_RECEIVE_SIZE = 65536


class FaultyStream(trio.abc.HalfCloseableStream):
    """Passes bytes on to another stream, split, delayed, stalled or broken as told.

    Its attributes may be changed while it is used. Cancelling a receive loses nothing.

    Parameters:
        stream: what carries the bytes; owned.
        chunk_size: the most bytes that one receive gives or one send passes on at a time.
        delay: seconds to wait before each chunk, in either direction.
        break_after_received: break when so many bytes have been received.
        break_after_sent: break when so many bytes have been sent; what is before is sent.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        chunk_size: int | None = None,
        delay: float = 0.0,
        break_after_received: int | None = None,
        break_after_sent: int | None = None,
    ) -> None:
        self.stream = stream
        self.chunk_size = chunk_size
        self.delay = delay
        self.break_after_received = break_after_received
        self.break_after_sent = break_after_sent
        self.received = 0
        """Bytes received so far."""
        self.sent = 0
        """Bytes sent so far."""
        self._broken = False
        self._stalled: trio.Event | None = None
        self._held: bytes | None = None
        self._calls: set[trio.CancelScope] = set()

    def break_now(self) -> None:
        """Break: every call raises ``trio.BrokenResourceError``, those that wait now among them."""
        self._broken = True
        self.resume()
        for scope in self._calls:
            scope.cancel(reason="broken on command")

    def stall(self) -> None:
        """Pass nothing on until `resume`."""
        if self._stalled is None:
            self._stalled = trio.Event()

    def resume(self) -> None:
        """Go on after `stall`."""
        if self._stalled is not None:
            self._stalled.set()
            self._stalled = None

    async def _breakable(self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Make a call that `break_now` can interrupt."""
        scope = trio.CancelScope()
        self._calls.add(scope)
        try:
            with scope:
                return await call()
        finally:
            self._calls.discard(scope)
        raise trio.BrokenResourceError("broken on command")

    async def _misbehave(self) -> None:
        if self.delay:
            await trio.sleep(self.delay)
        while self._stalled is not None:
            await self._stalled.wait()
        if self._broken:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("broken on command")

    def _allowed(self, wanted: int, done: int, bound: int | None) -> int:
        """Return how many of `wanted` bytes may pass now; break where none may."""
        allowed = min(wanted, self.chunk_size or wanted)
        if bound is not None:
            allowed = min(allowed, bound - done)
        if wanted and allowed <= 0:
            self.break_now()
            raise trio.BrokenResourceError("broken on command")
        return allowed

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive at most a chunk."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        return await self._breakable(lambda: self._receive(max_bytes))

    async def _receive(self, max_bytes: int | None) -> bytes:
        await self._misbehave()
        if self._held is None:
            wanted = _RECEIVE_SIZE if max_bytes is None else max_bytes
            size = self._allowed(wanted, self.received, self.break_after_received)
            self._held = bytes(await self.stream.receive_some(size))
        # Stalled or broken while it waited, it must not give what came; and cancelled here it must
        # not lose it.
        await self._misbehave()
        data, self._held = self._held, None
        if max_bytes is not None and len(data) > max_bytes:
            data, self._held = data[:max_bytes], data[max_bytes:]
        self.received += len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send chunk by chunk."""
        await self._breakable(lambda: self._send(memoryview(data)))

    async def _send(self, view: memoryview) -> None:
        await self._misbehave()
        while True:
            size = self._allowed(len(view), self.sent, self.break_after_sent)
            await self.stream.send_all(view[:size])
            self.sent += size
            view = view[size:]
            if not view:
                return
            await self._misbehave()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait while stalled, then for the stream."""

        async def wait() -> None:
            await self._misbehave()
            await self.stream.wait_send_all_might_not_block()

        await self._breakable(wait)

    async def send_eof(self) -> None:
        """End our direction, where the stream can."""
        await self._breakable(self._send_eof)

    async def _send_eof(self) -> None:
        await self._misbehave()
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream, whatever state this one is in."""
        self.resume()
        await self.stream.aclose()
