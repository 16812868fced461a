"""The connections of a pool that somebody has alone."""

from __future__ import annotations

import math
from typing import Generic

import trio
from typing_extensions import TypeVar

from .._supervisor import Member

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Lent(Generic[SendT, ReceiveT, ContextT]):
    """Which they are, and which of their messages are of those who had them."""

    __slots__ = ("_members", "_own", "_waiting")

    def __init__(self) -> None:
        self._members: set[Member[SendT, ReceiveT, ContextT]] = set()
        # How many messages had been accepted when it came back.
        self._own: dict[Member[SendT, ReceiveT, ContextT], float] = {}
        # For those to whom a connection is lent that is not idle.
        self._waiting = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: Member[SendT, ReceiveT, ContextT]) -> bool:
        return member in self._members

    def add(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection is lent; what is pending on it is still of others."""
        self._members.add(member)

    def begin(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that what is accepted from here on is of the one who has the connection."""
        self._own[member] = math.inf

    def end(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection came back."""
        self._members.discard(member)
        if self._own.get(member) == math.inf:
            self._own[member] = member.life.writer.accepted

    def forget(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection has ended."""
        self._members.discard(member)
        self._own.pop(member, None)

    def own(self, member: Member[SendT, ReceiveT, ContextT], unsent: int) -> int:
        """Return how many of the last messages of a connection are of one who had it alone.

        Parameters:
            member: one that has ended.
            unsent: how many messages were not sent; those that came first are his.
        """
        first = member.life.writer.accepted - unsent
        return int(min(max(0, self._own.get(member, 0) - first), unsent))

    async def wait(self) -> None:
        """Wait until something has moved."""
        await self._waiting.park()

    def wake(self) -> None:
        """Have those who wait look again."""
        if self._waiting:
            self._waiting.unpark_all()
