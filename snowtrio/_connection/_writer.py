"""The sending half of a connection as its users meet it: who may send when, and by which way.

A message goes the short way when it can: nothing queued and nothing else to answer, so the socket
gets it at once and no other task is woken. Otherwise it gathers, and leaves with others; that is
`_delivery`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import trio

from .._codec import Codec
from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._flushing import Flushing
from ._outbox import Outbox
from ._statistics import Counters

SendT = TypeVar("SendT")


class Writer(Flushing[SendT]):
    """Accepts messages and brings them to the kernel in order.

    Parameters:
        coder: makes bytes of messages.

    The others are those of `Flushing`.
    """

    __slots__ = ("ahead", "alike", "coder")

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
        super().__init__(transport, outbox, counters, share, changes, on_loss)
        self.coder = coder
        self.alike: object = coder.alike
        """What it has in common with all whose coders make the same of a message; None where the
        coder remembers what it has made."""
        self.ahead: list[SendT] | None = None
        """Messages to accept before any other: a plain function's answers, while it is called."""

    # Room

    def has_room(self) -> bool:
        """Whether a message can be accepted without waiting, and nobody waits before it."""
        outbox = self.outbox
        if outbox.count >= outbox.max_messages or outbox.size >= outbox.max_bytes:
            return False
        return not self.restricted or self._has_right()

    def _has_right(self) -> bool:
        return (
            self.refusal is None
            and (self._turns is None or not self._turns.locked())
            and self._affords()
        )

    def fits(self) -> bool:
        """Whether the bounds allow for a message, whoever's turn it is."""
        outbox = self.outbox
        return (
            outbox.count < outbox.max_messages
            and outbox.size < outbox.max_bytes
            and self._affords()
        )

    def _affords(self) -> bool:
        """Whether the memory budget allows for a message; the only one is always allowed."""
        return self._share is None or not self.outbox.count or self._share.allows

    def makes_room(self) -> bool:
        """Whether there is room, or some once the kernel has been offered what has gathered."""
        if self.has_room():
            return True
        self._make_room()
        if self.has_room():
            return True
        self._leave_to_task()  # The kernel has none either, and what has gathered is to wait there.
        return False

    async def wait_for_room(self) -> None:
        """Wait in line: whoever came first goes on first."""
        self._check()
        self._leave_to_task()
        self._counters.sends_waited += 1
        async with self.take_turns():
            await self.wait_in_turn()

    async def wait_in_turn(self) -> None:
        """Wait for room, as the one whose turn it is."""
        await self._changes.wait_until(lambda: self.fits() or self.refusal is not None)
        self._check()

    # Messages

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
            or (self.restricted and not self._has_right())
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
        elif not answering and self.gathered is not None:
            self._push()  # The last answer takes the others along.
        if self.broadcast:
            self._leave_to_task()  # Its departure may be far off.
        return True

    def accept_in_turn(self, message: SendT) -> None:
        """Accept a message for which `wait_for_room` has found room."""
        self._gather(message)
        self._leave_to_task()

    def accept_past(self, message: SendT) -> None:
        """Accept a message though the outbox be full; it leaves with what has gathered.

        Nothing where the connection is past sending.
        """
        if self.refusal is None:
            self._gather(message)
            if self.broadcast:
                self._leave_to_task()  # Its departure may be far off.

    def accept_nowait(self, message: SendT, answering: object) -> None:
        """Accept a message if there is room, or can be made; raises also ``trio.WouldBlock``."""
        if self.accept(message, answering):
            return
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

    def accept_batch(self, messages: Iterable[SendT]) -> Iterable[SendT] | None:
        """Accept what there is room for; return what is left for `send_rest`, None for nothing.

        Only of a list or a tuple: what any other gives may take as long as it likes to come.
        """
        if not isinstance(messages, (list, tuple)):
            return messages
        accepted = self.accept_many(messages) if messages else 0
        return messages[accepted:] if accepted < len(messages) else None

    async def send_rest(self, messages: Iterable[SendT]) -> None:
        """Accept messages in order, waiting for room in between."""
        try:
            for message in messages:
                if not self.has_room():
                    await self.wait_for_room()
                self._gather(message)
        finally:
            # A message that cannot be encoded leaves those before it accepted.
            self._push()

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
        self._put(message, self.coder.encode(message))

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

    # Broadcasts

    def accept_encoded(self, message: SendT, data: bytes) -> bool:
        """Accept a message that has been encoded, if there is room; say whether there was.

        The first of a turn goes the short way, those behind it gather until the turn ends.

        Raises:
            trio.BrokenResourceError: the transport broke.
            trio.ClosedResourceError: it was closed.
        """
        outbox = self.outbox
        if self._sent_this_turn or outbox.count or self.restricted:
            if (
                outbox.count >= outbox.max_messages
                or outbox.size >= outbox.max_bytes
                or self.restricted
            ) and not self.makes_room():
                return False
            self.broadcast = True
            batch = self.gathered
            if batch is None or self._share is not None:
                self._put(message, data)
                return True
            # In place: two calls are a third of what such a message costs.
            batch.messages.append(message)
            batch.chunks.append(data)
            outbox.count += 1
            outbox.size += len(data)
            return True
        self.broadcast = True
        taken = self._try_now(data)
        if taken == len(data):
            self._counters.messages_sent += 1
        else:
            self._put(message, data, taken)
        if not self._departs:
            self._departs = True
            self._departures.add(self)
        return True

    def accept_late(self, message: SendT, data: bytes) -> None:
        """Accept a message that has been encoded, as `wait_for_room` has waited for its room."""
        self._put(message, data)
        self._leave_to_task()

    def accept_in_place(self, message: SendT, data: bytes) -> int:
        """Accept a message in the place of the oldest that may give way.

        Returns how many did; if none could, the message has not been accepted.
        """
        victims = self.outbox.make_way(len(data)) if not self.exclusive else []
        if victims:
            self._note_dropped(victims)
            self._put(message, data)
            self._leave_to_task()
            self._changes.note()
        return len(victims)

    def drop_broadcasts(self) -> None:
        """Drop what may give way, for somebody who will not get on with it."""
        victims = self.outbox.drop_all()
        if victims:
            self._note_dropped(victims)
            self._changes.note()

    def _note_dropped(self, victims: list[tuple[int, int]]) -> None:
        """Make the account of messages that are dropped: how many were before each, its size."""
        self._counters.messages_dropped += len(victims)
        sent = self._counters.messages_sent
        for mark in self._marks:
            mark.target -= sum(sent + before < mark.target for before, _ in victims)
        if self._share is not None:
            self._share.charge(-sum(size for _, size in victims))

    def drop_newest(self) -> None:
        """Count a message that is accepted for the account only."""
        self._counters.messages_dropped += 1

    # From elsewhere

    def new_turn(self) -> None:
        """Note that the handler took up new input: its next answer may go the short way."""
        self._sent_this_turn = False

    def switch(self, coder: Codec[SendT, Any], *, shared: bool) -> None:
        """Encode with another coder what is accepted from here on.

        Parameters:
            coder: the new one.
            shared: whether it remembers nothing.
        """
        if self.ahead:
            self._accept_ahead(self.ahead)
        self.coder = coder
        self.alike = coder if shared else coder.alike
