"""A bound on the requests that are under way, and a line before it."""

from __future__ import annotations

import trio

from .._errors import PoolBusyError


class Turnstile:
    """Lets so many requests in, in the order in which they came.

    A batch enters as one, whatever its size: waiting for places one by one, two could wait for each
    other for ever. So there may be more inside than the bound, by one batch.

    Parameters:
        maximum: requests inside from which on others wait.
        max_waiting: callers that may wait.
    """

    def __init__(self, maximum: int, max_waiting: int) -> None:
        self.inside = 0
        self.peak = 0
        self.waiting = 0
        self._maximum = maximum
        self._max_waiting = max_waiting
        # Whoever has the lock is first in line, and the only one who looks when somebody leaves.
        self._line = trio.StrictFIFOLock()
        self._left = trio.lowlevel.ParkingLot()

    def enter_nowait(self, count: int = 1) -> bool:
        """Let requests in if there is room and nobody waits; say whether there was."""
        if self.inside >= self._maximum or self.waiting:
            return False
        self.let_in(count)
        return True

    async def enter(self, count: int = 1) -> None:
        """Wait until requests are let in. Cancelled, it has changed nothing.

        Raises:
            PoolBusyError: too many wait already.
        """
        if self.waiting >= self._max_waiting:
            raise PoolBusyError(f"{self.waiting} requests wait to be let in already")
        self.waiting += 1
        try:
            async with self._line:
                while self.inside >= self._maximum:
                    await self._left.park()
                self.let_in(count)
        finally:
            self.waiting -= 1

    def let_in(self, count: int = 1) -> None:
        """Count requests that need not ask: those of a session, which others may wait for."""
        self.inside += count
        self.peak = max(self.peak, self.inside)

    def leave(self, count: int = 1) -> None:
        """Note that requests are done with."""
        self.inside -= count
        if self._left and self.inside < self._maximum:
            self._left.unpark()
