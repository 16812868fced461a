"""A bound on what is pending on each connection, and the line of those who wait for room."""

from __future__ import annotations

from typing import Any, Generic

from typing_extensions import TypeVar

from .._selection import Load
from .._supervisor import Member
from ._line import Line

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Room(Generic[SendT, ReceiveT, ContextT]):
    """Says which connections have room, and gives it to those who wait.

    Parameters:
        full: messages pending on a connection from which on it gets no more, None for no bound.
    """

    def __init__(self, full: int | None) -> None:
        self.full = full
        self.loads: dict[Load, Member[SendT, ReceiveT, ContextT]] = {}
        """What to look at for each message; some of the connections may have begun to end."""
        self.promised: dict[Member[SendT, ReceiveT, ContextT], int] = {}
        """Places given to senders that have not been able to use them yet."""
        self.line: Line[None, Member[SendT, ReceiveT, ContextT] | None] = Line()

    def taken(self, member: Member[SendT, ReceiveT, ContextT], pending: int) -> int:
        """Return how many places of a connection are taken.

        All, where its outbox is full: whoever waited there would not be counted.
        """
        if self.full is None:
            return pending
        pending += self.promised.get(member, 0)
        return pending if _fits(member) else max(pending, self.full)

    def is_full(self, taken: int) -> bool:
        """Whether so many places are all that a connection has."""
        return self.full is not None and taken >= self.full

    def roomiest(self) -> Member[SendT, ReceiveT, ContextT] | None:
        """Return the connection with the fewest places taken, None where all are full."""
        found, fewest, promised = None, self.full, self.promised
        for load, member in self.loads.items():
            taken = load.count
            if promised:
                taken += promised.get(member, 0)
            if (fewest is None or taken < fewest) and member.life.usable and _fits(member):
                found, fewest = member, taken
        return found

    async def wait(self, *, ahead: bool) -> Member[SendT, ReceiveT, ContextT] | None:
        """Wait in line for a connection with room; None where there is nothing to wait for.

        It may have ended, or be lent, in the moment since it was given.
        """
        member = await self.line.wait(None, ahead=ahead)
        if member is not None:
            self.promised[member] -= 1
            if not self.promised[member]:
                del self.promised[member]
        return member

    def serve(self) -> None:
        """Give what room there is to those who wait for it, the first who came first."""
        while self.line and (member := self.roomiest()) is not None:
            self.promised[member] = self.promised.get(member, 0) + 1
            self.line.give(member)

    def send_away(self) -> None:
        """Have all who wait look for themselves why nothing comes."""
        while self.line:
            self.line.give(None)


def _fits(member: Member[Any, Any, Any]) -> bool:
    """Whether the outbox of a connection has room."""
    outbox = member.life.writer.outbox
    return outbox.count < outbox.max_messages and outbox.size < outbox.max_bytes
