"""The writing half of a connection: senders, the outbox, and the task that empties it.

A message goes the short way when it can: nothing queued and nothing else to answer, so the socket
gets it at once and no other task is woken. Otherwise it gathers in the outbox's open batch, which
leaves with the last answer of a turn, or in the next pass of the run loop (see `_departures`). What
the kernel does not take at once goes through the channel to the writer's task, which waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import attrs
import trio

from .._codec import Codec
from .._errors import ConnectionClosedError
from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._departures import current_departures
from ._losses import again, as_lost
from ._outbox import Batch, Outbox
from ._statistics import Counters

SendT = TypeVar("SendT")

# What is given to a kernel that has no room yet; anything behind it may still be dropped.
_IN_HAND = 16 * 1024

# What is closed while messages are still accepted was closed behind our back.
_LOSSES = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.define(eq=False)
class _Mark:
    """How many messages are to be sent until one that somebody waits for is."""

    target: int


class Writer(Generic[SendT]):
    """Accepts messages and brings them to the kernel in order.

    Parameters:
        transport: where the bytes go.
        coder: makes bytes of messages.
        outbox: what holds them until then.
        counters: the connection's counts.
        share: of the memory that all connections have together.
        changes: where everybody waits who waits for anything about this connection.
        on_loss: called when the transport breaks.
    """

    __slots__ = (
        "_abandoned",
        "_broadcast",
        "_changes",
        "_counters",
        "_departs",
        "_departures",
        "_gathered",
        "_marks",
        "_on_loss",
        "_post",
        "_posted",
        "_restricted",
        "_sent_this_turn",
        "_share",
        "_transport",
        "_turns",
        "ahead",
        "coder",
        "done",
        "lost",
        "on_progress",
        "outbox",
        "refusal",
        "shares_coder",
    )

    def __init__(
        self,
        transport: Transport,
        coder: Codec[SendT, Any],
        outbox: Outbox[SendT],
        counters: Counters,
        share: Share | None,
        changes: Changes,
        on_loss: Callable[[Exception], None],
    ) -> None:
        self.coder = coder
        self.shares_coder = False
        """Whether the coder remembers nothing, so that what it makes fits others too."""
        self.outbox = outbox
        self.ahead: list[SendT] | None = None
        """Messages to accept before any other: a plain function's answers, while it is called."""
        self._abandoned = False
        self.refusal: Exception | None = None
        """Why nothing more is accepted, once that is so."""
        self.lost: Exception | None = None
        """What broke the transport, if anything did."""
        self.on_progress: Callable[[], None] | None = None
        """Called when the kernel has taken something, where anybody wants to know."""
        self.done = False
        """Whether the task has ended."""
        self._transport = transport
        self._counters = counters
        self._share = share
        self._restricted = share is not None
        """Whether more than the outbox's bounds decides about room: it seldom does."""
        self._on_loss = on_loss
        # At most the batch in flight that `_push` left over, the open one, and a departure.
        self._post: trio.MemorySendChannel[Batch[SendT] | None]
        self._posted: trio.MemoryReceiveChannel[Batch[SendT] | None]
        self._post, self._posted = trio.open_memory_channel(3)
        self._departures = current_departures()
        self._gathered: Batch[SendT] | None = None
        """The open batch, unless it was left to the task."""
        self._turns: trio.StrictFIFOLock | None = None
        self._changes = changes
        self._sent_this_turn = False
        self._departs = False
        """Whether the next pass of the run loop ends this turn."""
        self._broadcast = False
        """Whether a broadcast has begun this turn: the next pass may not end it."""
        self._marks: tuple[_Mark, ...] = ()
        """What `flush` waits for: a message that is dropped before it makes it come sooner."""

    # Senders

    def has_room(self) -> bool:
        """Whether a message can be accepted without waiting, and nobody waits before it."""
        outbox = self.outbox
        if outbox.count >= outbox.max_messages or outbox.size >= outbox.max_bytes:
            return False
        return not self._restricted or self._has_right()

    def _has_right(self) -> bool:
        return (
            self.refusal is None
            and (self._turns is None or not self._turns.locked())
            and self._affords()
        )

    def makes_room(self) -> bool:
        """Whether there is room, or some once the kernel has been offered what has gathered."""
        if self.has_room():
            return True
        self._make_room()
        if self.has_room():
            return True
        self._leave_to_task()  # The kernel has none either, and what has gathered is to wait there.
        return False

    def accept(self, message: SendT, answering: object) -> bool:
        """Accept a message if there is room for it now; say whether there was.

        All in one piece, for this is what a message costs.

        Parameters:
            message: what to send.
            answering: true where there is more to answer, so that it should wait for company.

        Raises:
            LocalProtocolError: it cannot be encoded.
            ConnectionLostError: the transport broke.
        """
        outbox = self.outbox
        if (
            outbox.count >= outbox.max_messages
            or outbox.size >= outbox.max_bytes
            or (self._restricted and not self._has_right())
        ):
            return False
        if self.ahead:
            self._accept_ahead(self.ahead)
        data = self.coder.encode(message)
        taken = 0
        if not (answering or self._sent_this_turn or outbox.count):
            taken = self._try_now(data)
            if taken == len(data):
                self._counters.messages_sent += 1
                return True
        opened = outbox.put(message, data, taken)
        if self._share is not None:
            self._share.charge(len(data) - taken)
        if opened is not None:
            self._opened(opened)
        elif not answering and self._gathered is not None:
            self._push()  # The last answer takes the others along.
        if self._broadcast or self._departures.held:
            self._leave_to_task()  # Departures may be far off.
        return True

    def accept_in_turn(self, message: SendT) -> None:
        """Accept a message for which `wait_for_room` has found room."""
        self._gather(message)
        self._leave_to_task()

    def accept_nowait(self, message: SendT, answering: object) -> None:
        """Accept a message if there is room, or can be made; raises also ``trio.WouldBlock``."""
        if not (self.makes_room() and self.accept(message, answering)):
            self._check()
            raise trio.WouldBlock

    def accept_many(self, messages: Sequence[SendT]) -> int:
        """Accept as many messages as there is room for, in order, and return how many.

        Raises:
            LocalProtocolError: one cannot be encoded; those before it have been accepted.
            ConnectionLostError: the transport broke; none was accepted.
        """
        if len(messages) == 1:
            return int(self.accept(messages[0], answering=False))
        first = not (self._sent_this_turn or self.outbox.count) and self.has_room()
        if first and len(messages) <= self.outbox.max_messages:
            data = self.coder.encode_batch(messages)
            if data is not None and len(data) <= self.outbox.max_bytes:
                self._send_joined(messages, data)
                return len(messages)
        accepted = 0
        try:
            while accepted < len(messages) and self.has_room():
                self._gather(messages[accepted])
                accepted += 1
        finally:
            self._push()
        return accepted

    async def send_batch(self, messages: Iterable[SendT]) -> None:
        """Accept messages in order, waiting for room in between."""
        if isinstance(messages, (list, tuple)):
            accepted = self.accept_many(messages)
            messages = messages[accepted:]
        try:
            for message in messages:
                if not self.has_room():
                    self._leave_to_task()
                    await self.wait_for_room()
                self._gather(message)
        finally:
            # A message that cannot be encoded leaves those before it accepted.
            self._push()

    async def wait_for_room(self) -> None:
        """Wait in line: whoever came first goes on first."""
        self._check()
        self._leave_to_task()
        self._counters.sends_waited += 1
        if self._turns is None:
            self._turns = trio.StrictFIFOLock()  # Most connections never need it.
            self._restricted = True
        async with self._turns:
            await self._changes.wait_until(lambda: self._fits() or self.refusal is not None)
            self._check()

    async def flush(self) -> None:
        """Wait until the kernel has all that was accepted before the call."""
        self._leave_to_task()
        mark = _Mark(self._counters.messages_sent + self.outbox.count + self.outbox.given_up)
        self._marks = (*self._marks, mark)
        try:
            await trio.lowlevel.checkpoint()
            await self._changes.wait_until(
                lambda: self._hopeless or self._counters.messages_sent >= mark.target
            )
        finally:
            self._marks = tuple(each for each in self._marks if each is not mark)
        if self._counters.messages_sent < mark.target:
            self._raise_why_not_sent()

    async def send_eof(self) -> None:
        """Accept nothing more, wait until the kernel has all, and end our direction."""
        self.refuse(ConnectionClosedError("this side has sent its end of input"))
        await self._changes.wait_until(lambda: self._hopeless)
        if self.outbox.count or self.lost is not None:
            self._raise_why_not_sent()
        try:
            await self._transport.send_eof()
        except trio.BrokenResourceError as error:
            raise again(self._lost(error)) from error
        except trio.ClosedResourceError as error:
            raise as_lost(error) from error

    @property
    def accepted(self) -> int:
        """Messages accepted so far: sent, in the outbox, left in it at the end, or dropped."""
        counters, outbox = self._counters, self.outbox
        return counters.messages_sent + counters.messages_dropped + outbox.count + outbox.given_up

    def switch(self, coder: Codec[SendT, Any], *, shared: bool) -> None:
        """Encode with another coder what is accepted from here on.

        Parameters:
            coder: the new one.
            shared: whether it remembers nothing.
        """
        if self.ahead:
            self._accept_ahead(self.ahead)
        self.coder = coder
        self.shares_coder = shared

    def new_turn(self) -> None:
        """Note that the handler took up new input: its next answer may go the short way."""
        self._sent_this_turn = False

    def _accept_ahead(self, made: list[SendT]) -> None:
        accepted = 0
        try:
            for message in made:
                self._gather(message)
                accepted += 1
        finally:
            del made[:accepted]  # One that cannot be encoded is met again, those before it not.

    def _gather(self, message: SendT) -> None:
        """Put a message to those that leave next."""
        self._put_encoded(message, self.coder.encode(message))

    def _opened(self, batch: Batch[SendT]) -> None:
        """See to it that a batch leaves by the next pass of the run loop at the latest."""
        self._gathered = batch
        if batch.taken or self.outbox.in_flight or not self._transport.sends_nowait:
            self._leave_to_task()
        elif not self._departs:
            self._departs = True
            self._departures.add(self)

    def carry(self) -> bool:
        """Have the task run the departures in the next pass, unless it may wait for the kernel."""
        if self.refusal is not None or (self._gathered is None and self.outbox.count):
            return False
        self._post.send_nowait(None)
        return True

    def depart(self) -> None:
        """Send what has gathered since the last pass of the run loop, and begin a new turn."""
        self._departs = self._broadcast = self._sent_this_turn = False
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
            raise again(self._lost(error)) from error
        if taken:
            self._counters.bytes_sent += taken
            self._counters.writes += 1
        return taken

    def _send_joined(self, messages: Sequence[SendT], data: bytes) -> None:
        """Send what many messages came to; only what is left of it needs an account."""
        taken = self._try_now(data)
        if taken == len(data):
            self._counters.messages_sent += len(messages)
            return
        for message in messages:
            self._gather(message)
        self.outbox.seal()
        self._note_taken(taken)
        self._leave_to_task()

    def _push(self) -> None:
        """Send what has gathered, unless something of this turn went before; it departs then."""
        batch = self._gathered
        if batch is None or self.refusal is not None:
            return
        if self._sent_this_turn:
            if self._broadcast or self._departures.held:
                self._leave_to_task()
            return
        self._sent_this_turn = True
        self._offer(self.outbox.seal())
        if batch.chunks:
            self._leave_to_task()
        else:
            self._gathered = None

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
        batch, self._gathered = self._gathered, None
        if batch is not None and self.refusal is None:
            self._post.send_nowait(batch)

    def _fits(self) -> bool:
        outbox = self.outbox
        return (
            outbox.count < outbox.max_messages
            and outbox.size < outbox.max_bytes
            and self._affords()
        )

    def _affords(self) -> bool:
        """Whether the memory budget allows for a message; the only one is always allowed."""
        return self._share is None or not self.outbox.count or self._share.allows

    def _check(self) -> None:
        if self.refusal is not None:
            raise again(self.refusal)

    def _raise_why_not_sent(self) -> None:
        if self.lost is not None:
            raise again(self.lost)
        self._check()

    # Broadcasts

    def accept_encoded(self, message: SendT, data: bytes) -> bool:
        """Accept a message that has been encoded, if there is room; say whether there was.

        The first of a turn goes the short way, those behind it gather until the turn ends.

        Raises:
            trio.BrokenResourceError: the transport broke.
            trio.ClosedResourceError: it was closed.
        """
        outbox = self.outbox
        if self._sent_this_turn or outbox.count or self._restricted:
            if (
                self._restricted
                or outbox.count >= outbox.max_messages
                or outbox.size >= outbox.max_bytes
            ) and not self.makes_room():
                return False
            self._put_encoded(message, data)
            return True
        taken = self._try_now(data)
        if taken == len(data):
            self._counters.messages_sent += 1
        else:
            self._put_encoded(message, data, taken)
        self._broadcast = True
        if not self._departs:
            self._departs = True
            self._departures.add(self)
        return True

    def accept_late(self, message: SendT, data: bytes) -> None:
        """Accept a message that has been encoded, as `wait_for_room` has waited for its room."""
        self._put_encoded(message, data)
        self._leave_to_task()

    def accept_in_place(self, message: SendT, data: bytes) -> int:
        """Accept a message in the place of the oldest that may give way.

        Returns how many did; if none could, the message has not been accepted.
        """
        victims = self.outbox.make_way(len(data))
        if victims:
            self._counters.messages_dropped += len(victims)
            sent = self._counters.messages_sent
            for mark in self._marks:
                mark.target -= sum(sent + before < mark.target for before, _ in victims)
            if self._share is not None:
                self._share.charge(-sum(size for _, size in victims))
            self._put_encoded(message, data)
            self._leave_to_task()
            self._changes.note()
        return len(victims)

    def drop_newest(self) -> None:
        """Count a message that is accepted for the account only."""
        self._counters.messages_dropped += 1

    def _put_encoded(self, message: SendT, data: bytes, taken: int = 0) -> None:
        opened = self.outbox.put(message, data, taken)
        if self._share is not None:
            self._share.charge(len(data) - taken)
        if opened is not None:
            self._opened(opened)

    # The task

    async def run(self) -> None:
        """Send batches until no more can come and all are sent, or the transport breaks."""
        try:
            while True:
                batch = await self._posted.receive()
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
            self._departures.run(self)  # It may have been woken for them.
            self.done = True
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
        self._sent_this_turn = False

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

    @property
    def _hopeless(self) -> bool:
        """Whether nothing more will be sent, though the task may not have noticed yet."""
        return self.done or self.lost is not None

    @property
    def idle(self) -> bool:
        """Whether the kernel has everything that was accepted."""
        return not self.outbox.count and self.lost is None

    async def wait_done(self) -> None:
        """Wait until the task has ended."""
        await self._changes.wait_until(lambda: self.done)

    # The end

    def refuse(self, reason: Exception) -> None:
        """Accept nothing more; senders that wait are told at once. What is accepted still goes."""
        if self.refusal is None:
            self._leave_to_task()  # It cannot be told of anything later.
            self.refusal = reason
        self._restricted = True
        self._post.close()
        self._changes.note()

    def abandon(self) -> None:
        """Send nothing more, though the kernel might take it."""
        self._abandoned = True

    def lose(self, error: Exception) -> None:
        """Send and accept nothing more: the transport is broken."""
        self.lost = error
        self.refuse(error)
