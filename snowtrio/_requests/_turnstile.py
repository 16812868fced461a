"""A bound on the requests that are under way, and a line before it."""

from __future__ import annotations

import trio

from .._client import Line
from .._errors import PoolBusyError, PoolClosedError


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
        self._maximum = maximum
        self._max_waiting = max_waiting
        self._closed = False
        self._line: Line[int, bool] = Line()

    @property
    def waiting(self) -> int:
        """Callers that wait."""
        return len(self._line)

    def enter_nowait(self, count: int = 1) -> bool:
        """Let requests in if there is room, as there never is while others wait; say whether."""
        if self.inside >= self._maximum:
            return False
        self.let_in(count)
        return True

    async def enter(self, count: int = 1) -> None:
        """Wait until requests are let in. Cancelled, it has changed nothing.

        Raises:
            PoolBusyError: too many wait already.
            PoolClosedError: nobody is let in any more.
        """
        if self._closed or not await self._wait(count):
            # The cancellation that closed the client may be the caller's too.
            await trio.lowlevel.checkpoint_if_cancelled()
            raise PoolClosedError("this client is closed")

    async def _wait(self, count: int) -> bool:
        if len(self._line) >= self._max_waiting:
            raise PoolBusyError(f"{len(self._line)} requests wait to be let in already")
        return await self._line.wait(count)

    def let_in(self, count: int = 1) -> None:
        """Count requests that need not ask: those of a session, which others may wait for."""
        self.inside += count
        self.peak = max(self.peak, self.inside)

    def leave(self, count: int = 1) -> None:
        """Note that requests are done with, and let others in."""
        self.inside -= count
        while self._line and self.inside < self._maximum:
            self.let_in(self._line.first)
            self._line.give(True)

    def close(self) -> None:
        """Send everybody away who waits, and who comes when there is no room."""
        self._closed = True
        while self._line:
            self._line.give(False)
