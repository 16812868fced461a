"""Where senders wait while every connection is full, and are given places as these become free."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import trio

MemberT = TypeVar("MemberT")


class _Waiter(Generic[MemberT]):
    __slots__ = ("given", "task")

    def __init__(self) -> None:
        self.task = trio.lowlevel.current_task()
        self.given: MemberT | None = None


class Line(Generic[MemberT]):
    """Gives places to those who wait, the first first; nobody looks twice, and nobody is passed by.

    A place that is given is reserved until its new owner runs, so that no other takes it.
    """

    __slots__ = ("_reserved", "_waiters")

    def __init__(self) -> None:
        self._waiters: OrderedDict[_Waiter[MemberT], None] = OrderedDict()
        self._reserved: dict[MemberT, int] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def reserved(self, member: MemberT) -> int:
        """Return how many places of a connection are given and not yet used."""
        return self._reserved.get(member, 0) if self._reserved else 0

    async def wait(self) -> MemberT | None:
        """Wait to be given a place on a connection; None is a call to look again.

        The place is to be used before the next checkpoint. Cancelled, nothing was given.
        """
        waiter: _Waiter[MemberT] = _Waiter()  # Subscripted in the call it would take 5 µs.
        self._waiters[waiter] = None

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiters[waiter]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        if waiter.given is not None:
            self._release(waiter.given)
        return waiter.given

    def _release(self, member: MemberT) -> None:
        self._reserved[member] -= 1
        if not self._reserved[member]:
            del self._reserved[member]

    def give(self, member: MemberT) -> None:
        """Give the first in line a place on a connection."""
        waiter, _ = self._waiters.popitem(last=False)
        waiter.given = member
        self._reserved[member] = self._reserved.get(member, 0) + 1
        trio.lowlevel.reschedule(waiter.task)

    def send_away(self) -> None:
        """Have everybody look again."""
        waiters, self._waiters = self._waiters, OrderedDict()
        for waiter in waiters:
            trio.lowlevel.reschedule(waiter.task)
