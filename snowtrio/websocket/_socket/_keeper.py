"""Who looks after the clocks of all WebSockets of a run of Trio: one task, while there are any.

A task for each would cost a quarter of what an idle connection does.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Protocol

import trio


class Kept(Protocol):
    """What has deadlines."""

    def look(self, now: float, nursery: trio.Nursery) -> float | None:
        """Do what is due; return when to look again, None for never. Must not raise."""


class Keeper:
    """Looks at each in its time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Kept]] = []
        self._count = itertools.count()
        self._sleep: trio.CancelScope | None = None
        self._running = False

    def keep(self, kept: Kept, due: float) -> None:
        """Look at something at a time, and then when it says."""
        heapq.heappush(self._due, (due, next(self._count), kept))
        if not self._running:
            self._running = True
            trio.lowlevel.spawn_system_task(self._run, name="snowtrio websocket keeper")
        elif self._sleep is not None and due < self._sleep.deadline:
            self._sleep.deadline = due

    async def _run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                while self._due:
                    with trio.CancelScope(deadline=self._due[0][0]) as self._sleep:
                        await trio.sleep_forever()
                    self._look_at_all(nursery)
        finally:
            self._running, self._sleep = False, None
            if self._due:  # Cancelled with the run: nobody is kept any more.
                self._due.clear()

    def _look_at_all(self, nursery: trio.Nursery) -> None:
        now = trio.current_time()
        while self._due and self._due[0][0] <= now:
            _, _, kept = heapq.heappop(self._due)
            due = kept.look(now, nursery)
            if due is not None and due < math.inf:
                heapq.heappush(self._due, (max(due, now + 0.001), next(self._count), kept))


_current: trio.lowlevel.RunVar[Keeper] = trio.lowlevel.RunVar("websocket keeper")


def current_keeper() -> Keeper:
    """Return the keeper of this run of Trio."""
    try:
        return _current.get()
    except LookupError:
        keeper = Keeper()
        _current.set(keeper)
        return keeper
