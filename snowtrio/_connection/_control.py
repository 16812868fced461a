"""What a protocol does beside the conversation: answer by itself, end in its own way, read on.

For the rooms above whose protocols have messages of their own between those of their users.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeAlias, TypeVar

from .._errors import ConnectionClosedError
from ._answering import Answering
from ._changes import Changes
from ._reader import Reader
from ._statistics import Counters
from ._writer import Writer

SendT = TypeVar("SendT")

SendInTurn: TypeAlias = Callable[[SendT], Awaitable[None]]


class Control(Generic[SendT]):
    """The other side of a connection; `control_of` makes one.

    Parameters:
        writer: the connection's.
        reader: likewise.
        counters: likewise.
        changes: likewise.
    """

    __slots__ = ("_changes", "_counters", "_inbox", "_reader", "_writer")

    def __init__(
        self, writer: Writer[SendT], reader: Reader[Any], counters: Counters, changes: Changes
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._inbox = reader.inbox
        self._counters = counters
        self._changes = changes

    # Sending

    def send_nowait(self, message: SendT) -> None:
        """Accept a small message though the outbox be full; it leaves in the next pass at latest.

        Whoever calls this bounds how many there are. Nothing where the connection is past sending.
        """
        self._writer.accept_past(message)

    def send_last(self, message: SendT) -> None:
        """As `send_nowait`, and accept nothing more; the kernel is offered what there is at once.

        What was accepted still goes, and receiving goes on.
        """
        self._writer.accept_past(message)
        self._writer.depart()
        self._writer.refuse(ConnectionClosedError("this side has ended its messages"))

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[SendInTurn[SendT], None]:
        """Keep all other senders waiting; what is given sends, in the meantime.

        What `send_nowait` accepts goes in between.
        """
        writer = self._writer
        async with writer.take_turns():
            writer.exclusive = True
            try:
                yield self._send_in_turn
            finally:
                writer.exclusive = False

    async def _send_in_turn(self, message: SendT) -> None:
        await self._writer.wait_in_turn()
        self._writer.accept_in_turn(message)

    @property
    def left(self) -> int:
        """Messages that have left the outbox so far: given to the kernel, or dropped."""
        return self._counters.messages_sent + self._counters.messages_dropped

    @property
    def accepted(self) -> int:
        """Messages accepted so far."""
        return self._writer.accepted

    def on_next_progress(self, function: Callable[[], None]) -> None:
        """Have a function called once, when the kernel has taken something; it must not send."""
        before = self._writer.on_progress

        def progressed() -> None:
            self._writer.on_progress = before
            if before is not None:
                before()
            function()

        self._writer.on_progress = progressed

    def drop_broadcasts(self) -> None:
        """Forget the messages of broadcasts that the kernel does not have."""
        self._writer.drop_broadcasts()

    def on_refusal(self, function: Callable[[], None]) -> None:
        """Have a function called, once, when nothing more is accepted, whatever the cause."""
        self._writer.leavers = (*self._writer.leavers, function)

    def off_refusal(self, function: Callable[[], None]) -> None:
        """Have it not called any more."""
        leavers = self._writer.leavers
        self._writer.leavers = tuple(each for each in leavers if each is not function)

    @property
    def past_sending(self) -> bool:
        """Whether nothing more is accepted."""
        return self._writer.refusal is not None

    # Receiving

    def read_ahead(
        self, max_messages: int, max_size: int, size: Callable[[Any], int] = len
    ) -> None:
        """Let reading go on while nobody receives (by default it stops with one batch).

        Batches have up to half of what may be kept. One is in the receiver's hands and one in the
        reader's beside those that are kept, so twice as much may be held.

        Parameters:
            max_messages: kept at most.
            max_size: of all that are kept; the batch that goes beyond it is kept too.
            size: of one message.
        """
        self._reader.read_ahead(max_messages, max_size, size)

    def read_on(self) -> None:
        """Have what comes read at once, though no receiver is there: an answer is expected."""
        self._reader.read_on()

    def part(self) -> None:
        """Have what still comes read, and let the transport break: nobody minds any more."""
        self._reader.parting = True
        self._reader.read_on()

    def spill(self) -> None:
        """Read on whether anybody receives or not; what there is no room for is thrown away."""
        self._inbox.spill()

    @property
    def reading_stopped(self) -> bool:
        """Whether nothing is read since nobody receives."""
        return self._inbox.full

    @property
    def queued(self) -> int:
        """Messages that were decoded and not received, or not answered."""
        return self._reader.queued

    @property
    def taken(self) -> int:
        """Messages that somebody has received so far, or answered, or that were thrown away."""
        return self._counters.messages_received - self._reader.queued

    @property
    def has_receiver(self) -> bool:
        """Whether anybody has ever received since the protocol began, or waits, or answers."""
        return self._inbox.wanted or self._reader.answers

    @property
    def bytes_received(self) -> int:
        """Bytes that have come so far."""
        return self._counters.bytes_received

    @property
    def messages_received(self) -> int:
        """Messages that were decoded so far."""
        return self._counters.messages_received

    @property
    def has_bytes(self) -> bool:
        """Whether there are bytes that have not been looked at, as far as can be told."""
        return self._reader.has_input()

    @property
    def peer_ended(self) -> bool:
        """Whether the peer's last byte has come, though not all may be decoded yet."""
        return self._reader.eof or self._reader.done

    @property
    def input_ended(self) -> bool:
        """Whether nothing more will be read."""
        return self._reader.done

    async def discard_rest(self) -> None:
        """Throw away what comes behind the last message, until the peer ends its input.

        Only once `input_ended`; one task at a time.
        """
        await self._reader.discard_rest()

    async def answer(self, function: Callable[[Any, Any], SendT | None], given: object) -> None:
        """As `Connection.answer`, which raises the same.

        Parameters:
            function: of `given` and a message.
            given: to the function, in the connection's place.
        """
        answering: Answering[SendT, Any]
        answering = Answering(function, given, self._writer, self._inbox.interrupt)
        await self._reader.answer(answering)

    # Waiting

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, which is looked at when the connection changes.

        That is when it ends, in either direction, and with every `note`. No checkpoint if it holds
        already.
        """
        await self._changes.wait_until(condition)

    def note(self) -> None:
        """Have those who wait look again."""
        self._changes.note()

    # The end

    def explain(self, function: Callable[[Exception], Exception]) -> None:
        """Have a function say what senders and receivers get once nothing goes on.

        What has come can then be received after our side has closed, and a receiver that waits is
        told of a loss before its handler is cancelled for it.

        Parameters:
            function: of the core's reason; returns an error of its own each time, or the reason.
        """
        self._writer.explain = self._inbox.explain = function

    def on_input_taken(self, function: Callable[[], None]) -> None:
        """Have a function called when a receiver has taken all that came, and asks for more.

        Where nothing has come since this call, at the end itself.
        """
        self._inbox.on_end = function
        self._inbox.taken = False

    def on_end(self, function: Callable[[], None]) -> None:
        """Have a function called when the connection has ended, whatever the cause."""
        self._writer.on_end = function

    def lose(self, error: Exception) -> None:
        """Take the connection for lost, for a reason that the transport does not know of."""
        self._writer.give_up(error)

    @property
    def loss(self) -> Exception | None:
        """What broke the connection or ended its input, if anything did."""
        return self._writer.lost or self._reader.error
