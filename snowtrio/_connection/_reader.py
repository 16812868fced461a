"""The reading half of a connection: the task that reads ahead, the inbox, and its receiver.

One read, one decode, one channel item: the batch is the unit. The channel has no room of its own, so
the reader holds at most the batch that it waits to hand over, while the receiver works through the
one before; together they are what ``max_inbox_messages`` bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
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
from .._transport import BusyGuard, Transport
from ._budget import Share
from ._limits import ConnectionLimits
from ._rate import TokenBucket
from ._statistics import Counters
from ._writer import as_lost

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
        on_eof: called at the end of input.
        on_loss: called when the transport breaks.
    """

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
        on_eof: Callable[[], None],
        on_loss: Callable[[Exception], None],
    ) -> None:
        self.buffer = buffer
        self.ready: deque[ReceiveT] = deque()
        """What the receiver has taken out of the channel and not looked at yet."""
        self.error: Exception | None = None
        """What ended the input, None for a clean end."""
        self.eof = False
        self.done = trio.Event()
        self._transport = transport
        self._coder = coder
        self._limits = limits
        self._counters = counters
        self._share = share
        self._bucket = bucket
        self._on_eof = on_eof
        self._on_loss = on_loss
        self._decoding: Iterator[ReceiveT] | None = None
        self._switched = trio.lowlevel.ParkingLot()
        self._deliver, self._inbox = trio.open_memory_channel[list[ReceiveT] | Exception](0)
        self._in_hand: list[ReceiveT] | Exception | None = None
        self._guard = BusyGuard("another task is receiving from this connection")
        self._scope = trio.CancelScope()
        self._closed = False

    # The receiver

    async def receive(self) -> ReceiveT:
        """Return the next message."""
        if not self.ready or self._closed:
            await self.take_batch()
        return self.ready.popleft()

    async def take_batch(self) -> None:
        """Move the next batch from the inbox to `ready`."""
        with self._guard:
            if self._closed:
                raise ConnectionClosedError("this side closed the connection")
            try:
                item = await self._next_item()
            except trio.EndOfChannel:
                if self._in_hand is None:
                    raise self._end() from None
                item, self._in_hand = self._in_hand, None
            except trio.ClosedResourceError:
                raise ConnectionClosedError("this side closed the connection") from None
        if isinstance(item, Exception):
            raise item
        self.ready.extend(item)

    async def _next_item(self) -> list[ReceiveT] | Exception:
        try:
            return self._inbox.receive_nowait()
        except trio.WouldBlock:
            return await self._inbox.receive()

    def _end(self) -> Exception:
        """Return what says that no more comes; the same however often it is asked."""
        if self.error is None:
            return trio.EndOfChannel("the peer has ended its input")
        return self.error.with_traceback(None)

    def switch(self, coder: Codec[Any, ReceiveT]) -> None:
        """Decode what comes from here on with another coder."""
        self._coder = coder
        self._decoding = None
        self.buffer.resume()
        self._switched.unpark_all()

    # The task

    async def run(self) -> None:
        """Read until the end of input, an error, or `stop`."""
        try:
            with self._scope:
                await self._read_on()
                self._at_eof()
                await self._deliver_all(self._coder.decode_eof(self.buffer))
        except TruncatedError as error:
            if self.buffer or not self._coder.ends_itself:
                self.error = error
            self._at_eof()
        except RemoteProtocolError as error:
            self.error = error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.error = as_lost(error)
            self._on_loss(self.error)
        except Exception as error:  # noqa: BLE001 - a codec's own mistake ends its connection only
            self.error = error
        finally:
            self._deliver.close()
            self.done.set()

    def _at_eof(self) -> None:
        self.eof = True
        self._on_eof()

    async def _read_on(self) -> None:
        while True:
            if self.buffer:
                await self._decode()
            if self._share is not None and not self._share.allows:
                await self._wait_for_memory(self._share)
            data = await self._transport.receive_some(self._limits.receive_size)
            if not data:
                return
            self.buffer.append(data)
            self._counters.reads += 1
            self._counters.bytes_received += len(data)
            if self._share is not None:
                self._share.charge(len(data))
            if self._bucket is not None:
                await self._slow_down(self._bucket, len(data))

    async def _decode(self) -> None:
        before = len(self.buffer)
        while True:
            try:
                await self._deliver_all(self._coder.decode(self.buffer))
            except SkippedMessageError as error:
                self._counters.messages_skipped += 1
                await self._hand_over(error)
                continue
            if not self.buffer.paused:
                break
            await self._switched.park()
        if self._share is not None:
            self._share.charge(len(self.buffer) - before)

    async def _deliver_all(self, messages: Iterable[ReceiveT]) -> None:
        """Hand over in batches; what was decoded before an error is delivered before it."""
        self._decoding = decoding = iter(messages)
        size = self._limits.max_inbox_messages // 2
        failure: Exception | None = None
        while failure is None and self._decoding is decoding:
            batch: list[ReceiveT] = []
            try:
                batch.extend(islice(decoding, size))
            except Exception as error:  # noqa: BLE001 - raised again below, after the batch
                failure = error
            if batch:
                self._counters.batches_received += 1
                self._counters.messages_received += len(batch)
                await self._hand_over(batch)
            if len(batch) < size:
                break
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

    async def _slow_down(self, bucket: TokenBucket, size: int) -> None:
        if (delay := bucket.spend(size, trio.current_time())) > 0:
            self._counters.rate_limited += 1
            await trio.sleep(delay)

    # The end

    def stop(self, reason: str) -> None:
        """Read no more: the receiver gets what has been decoded, then the end."""
        self._scope.cancel(reason=reason)

    def fail(self, error: Exception) -> None:
        """Read no more: the receiver gets what has been decoded, then `error`."""
        if self.error is None and not self.eof:
            self.error = error
        self.stop("the connection is lost")

    def close(self) -> None:
        """Read no more and deliver no more; a receiver that waits is told at once."""
        self._closed = True
        self._inbox.close()
        self.stop("the connection is closing")
