"""How what has been accepted comes to the kernel: at once, in the next pass, or by waiting.

Messages gather in the outbox's open batch, which leaves with the last answer of a turn, or in the
next pass of the run loop (see `_departures`). What the kernel does not take at once goes to the
task, which waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._departures import current_departures
from ._losses import again, as_lost, nobody_is_told
from ._outbox import Batch, Outbox
from ._post import Post
from ._statistics import Counters

SendT = TypeVar("SendT")

# What is given to a kernel that has no room yet; anything behind it may still be dropped.
_IN_HAND = 16 * 1024

# What is closed while messages are still accepted was closed behind our back.
_LOSSES = (trio.BrokenResourceError, trio.ClosedResourceError)


class Delivery(Generic[SendT]):
    """The lower half of a `Writer`: its task, its turns, and its end.

    Parameters:
        transport: where the bytes go.
        outbox: what holds them until then.
        counters: the connection's counts.
        share: of the memory that all connections have together.
        changes: where everybody waits who waits for anything about this connection.
        on_loss: called when the transport breaks.
    """

    __slots__ = (
        "_abandoned",
        "_changes",
        "_counters",
        "_departs",
        "_departures",
        "_on_loss",
        "_post",
        "_sent_this_turn",
        "_share",
        "_transport",
        "broadcast",
        "done",
        "explain",
        "gathered",
        "leavers",
        "lost",
        "on_end",
        "on_progress",
        "outbox",
        "refusal",
        "restricted",
    )

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox[SendT],
        counters: Counters,
        share: Share | None,
        changes: Changes,
        on_loss: Callable[[Exception], None],
    ) -> None:
        self.outbox = outbox
        self.refusal: Exception | None = None
        """Why nothing more is accepted, once that is so."""
        self.lost: Exception | None = None
        """What broke the transport, if anything did."""
        self.on_progress: Callable[[], None] | None = None
        """Called when the kernel has taken something, where anybody wants to know."""
        self.on_end: Callable[[], None] | None = None
        """Called when the connection has ended, where anybody wants to know."""
        self.explain: Callable[[Exception], Exception] | None = None
        """Makes what senders get of why nothing is sent, where a protocol has better words."""
        self.done = False
        """Whether the task has ended."""
        self.leavers: tuple[Callable[[], None], ...] = ()
        """Called when nothing more is accepted."""
        self._transport = transport
        self._counters = counters
        self._share = share
        self.restricted = share is not None
        """Whether more than the outbox's bounds decides about room: it seldom does."""
        self._changes = changes
        self._on_loss = on_loss
        # At most the batch in flight that `_push` left over, the open one, and a departure.
        self._post: Post[Batch[SendT] | None] = Post()
        self._departures = current_departures()
        self.gathered: Batch[SendT] | None = None
        """The open batch, unless it was left to the task."""
        self._sent_this_turn = False
        self._departs = False
        """Whether the next pass of the run loop ends this turn."""
        self.broadcast = False
        """Whether a broadcast has begun this turn: the next pass may not end it."""
        self._abandoned = False

    # What has gathered

    @property
    def accepted(self) -> int:
        """Messages accepted so far: sent, in the outbox, left in it at the end, or dropped."""
        counters, outbox = self._counters, self.outbox
        return counters.messages_sent + counters.messages_dropped + outbox.count + outbox.given_up

    @property
    def idle(self) -> bool:
        """Whether the kernel has everything that was accepted."""
        return not self.outbox.count and self.lost is None

    def _put(self, message: SendT, data: bytes, taken: int = 0) -> None:
        """Take a message into the outbox, and see to it that it leaves."""
        opened = self.outbox.put(message, data, taken)
        if self._share is not None:
            self._share.charge(len(data) - taken)
        if opened is not None:
            self._opened(opened)

    def _opened(self, batch: Batch[SendT]) -> None:
        """See to it that a batch leaves by the next pass of the run loop at the latest."""
        self.gathered = batch
        if batch.taken or self.outbox.in_flight or not self._transport.sends_nowait:
            self._leave_to_task()
        elif self._departures.held and not self.broadcast:
            self._leave_to_task()  # Somebody's broadcast may hold departures for long.
        elif not self._departs:
            self._departs = True
            self._departures.add(self)

    def carry(self) -> bool:
        """Have the task run the departures in the next pass, unless it may wait for the kernel."""
        if self.done or self.refusal is not None or (self.gathered is None and self.outbox.count):
            return False
        self._post.put(None)
        return True

    def depart(self) -> None:
        """Send what has gathered since the last pass of the run loop, and begin a new turn."""
        self._departs = self.broadcast = self._sent_this_turn = False
        self._push()
        self._sent_this_turn = False

    def _try_now(self, data: bytes) -> int:
        """Give the kernel what it takes; the other messages of this turn wait for company.

        A task that only sends comes to a full outbox this way, and so to a checkpoint, however
        fast the peer takes it all.
        """
        self._sent_this_turn = True
        try:
            taken = self._transport.send_nowait(data)
        except _LOSSES as error:
            raise self._explained(self._lost(error)) from error
        if taken:
            self._counters.bytes_sent += taken
            self._counters.writes += 1
        return taken

    def _push(self) -> None:
        """Send what has gathered, unless something of this turn went before; it departs then."""
        batch = self.gathered
        if batch is None or self.refusal is not None:
            return
        if self._sent_this_turn:
            if self.broadcast:
                self._leave_to_task()
            return
        self._sent_this_turn = True
        self._offer(self.outbox.seal())
        if batch.chunks:
            self._leave_to_task()
        else:
            self.gathered = None

    def _make_room(self) -> None:
        """Offer the kernel what has gathered, for a task that has not let the writer run.

        A full outbox is to mean that the peer is slow, not that this pass of the run loop is long.
        """
        if self.outbox.in_flight or not self.outbox.gathering or self.refusal is not None:
            return
        batch = self.outbox.seal()
        self._offer(batch)
        self.outbox.reopen(batch)

    def _offer(self, batch: Batch[SendT]) -> None:
        """Give the kernel as much of the sealed batch as it takes without waiting."""
        if not batch.chunks:
            self._advance(0)  # `_make_room` was faster, and nothing of it is left.
        try:
            while batch.chunks:
                data = batch.gather()
                taken = self._transport.send_nowait(data) if data else 0
                self._advance(taken)
                if taken < len(data):
                    return
        except _LOSSES as error:
            self._lost(error)

    def _leave_to_task(self) -> None:
        """Have the task send what has gathered, or is left of it: it can wait for the kernel.

        Where the connection ended while its messages were being made, it is past sending and they
        stay for the account.
        """
        batch, self.gathered = self.gathered, None
        if batch is not None and self.refusal is None:
            self._post.put(batch)

    # The task

    async def run(self) -> None:
        """Send batches until no more can come and all are sent, or the transport breaks."""
        try:
            while True:
                batch = await self._post.take()
                if batch is None:
                    self._departures.run(self)
                else:
                    await self._send_batch(batch)
        except trio.EndOfChannel:
            pass  # Nothing more is accepted, and all is sent.
        except Exception as error:  # a stream may break in ways of its own
            # Our side may have closed the transport before all was sent; or its owner has, behind
            # our back, and then it is as lost as any.
            if not isinstance(error, trio.ClosedResourceError) or self.refusal is None:
                self._lost(error)
        finally:
            self.done = True  # Cancelled, it may end before anything is refused.
            self._departures.run(self)  # It may have been woken for them.
            self._changes.note()

    async def _send_batch(self, batch: Batch[SendT]) -> None:
        if not self.outbox.in_flight:
            self.outbox.seal()
        if not batch.chunks:
            self._advance(0)  # `_make_room` was faster.
        while batch.chunks and not self._abandoned:
            view = memoryview(batch.gather())
            if not view:
                self._advance(0)
            size = batch.size
            # Where something was dropped meanwhile, what was gathered is not what is to be sent.
            while view and batch.size == size:
                taken = self._transport.send_nowait(view)
                if not taken:
                    batch.in_hand = len(view[:_IN_HAND])
                    taken = await self._transport.send_some(view[:_IN_HAND])
                    batch.in_hand = 0
                view = view[taken:]
                size -= taken
                self._advance(taken)
        self.broadcast = self._sent_this_turn = False

    def _advance(self, taken: int) -> None:
        if taken:
            self._counters.bytes_sent += taken
            self._counters.writes += 1
        self._note_taken(taken)

    def _note_taken(self, taken: int) -> None:
        self._counters.messages_sent += self.outbox.advance(taken)
        if self._share is not None:
            self._share.charge(-taken)
        self._changes.note()
        if self.on_progress is not None:
            self.on_progress()

    def _lost(self, error: Exception) -> Exception:
        self.lost = as_lost(error)
        self._on_loss(self.lost)
        return self.lost

    def give_up(self, error: Exception) -> None:
        """Take the connection for lost, though the transport does not say so."""
        self._lost(error)

    def _explained(self, error: Exception) -> Exception:
        return again(error) if self.explain is None else self.explain(error)

    @property
    def _hopeless(self) -> bool:
        """Whether nothing more will be sent, though the task may not have noticed yet."""
        return self.done or self.lost is not None

    async def wait_done(self) -> None:
        """Wait until the task has ended."""
        await self._changes.wait_until(lambda: self.done)

    # The end

    def refuse(self, reason: Exception) -> None:
        """Accept nothing more; senders that wait are told at once. What is accepted still goes."""
        if self.refusal is None:
            self._leave_to_task()  # It cannot be told of anything later.
            self.refusal = reason
        self.restricted = True
        self._post.close()
        self._changes.note()
        leavers, self.leavers = self.leavers, ()
        for leave in leavers:
            leave()

    def abandon(self) -> None:
        """Send nothing more, though the kernel might take it."""
        self._abandoned = True

    def lose(self, error: Exception) -> None:
        """Send and accept nothing more: the transport is broken."""
        self.lost = error
        self.refuse(error)

    def let_go(self) -> None:
        """Drop the owner, once everything has stopped."""
        self._on_loss = nobody_is_told
