"""How fast a peer may send: a token bucket."""

from __future__ import annotations


class TokenBucket:
    """Allows `rate` a second on average, and one second's worth at once.

    Parameters:
        rate: tokens a second; a token is a byte here.
        now: the present time in seconds, of any clock.
    """

    __slots__ = ("_level", "_rate", "_then")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._level = rate
        self._then = now

    def spend(self, amount: float, now: float) -> float:
        """Take `amount` and return how long to wait before the next is taken, in seconds."""
        self._level = min(self._rate, self._level + (now - self._then) * self._rate) - amount
        self._then = now
        return max(0.0, -self._level / self._rate)
