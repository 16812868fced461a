"""A stream that misbehaves on command."""

from __future__ import annotations

import trio


class FaultyStream(trio.abc.HalfCloseableStream):
    """Passes bytes on to another stream, split, delayed, stalled or broken as told.

    Its attributes may be changed while it is used.

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

    def break_now(self) -> None:
        """Break: every later call raises ``trio.BrokenResourceError``."""
        self._broken = True
        self.resume()

    def stall(self) -> None:
        """Pass nothing on until `resume`."""
        if self._stalled is None:
            self._stalled = trio.Event()

    def resume(self) -> None:
        """Go on after `stall`."""
        if self._stalled is not None:
            self._stalled.set()
            self._stalled = None

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
            self._broken = True
            raise trio.BrokenResourceError("broken on command")
        return allowed

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive at most a chunk."""
        await self._misbehave()
        size = self._allowed(max_bytes or 65536, self.received, self.break_after_received)
        data = bytes(await self.stream.receive_some(size))
        await self._misbehave()
        self.received += len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send chunk by chunk."""
        view = memoryview(data)
        await self._misbehave()
        while view:
            size = self._allowed(len(view), self.sent, self.break_after_sent)
            await self.stream.send_all(view[:size])
            self.sent += size
            view = view[size:]
            if view:
                await self._misbehave()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait while stalled, then for the stream."""
        await self._misbehave()
        await self.stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End our direction, where the stream can."""
        await self._misbehave()
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream, whatever state this one is in."""
        self.resume()
        await self.stream.aclose()
