"""When to ask whether the peer is still there, and when to give it up. Without I/O."""

from __future__ import annotations

import enum
import math

from .._wire import WebSocketLimits


class Beat(enum.Enum):
    """What is to be done."""

    NOTHING = enum.auto()
    PING = enum.auto()
    DEAD = enum.auto()


class Heartbeat:
    """Decides from what has come; anything that comes shows that the peer lives.

    Parameters:
        limits: has the interval and the timeout.
    """

    def __init__(self, limits: WebSocketLimits) -> None:
        self._interval = limits.ping_interval
        self._timeout = limits.ping_timeout
        self._seen = 0
        self._asked: float | None = None

    def begin(self, now: float) -> float:
        """Return when to look for the first time."""
        return math.inf if self._interval is None else now + self._interval

    def look(self, now: float, received: int, stopped: bool) -> tuple[Beat, float]:
        """Return what is to be done, and when to look again.

        Parameters:
            now: the time, in seconds.
            received: bytes that have come so far.
            stopped: whether we have stopped reading ourselves, so that nothing can come.
        """
        if self._interval is None:
            return Beat.NOTHING, math.inf
        if received != self._seen or stopped:
            self._seen, self._asked = received, None
            return Beat.NOTHING, now + self._interval
        if self._asked is None:
            self._asked = now
            return Beat.PING, now + self._timeout
        if now >= self._asked + self._timeout:
            return Beat.DEAD, math.inf
        return Beat.NOTHING, self._asked + self._timeout
