"""What a protocol does beside the conversation: answer by itself, part, read on.

For the rooms above whose protocols have messages of their own between those of their users.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import trio

from ._answering import Answering
from ._changes import Changes
from ._reader import Reader
from ._shelf import Shelf
from ._statistics import Counters
from ._writer import Writer

SendT = TypeVar("SendT")
GivenT = TypeVar("GivenT")


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

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[Callable[[SendT], Any], None]:
        """Keep all other senders waiting; what is given sends, in the meantime.

        What `send_nowait` accepts goes in between.
        """
        async with self._writer.take_turns():
            yield self._send_in_turn

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

    def on_progress(self, function: Callable[[], None]) -> None:
        """Have a function called whenever the kernel has taken something."""
        self._writer.on_progress = function

    @property
    def past_sending(self) -> bool:
        """Whether nothing more is accepted."""
        return self._writer.refusal is not None

    # Receiving

    async def answer(self, function: Callable[[GivenT, Any], SendT | None], given: GivenT) -> None:
        """Answer messages with a plain function, as `Connection.answer` does.

        Parameters:
            function: called with what is given and a message.
            given: what the protocol's users know, rather than the connection.
        """
        answering = Answering(function, given, self._writer, self._inbox.interrupt)
        try:
            await self._reader.answer(answering)
        except trio.EndOfChannel:
            return

    def read_ahead(
        self, max_messages: int, max_size: int, size: Callable[[Any], int] = len
    ) -> None:
        """Let reading go on while nobody receives (by default it stops with one batch).

        Parameters:
            max_messages: decoded and not received, at most.
            max_size: of all of them; the last batch may go beyond it.
            size: of one message.
        """
        self._inbox.read_ahead(Shelf(max_messages, max_size, size))

    def on_end(self, function: Callable[[], None]) -> None:
        """Have a function called when a receiver has had all messages, and gets the end instead."""
        self._inbox.on_end = function

    @property
    def reading_stopped(self) -> bool:
        """Whether nothing is read since nobody receives."""
        return self._inbox.full

    @property
    def bytes_received(self) -> int:
        """Bytes that have come so far."""
        return self._counters.bytes_received

    @property
    def input_ended(self) -> bool:
        """Whether nothing more will be read."""
        return self._reader.done

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

    def part(self, error: Exception) -> None:
        """Accept nothing more; what was accepted still goes, and receiving goes on.

        Parameters:
            error: what senders get from now on; and receivers, once our side has closed.
        """
        self._inbox.parting = error
        self._writer.refuse(error)
