"""Strangers decide how often they misbehave; they do not decide how much is logged of it."""

from __future__ import annotations

import trio


class LogLimit:
    """Lets one line through in an interval.

    Parameters:
        interval: in seconds.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._interval = interval
        self._last = float("-inf")

    def allows(self) -> bool:
        """Whether a line may be logged now; if so, it counts as logged."""
        now = trio.current_time()
        if now - self._last < self._interval:
            return False
        self._last = now
        return True
