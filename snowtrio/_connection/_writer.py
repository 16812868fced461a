"""The writing half of a connection: senders, the outbox, and the task that empties it.

A message goes the short way when it can: nothing queued and nothing else to answer, so the socket
gets it at once and no other task is woken. Otherwise it gathers in the outbox's open batch. The
batch itself is what goes through the channel to the writer, once, when it is opened; the writer
runs on the next pass of the run loop and takes all that has gathered by then in one write.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import trio

from .._codec import Codec
from .._errors import ConnectionClosedError, ConnectionLostError
from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._outbox import Batch, Outbox
from ._statistics import Counters

SendT = TypeVar("SendT")


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
        "_changes",
        "_counters",
        "_on_loss",
        "_post",
        "_posted",
        "_sent_this_turn",
        "_share",
        "_transport",
        "_turns",
        "coder",
        "done",
        "lost",
        "on_progress",
        "outbox",
        "refusal",
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
        self.outbox = outbox
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
        self._on_loss = on_loss
        # At most the batch in flight that `_push` left over, and the open one.
        self._post: trio.MemorySendChannel[Batch[SendT]]
        self._posted: trio.MemoryReceiveChannel[Batch[SendT]]
        self._post, self._posted = trio.open_memory_channel(2)
        self._turns: trio.StrictFIFOLock | None = None
        self._changes = changes
        self._sent_this_turn = False

    # Senders

    async def send(self, message: SendT, *, answering: bool) -> None:
        """Wait for room and accept a message."""
        if not self._has_room():
            await self._wait_for_room()
        self._accept(message, answering=answering)

    def send_nowait(self, message: SendT, *, answering: bool) -> None:
        """Accept a message if there is room."""
        if not self._has_room():
            self._make_room()
            if not self._has_room():
                self._check()
                raise trio.WouldBlock
        self._accept(message, answering=answering)

    async def send_batch(self, messages: Iterable[SendT]) -> None:
        """Accept messages in order, waiting for room in between."""
        opened: Batch[SendT] | None = None
        try:
            for message in messages:
                if not self._has_room():
                    self._hand_to_task(opened)
                    opened = None
                    await self._wait_for_room()
                data = self.coder.encode(message)
                self._counters.messages_accepted += 1
                opened = self._put(message, data) or opened
        finally:
            # A message that cannot be encoded leaves those before it accepted.
            if opened is not None:
                self._push(opened)

    async def flush(self) -> None:
        """Wait until the kernel has all that was accepted before the call."""
        target = self._counters.messages_accepted
        await trio.lowlevel.checkpoint()
        await self._changes.wait_until(
            lambda: self._hopeless or self._counters.messages_sent >= target
        )
        if self._counters.messages_sent < target:
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

    def new_turn(self) -> None:
        """Note that the handler took up new input: its next answer may go the short way."""
        self._sent_this_turn = False

    def _accept(self, message: SendT, *, answering: bool) -> None:
        data = self.coder.encode(message)
        taken = 0
        if not (answering or self._sent_this_turn or self.outbox.count):
            self._sent_this_turn = True
            taken = self._try_now(data)
            if taken == len(data):
                self._counters.messages_accepted += 1
                self._counters.messages_sent += 1
                return
        self._counters.messages_accepted += 1
        self._hand_to_task(self._put(message, data, taken))

    def _put(self, message: SendT, data: bytes, taken: int = 0) -> Batch[SendT] | None:
        opened = self.outbox.put(message, data, taken)
        if self._share is not None:
            self._share.charge(len(data) - taken)
        return opened

    def _try_now(self, data: bytes) -> int:
        try:
            taken = self._transport.send_nowait(data)
        except trio.BrokenResourceError as error:
            raise again(self._lost(error)) from error
        self._counted(taken)
        return taken

    def _push(self, opened: Batch[SendT]) -> None:
        """Send a new batch at once if nothing is before it, and leave the rest to the writer.

        Once a turn, as with single messages: a task that only sends must come to a full outbox, and
        so to a checkpoint, however fast the peer takes it all.
        """
        if self._sent_this_turn or self.outbox.in_flight or self.refusal is not None:
            self._hand_to_task(opened)
            return
        self._sent_this_turn = True
        self._offer(self.outbox.seal())
        if opened.chunks:
            self._hand_to_task(opened)

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
                view = batch.gather()
                taken = self._transport.send_nowait(view) if view else 0
                self._advance(taken)
                if taken < len(view):
                    return
        except trio.BrokenResourceError as error:
            self._lost(error)

    def _hand_to_task(self, opened: Batch[SendT] | None) -> None:
        """Have the writer send a batch that was opened just now.

        Where the connection ended while its messages were being made, it is past sending and they
        stay for the account.
        """
        if opened is not None and self.refusal is None:
            self._post.send_nowait(opened)

    def _has_room(self) -> bool:
        """Whether a message can be accepted without waiting, and nobody waits before it."""
        return (
            (self._turns is None or not self._turns.locked())
            and self._fits()
            and self.refusal is None
        )

    def _fits(self) -> bool:
        outbox = self.outbox
        if self._share is not None and outbox.count and not self._share.allows:
            return False
        return outbox.count < outbox.max_messages and outbox.size < outbox.max_bytes

    async def _wait_for_room(self) -> None:
        """Wait in line: whoever came first goes on first."""
        self._check()
        self._counters.sends_waited += 1
        if self._turns is None:
            self._turns = trio.StrictFIFOLock()  # Most connections never need it.
        async with self._turns:
            await self._changes.wait_until(lambda: self._fits() or self.refusal is not None)
            self._check()

    def _check(self) -> None:
        if self.refusal is not None:
            raise again(self.refusal)

    def _raise_why_not_sent(self) -> None:
        if self.lost is not None:
            raise again(self.lost)
        self._check()

    # The task

    async def run(self) -> None:
        """Send batches until no more can come and all are sent, or the transport breaks."""
        try:
            while True:
                await self._send_batch(await self._posted.receive())
        except trio.EndOfChannel:
            pass  # Nothing more is accepted, and all is sent.
        except Exception as error:  # a stream may break in ways of its own
            # Our side may have closed the transport before all was sent; or its owner has, behind
            # our back, and then it is as lost as any.
            if not isinstance(error, trio.ClosedResourceError) or self.refusal is None:
                self._lost(error)
        finally:
            self.done = True
            self._changes.note()

    async def _send_batch(self, batch: Batch[SendT]) -> None:
        if not self.outbox.in_flight:
            self.outbox.seal()
        if not batch.chunks:
            self._advance(0)  # `_make_room` was faster.
        while batch.chunks and not self._abandoned:
            view = batch.gather()
            if not view:
                self._advance(0)
            while view:
                taken = await self._transport.send_some(view)
                view = view[taken:]
                self._advance(taken)
        self._sent_this_turn = False

    def _advance(self, taken: int) -> None:
        self._counters.messages_sent += self.outbox.advance(taken)
        self._counted(taken)
        if self._share is not None:
            self._share.charge(-taken)
        self._changes.note()
        if self.on_progress is not None:
            self.on_progress()

    def _counted(self, taken: int) -> None:
        if taken:
            self._counters.bytes_sent += taken
            self._counters.writes += 1

    def _lost(self, error: Exception) -> Exception:
        self.lost = as_lost(error)
        self._on_loss(self.lost)
        return self.lost

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
            self.refusal = reason
        self._post.close()
        self._changes.note()

    def abandon(self) -> None:
        """Send nothing more, though the kernel might take it."""
        self._abandoned = True

    def lose(self, error: Exception) -> None:
        """Send and accept nothing more: the transport is broken."""
        self.lost = error
        self.refuse(error)


def as_lost(error: Exception) -> Exception:
    """Return the transport's error as one of ours, which is still the Trio error that it was.

    TLS wraps what broke below it: a stall keeps its name through that.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ConnectionLostError):
            return inner
        inner = inner.__cause__
    if isinstance(error, trio.ClosedResourceError):
        closed = ConnectionClosedError(str(error) or "this side closed the connection")
        closed.__cause__ = error
        return closed
    lost = ConnectionLostError(str(error) or "connection lost")
    lost.__cause__ = error
    return lost


def again(error: Exception) -> Exception:
    """Return an error to raise for one more caller: a copy, so that tracebacks do not add up.

    One that cannot be copied is returned itself.
    """
    try:
        fresh = copy.copy(error)
    except Exception:  # a constructor that wants other arguments
        return error
    fresh.__cause__ = error.__cause__
    return fresh.with_traceback(error.__traceback__)
