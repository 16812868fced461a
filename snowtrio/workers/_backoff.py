"""When to replace a worker that has ended."""

from __future__ import annotations

from ._limits import WorkerLimits


class Backoff:
    """Decides how long to wait before the next worker; knows nothing of clocks.

    Parameters:
        limits: the delays.
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self._limits = limits
        self._delay = 0.0
        self.failed_starts = 0
        """Workers in a row that have ended before they were ready."""

    def next_delay(self, ready_for: float | None) -> float:
        """Note that a worker has ended, and return how many seconds to wait.

        Parameters:
            ready_for: how many seconds it had been ready, None if it never was.
        """
        limits = self._limits
        self.failed_starts = self.failed_starts + 1 if ready_for is None else 0
        if ready_for is not None and ready_for >= limits.healthy_after:
            self._delay = 0.0
        self._delay = min(limits.longest_delay, self._delay * 2 or limits.first_delay)
        return self._delay
