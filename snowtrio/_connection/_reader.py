"""The reading half of a connection: the task that reads ahead, the inbox, and its receiver.

One read, one decode, one channel item: the batch is the unit. The channel has no room of its own,
so the reader holds at most the batch that it waits to hand over, while the receiver works through
the one before; together they are what ``max_inbox_messages`` bounds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

import trio

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import (
    ConnectionClosedError,
    RemoteProtocolError,
    SkippedMessageError,
    StalledError,
    TruncatedError,
)
from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._limits import ConnectionLimits
from ._rate import TokenBucket
from ._statistics import Counters
from ._writer import again, as_lost

ReceiveT = TypeVar("ReceiveT")


class Reader(Generic[ReceiveT]):
    """Reads, decodes and delivers, until the end of input.

    Parameters:
        transport: where the bytes come from.
        buffer: what the handshake left over.
        coder: makes messages of bytes.
        limits: the connection's.
        counters: the connection's counts.
        share: of the memory that all connections have together.
        bucket: limits the rate of this peer.
        changes: where everybody waits who waits for anything about this connection.
        on_eof: called at the end of input.
        on_loss: called when the transport breaks.
    """

    __slots__ = (
        "_bucket",
        "_changes",
        "_closed",
        "_coder",
        "_counters",
        "_delay",
        "_deliver",
        "_in_hand",
        "_inbox",
        "_limits",
        "_on_eof",
        "_on_loss",
        "_receiving",
        "_scope",
        "_share",
        "_switches",
        "_transport",
        "_waiting",
        "buffer",
        "done",
        "eof",
        "error",
        "on_progress",
        "ready",
    )

    def __init__(
        self,
        transport: Transport,
        buffer: ReceiveBuffer,
        coder: Codec[Any, ReceiveT],
        limits: ConnectionLimits,
        counters: Counters,
        *,
        share: Share | None,
        bucket: TokenBucket | None,
        changes: Changes,
        on_eof: Callable[[], None],
        on_loss: Callable[[Exception], None],
    ) -> None:
        self.buffer = buffer
        self.ready: list[ReceiveT] = []
        """What the receiver has taken out of the channel and not looked at yet, the next one last:
        an idle list costs a tenth of an idle queue."""
        self.error: Exception | None = None
        """What ended the input, None for a clean end."""
        self.eof = False
        self.on_progress: Callable[[], None] | None = None
        """Called when messages have come, where anybody wants to know."""
        self.done = False
        """Whether the task has ended."""
        self._transport = transport
        self._coder = coder
        self._limits = limits
        self._counters = counters
        self._share = share
        self._bucket = bucket
        self._on_eof = on_eof
        self._on_loss = on_loss
        self._switches = 0
        self._changes = changes
        self._waiting: trio.CancelScope | None = None
        self._delay = 0.0
        self._deliver: trio.MemorySendChannel[list[ReceiveT] | Exception]
        self._inbox: trio.MemoryReceiveChannel[list[ReceiveT] | Exception]
        self._deliver, self._inbox = trio.open_memory_channel(0)
        self._in_hand: list[ReceiveT] | Exception | None = None
        self._receiving = False
        self._scope = trio.CancelScope()
        self._closed = False

    # The receiver

    async def take_batch(self) -> None:
        """Wait until there is something in `ready`."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this connection")
        self._receiving = True
        try:
            item: list[ReceiveT] | Exception | None
            try:
                item = self._inbox.receive_nowait()
            except trio.WouldBlock:
                item = await self._inbox.receive()
        except trio.EndOfChannel:
            item, self._in_hand = self._in_hand, None
        except trio.ClosedResourceError:
            raise ConnectionClosedError("this side closed the connection") from None
        finally:
            self._receiving = False
        if item is None:
            raise self._end()
        if isinstance(item, Exception):
            raise item
        item.reverse()
        self.ready = item

    def take_ready(self) -> list[ReceiveT]:
        """Return all that is in `ready`, in order."""
        batch, self.ready = self.ready, []
        batch.reverse()
        return batch

    def _end(self) -> Exception:
        """Return what says that no more comes; the same however often it is asked."""
        if self.error is None:
            return trio.EndOfChannel("the peer has ended its input")
        return again(self.error)

    def switch(self, coder: Codec[Any, ReceiveT]) -> None:
        """Decode what has not been decoded with another coder, from here on."""
        self._coder = coder
        self._switches += 1
        self.buffer.resume()
        self._changes.note()
        if self._waiting is not None:
            self._waiting.cancel(reason="the bytes that are left are another codec's")

    # The task

    async def run(self) -> None:
        """Read until the end of input, an error, or `stop`."""
        try:
            with self._scope:
                if self.buffer:
                    await self._decode()
                try:
                    while (data := await self._next_bytes()) != b"":
                        await self._take(data)
                except TruncatedError:
                    if self.buffer or not self._coder.ends_itself:
                        raise
                self._at_eof()
                await self._deliver_all(self._coder.decode_eof(self.buffer))
        except trio.Cancelled:
            self.close()  # Cut: nobody is to take this for the peer's end of input.
            raise
        except Exception as error:  # a codec's own mistake ends its connection only
            if not self._closed:  # Otherwise the error is that nobody takes anything any more.
                self._failed(error)
        finally:
            self._deliver.close()
            self.done = True
            self._changes.note()

    def _failed(self, error: Exception) -> None:
        self.error = error
        if isinstance(error, TruncatedError):
            self._at_eof()
        elif isinstance(error, (trio.BrokenResourceError, trio.ClosedResourceError)) and not (
            isinstance(error, RemoteProtocolError)
        ):
            self.error = as_lost(error)
            self._on_loss(self.error)

    def _at_eof(self) -> None:
        self.eof = True
        self._on_eof()

    async def _take(self, data: bytes | None) -> None:
        """Decode what a read brought; None decodes what was left over."""
        if data:
            self.buffer.append(data)
            self._counters.reads += 1
            self._counters.bytes_received += len(data)
            if self._share is not None:
                self._share.charge(len(data))
            if self._bucket is not None:
                self._delay = self._bucket.spend(len(data), trio.current_time())
        await self._decode()

    def _next_bytes(self) -> Awaitable[bytes | None]:
        """Return what waits for bytes: where nothing can hold it back, the transport itself.

        An idle connection is one that waits here, and each coroutine that it waits in costs memory.
        """
        if self.buffer or self._share is not None or self._bucket is not None:
            return self._read()
        return self._transport.receive_some(self._limits.receive_size)

    async def _read(self) -> bytes | None:
        """Wait for bytes; None where those that are there have become another codec's meanwhile."""
        if not self.buffer:
            return await self._read_when_allowed()
        with trio.CancelScope() as self._waiting:
            return await self._read_when_allowed()
        return None

    async def _read_when_allowed(self) -> bytes:
        if self._delay > 0:
            self._counters.rate_limited += 1
            await trio.sleep(self._delay)
            self._delay = 0.0
        if self._share is not None and not self._share.allows:
            await self._wait_for_memory(self._share)
        return await self._transport.receive_some(self._limits.receive_size)

    async def _decode(self) -> None:
        """Decode what is there, with a new coder too if the old one is replaced on the way."""
        before = len(self.buffer)
        while True:
            switches = self._switches
            try:
                await self._deliver_all(self._coder.decode(self.buffer))
            except SkippedMessageError as error:
                self._counters.messages_skipped += 1
                await self._hand_over(error)
                continue
            if self.buffer.paused:
                await self._changes.wait_until(lambda: not self.buffer.paused)
            elif self._switches == switches:
                break
        if self._share is not None:
            self._share.charge(len(self.buffer) - before)

    async def _deliver_all(self, messages: Iterable[ReceiveT]) -> None:
        """Hand over in batches; what was decoded before an error is delivered before it."""
        decoding = iter(messages)
        size = self._limits.max_inbox_messages // 2
        failure: Exception | None = None
        more = True
        while more and failure is None:
            batch: list[ReceiveT] = []
            try:
                batch.extend(islice(decoding, size))
            except Exception as error:  # raised again below, after the batch
                failure = error
            more = len(batch) == size
            if batch:
                self._counters.batches_received += 1
                self._counters.messages_received += len(batch)
                if self.on_progress is not None:
                    self.on_progress()
                await self._hand_over(batch)
        if failure is not None:
            raise failure

    async def _hand_over(self, item: list[ReceiveT] | Exception) -> None:
        try:
            self._deliver.send_nowait(item)
        except trio.WouldBlock:
            self._in_hand = item  # Stopped while it waits, it is still the receiver's.
            await self._deliver.send(item)
            self._in_hand = None

    async def _wait_for_memory(self, share: Share) -> None:
        """Wait for a place in the budget; who holds half a frame for ever must not block it."""
        self._counters.budget_waits += 1
        with trio.move_on_after(self._limits.stall_timeout) as scope:
            await share.wait()
        if scope.cancelled_caught:
            raise StalledError("no memory left in the budget for an unfinished message")

    async def wait_done(self) -> None:
        """Wait until the task has ended."""
        await self._changes.wait_until(lambda: self.done)

    # The end

    def stop(self, reason: str) -> None:
        """Read no more: the receiver gets what has been decoded, then the end."""
        self._scope.cancel(reason=reason)

    def fail(self, error: Exception) -> None:
        """Read no more: the receiver gets what has been decoded, then `error`."""
        if self.error is None and not self.eof:
            self.error = error
        self.stop("the connection is lost")

    def let_go(self) -> None:
        """Drop the bytes that nobody will decode any more, and the frames that the error holds."""
        self.buffer.take_all()
        if self.error is not None:
            self.error = self.error.with_traceback(None)

    def close(self) -> None:
        """Read no more and deliver no more; a receiver that waits is told at once."""
        self._closed = True
        self.ready = []
        self._inbox.close()
        self.stop("the connection is closing")
