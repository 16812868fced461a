"""Who waits for a place, in the order in which they came."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import trio

WishT = TypeVar("WishT")
PlaceT = TypeVar("PlaceT")


class Line(Generic[WishT, PlaceT]):
    """Places are given into the hands of those who wait, the first who came first.

    So nobody who comes later finds one that somebody was woken for, and a task that is cancelled
    in the moment in which it is given one has it all the same: no place is lost. Nobody is woken
    for nothing, however many wait.
    """

    __slots__ = ("_given", "_wishes")

    def __init__(self) -> None:
        self._wishes: OrderedDict[trio.lowlevel.Task, WishT] = OrderedDict()
        self._given: dict[trio.lowlevel.Task, PlaceT] = {}

    def __len__(self) -> int:
        return len(self._wishes)

    @property
    def first(self) -> WishT:
        """What the one wishes for who is first in line."""
        return next(iter(self._wishes.values()))

    async def wait(self, wish: WishT, *, ahead: bool = False) -> PlaceT:
        """Wait in line for what `give` has. A checkpoint; cancelled, it was given nothing.

        Parameters:
            wish: what `first` tells of.
            ahead: wait before all who are there, not behind them.
        """
        task = trio.lowlevel.current_task()
        self._wishes[task] = wish
        if ahead:
            self._wishes.move_to_end(task, last=False)

        def leave(_: object) -> trio.lowlevel.Abort:
            del self._wishes[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        return self._given.pop(task)

    def turn_away(self, task: trio.lowlevel.Task, place: PlaceT) -> None:
        """Give a task something in the place of what it waits for, unless it was given that."""
        if task in self._wishes:
            del self._wishes[task]
            self._given[task] = place
            trio.lowlevel.reschedule(task)

    def give(self, place: PlaceT) -> None:
        """Give a place to the one who is first in line."""
        task, _ = self._wishes.popitem(last=False)
        self._given[task] = place
        trio.lowlevel.reschedule(task)
