"""Who looks after the clocks of all WebSockets of a run of Trio: one task.

A task for each would cost a quarter of what an idle connection does.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

logger = logging.getLogger("snowtrio.websocket")

# Deadlines within so many seconds are met together. A power of two, so that times stay exact.
_TICK = 1 / 64


class Kept(Protocol):
    """What has a deadline, one at a time."""

    tick: int | None
    """When it is looked at, in the keeper's own time; its to write."""

    def look(self, now: float) -> float | None:
        """Do what is due; return when to look again, None for never or as `Keeper.keep` was told.

        Must not raise.
        """


class Keeper:
    """Looks at each in its time.

    What is forgotten leaves nothing behind: connections may come and go much faster than their
    deadlines, so a heap of them would hold the dead ones.
    """

    def __init__(self) -> None:
        self._due: dict[int, set[Kept]] = {}
        self._ticks: list[int] = []
        """A heap of the keys of `_due`, and of those that were there."""
        self._sleep: trio.CancelScope | None = None
        self._running = False
        self._over = False

    def keep(self, kept: Kept, due: float) -> None:
        """Look at something at a time, or just after it; instead of any other time."""
        self.forget(kept)
        if due == math.inf or self._over:
            return
        tick = math.ceil(due / _TICK)
        bucket = self._due.get(tick)
        if bucket is None:
            bucket = self._due[tick] = set()
            heapq.heappush(self._ticks, tick)
        bucket.add(kept)
        kept.tick = tick
        if not self._running:
            self._running = True
            trio.lowlevel.spawn_system_task(self._run, name="snowtrio websocket keeper")
        elif self._sleep is not None and tick * _TICK < self._sleep.deadline:
            self._sleep.deadline = tick * _TICK

    def forget(self, kept: Kept) -> None:
        """Look at something no more."""
        tick, kept.tick = kept.tick, None
        bucket = self._due.get(tick) if tick is not None else None
        if tick is not None and bucket is not None:
            bucket.discard(kept)
            if not bucket:
                del self._due[tick]

    def start(self, function: Callable[[], Awaitable[object]]) -> None:
        """Run something beside; what it raises is logged only."""
        if not self._over:
            trio.lowlevel.spawn_system_task(_run_quietly, function)

    async def _run(self) -> None:
        try:
            while True:
                with trio.CancelScope(deadline=self._next_deadline()) as self._sleep:
                    await trio.sleep_forever()
                self._look_at_due()
        finally:  # Trio's run is over.
            self._over = True
            self._due.clear()

    def _next_deadline(self) -> float:
        ticks = self._ticks
        while ticks and ticks[0] not in self._due:
            heapq.heappop(ticks)
        return ticks[0] * _TICK if ticks else math.inf

    def _look_at_due(self) -> None:
        now = trio.current_time()
        while self._next_deadline() <= now:
            for kept in self._due.pop(heapq.heappop(self._ticks)):
                kept.tick = None
                self._look_at(kept, now)

    def _look_at(self, kept: Kept, now: float) -> None:
        try:
            due = kept.look(now)
        except Exception:  # it must not raise; but if this task did, the program would end
            logger.exception("looking after %r failed", kept)
            return
        if due is not None:
            self.keep(kept, max(due, now + _TICK))


async def _run_quietly(function: Callable[[], Awaitable[object]]) -> None:
    try:
        await function()
    except Exception:  # a system task that raised would end the program
        logger.debug("a WebSocket's end failed", exc_info=True)


_current: trio.lowlevel.RunVar[Keeper] = trio.lowlevel.RunVar("websocket keeper")


def current_keeper() -> Keeper:
    """Return the keeper of this run of Trio."""
    try:
        return _current.get()
    except LookupError:
        keeper = Keeper()
        _current.set(keeper)
        return keeper
