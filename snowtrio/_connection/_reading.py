"""What can be done in the place of a connection's reader task, by whoever is there.

One read, one decode, one hand-over: the batch is the unit. A socket among many is watched by the
notifier, which calls `Reading.on_readable` when something has come. Where sockets are few, a
receiver that waits reads in its own task. Whatever has to be waited for, they leave to the reader's
task in the middle of their work, and it goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._transport import Interrupted, Transport
from ._answering import Answering
from ._budget import Share
from ._decoder import Decoder
from ._inbox import Inbox
from ._intake import Intake
from ._limits import ConnectionLimits
from ._rate import TokenBucket
from ._shelf import Item, Shelf
from ._slot import Slot
from ._statistics import Counters

ReceiveT = TypeVar("ReceiveT")

# How long a receiver may be busy with a batch, in seconds, before reading goes on without it.
PATIENCE = 0.02


class Reading(Generic[ReceiveT]):
    """Reads, decodes and hands over what can be had without waiting.

    Parameters:
        transport: where the bytes come from.
        buffer: what the handshake left over.
        coder: makes messages of bytes.
        limits: the connection's.
        counters: the connection's counts.
        share: of the memory that all connections have together.
        bucket: limits the rate of this peer.
    """

    __slots__ = (
        "_counters",
        "_decoder",
        "_in_place",
        "_intake",
        "_last",
        "_left",
        "_limits",
        "_missed",
        "_nap",
        "_place",
        "_slot",
        "_target",
        "_transport",
        "buffer",
        "inbox",
        "on_progress",
    )

    def __init__(
        self,
        transport: Transport,
        buffer: ReceiveBuffer,
        coder: Codec[Any, ReceiveT],
        limits: ConnectionLimits,
        counters: Counters,
        share: Share | None,
        bucket: TokenBucket | None,
    ) -> None:
        self.buffer = buffer
        self.inbox: Inbox[ReceiveT] = Inbox()
        self.on_progress: Callable[[], None] | None = None
        """Called when messages have come, where anybody wants to know."""
        self._transport = transport
        self._decoder: Decoder[ReceiveT] = Decoder(coder, buffer, limits.max_inbox_messages // 2)
        self._target: Inbox[ReceiveT] | Answering[Any, ReceiveT] = self.inbox
        self._limits = limits
        self._counters = counters
        self._intake = Intake(buffer, counters, share, bucket, limits.stall_timeout)
        self._nap: trio.CancelScope | None = None
        self._in_place = False
        """Whether the receiver reads in its own task."""
        self._place: trio.CancelScope | None = None
        self._missed: BaseException | None = None
        self._slot: Slot[bytes | BaseException | None] = Slot()
        """Where the task waits while others do its work."""
        self._last: bytes | BaseException | None = None
        """With what others have ended the reading, if they have."""
        self._left: Item[ReceiveT] | None = None

    # The steps

    def _took(self, data: bytes) -> None:
        counters, size = self._counters, len(data)
        counters.reads += 1
        counters.bytes_received += size
        self._decoder.feed(data)
        if self._intake.limited:
            self._intake.took(size)

    def _next_item(self) -> Item[ReceiveT] | None:
        item = self._decoder.next_batch()
        if type(item) is list:
            counters = self._counters
            counters.batches_received += 1
            counters.messages_received += len(item)
            if self.on_progress is not None:
                self.on_progress()
        elif item is not None:
            self._counters.messages_skipped += 1
        return item

    # Called by the notifier

    def on_readable(self, watched: bool) -> None:
        """Read, decode and hand over what is there; leave to the task what has to wait."""
        if self._slot.waiting is None:
            return
        try:
            if not watched or (self._intake.limited and not self._intake.open):
                self._leave()
                return
            data = self._transport.receive_nowait(self._limits.receive_size)
            if not data:
                self._leave(data)
                return
            self._took(data)
            self._deliver_nowait()
        except BaseException as error:  # the task knows what to do with it
            self._leave(error)

    def read_ahead(self, max_messages: int, max_size: int, size: Callable[[ReceiveT], int]) -> None:
        """Go on without a receiver, as far as there is room; see `Control.read_ahead`."""
        self.inbox.read_ahead(Shelf(max_messages, max_size, size))
        self._decoder.bound(max(max_messages // 2, 1), max(max_size // 2, 1), size)

    @property
    def answers(self) -> bool:
        """Whether messages are answered rather than received."""
        return self._target is not self.inbox

    @property
    def queued(self) -> int:
        """Messages that were decoded and not received, or not answered."""
        left = len(self._left) if isinstance(self._left, list) else 0
        waiting = self._target.queued if isinstance(self._target, Answering) else left
        return self.inbox.queued + waiting

    def has_input(self) -> bool:
        """Whether anything has been read and not handed over, or could be read now."""
        read = self._left is not None or self._last is not None or bool(self.buffer)
        return read or self._transport.has_input()

    def _deliver_nowait(self) -> None:
        decoder, slot = self._decoder, self._slot
        # The receiver may have ended the connection, so that nobody wants the rest.
        while decoder.more and slot.waiting is not None:
            item = self._next_item()
            if item is not None and not self._target.put_nowait(item):
                self._left = item
                self._leave()
                return
        if self._intake.limited:
            self._intake.settle()
        if self.buffer.paused:
            self._leave()

    def _leave(self, what: bytes | BaseException | None = None) -> None:
        """Have the task go on from here."""
        if self._slot.waiting is not None:
            self._transport.unwatch()
            self._give_up_place()
            self._last = what
            self._slot.put(what)
        else:  # The task has just woken up by itself, and is to see that it has something to do.
            self.inbox.read = None
            if isinstance(what, BaseException):
                self._missed = what

    # The receiver itself, where sockets are few

    async def _rest(self) -> bytes | BaseException | None:
        """Leave the reading to a receiver that comes for more, until it stays away."""
        self.inbox.read = self._read_in_place
        deadline = trio.current_time() + PATIENCE
        try:
            while True:
                with trio.CancelScope(deadline=deadline) as self._nap:
                    return await self._slot.wait()
                if not self._in_place or self.inbox.read is None:
                    self.inbox.near = False
                    return self._missed
                deadline = math.inf
        finally:
            self._give_up_place()

    def read_on(self) -> None:
        """Read now rather than leave it to a receiver that is expected but not there."""
        if self.inbox.read is not None and not self._in_place:
            self.inbox.near = False
            self._leave()

    async def _read_in_place(self) -> Item[ReceiveT] | None:
        """Read and decode in the receiver's task; None where it has to look what there is."""
        if self._transport.interruptible:
            return await self._read_here()
        with trio.CancelScope() as self._place:
            return await self._read_here()
        return None

    async def _read_here(self) -> Item[ReceiveT] | None:
        self._in_place = True
        try:
            return await self._read_item()
        except Interrupted:
            pass
        except Exception as error:  # the task knows what to do with it
            self._leave(error)
        finally:
            self._in_place, self._place = False, None
            if self._nap is not None and self._nap.deadline == math.inf:
                self._nap.deadline = trio.current_time() + PATIENCE
        return None

    async def _read_item(self) -> Item[ReceiveT] | None:
        item = None
        while item is None and not self.buffer.paused:
            data = await self._transport.receive_some(self._limits.receive_size)
            if not data:
                self._leave(data)
                return None
            self._took(data)
            item = self._next_item()
        if self._decoder.more or self.buffer.paused:
            self._leave()
        return item

    def _give_up_place(self) -> None:
        self.inbox.read = None
        if self._place is not None:
            self._place.cancel(reason="the connection's own task reads now")
        elif self._in_place:
            self._transport.interrupt_receive()
