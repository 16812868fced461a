"""The sending half of a connection where it empties: until the kernel has all that was accepted.

Some wait for that alone; others, to do what must not stand in the middle of messages.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs
import trio

from .._errors import ConnectionClosedError
from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._delivery import Delivery
from ._losses import again, as_lost
from ._outbox import Outbox
from ._statistics import Counters

SendT = TypeVar("SendT")


@attrs.define(eq=False)
class _Mark:
    """How many messages are to be sent until one that somebody waits for is."""

    target: int


class Flushing(Delivery[SendT]):
    """Knows when what was accepted has left, and keeps others waiting for somebody.

    Parameters: those of `Delivery`.
    """

    __slots__ = ("_marks", "_turns", "exclusive")

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox[SendT],
        counters: Counters,
        share: Share | None,
        changes: Changes,
        on_loss: Callable[[Exception], None],
    ) -> None:
        super().__init__(transport, outbox, counters, share, changes, on_loss)
        self._turns: trio.StrictFIFOLock | None = None
        self._marks: tuple[_Mark, ...] = ()
        """What `flush` waits for: a message that is dropped before it makes it come sooner."""
        self.exclusive = False
        """Whether somebody is in the middle of what no other message may come into."""

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

    # Past the messages

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None, None]:
        """Wait until the kernel has all that was accepted, and keep others waiting meanwhile.

        Always a checkpoint, before anything else.
        """
        await trio.lowlevel.checkpoint()
        self._check()
        self._leave_to_task()
        async with self.take_turns():
            await self._changes.wait_until(
                lambda: not self.outbox.count or self._hopeless or self.refusal is not None
            )
            self._check()
            self.exclusive = True
            try:
                yield
            finally:
                self.exclusive = False

    async def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send some of a file's bytes, past the outbox; only `alone`. Returns how many."""
        self._check()
        try:
            taken = await self._transport.send_file(descriptor, offset, count)
        except Exception as error:
            if isinstance(error, trio.ClosedResourceError):
                self._check()  # It was our side that closed it.
            raise again(self._lost(error)) from error
        self._counters.bytes_sent += taken
        self._counters.writes += 1
        if self.on_progress is not None:
            self.on_progress()
        return taken

    def take_turns(self) -> trio.StrictFIFOLock:
        """Return what keeps all other senders waiting while it is held."""
        if self._turns is None:
            self._turns = trio.StrictFIFOLock()  # Most connections never need it.
            self.restricted = True
        return self._turns

    def _check(self) -> None:
        if self.refusal is not None:
            raise self._explained(self.refusal)

    def _raise_why_not_sent(self) -> None:
        if self.lost is not None:
            raise self._explained(self.lost)
        self._check()
