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
    """Asks in regular intervals; anything that comes after that shows that the peer lives.

    Not only when nothing came for that long: nobody would know since when, and a peer that falls
    silent is to be noticed within interval and timeout.

    Parameters:
        limits: has the interval and the timeout.
    """

    __slots__ = ("_asked", "_held_up", "_interval", "_ping_at", "_seen", "_timeout")

    def __init__(self, limits: WebSocketLimits) -> None:
        self._interval = math.inf if limits.ping_interval is None else limits.ping_interval
        self._timeout = limits.ping_timeout
        self._ping_at = math.inf
        self._asked: float | None = None
        self._held_up = False
        """Whether the last ping had not left when we looked."""
        self._seen = 0

    def begin(self, now: float) -> float:
        """Return when to look for the first time."""
        self._ping_at = now + self._interval
        return self._ping_at

    def look(self, now: float, received: int, *, left: bool, stopped: bool) -> tuple[Beat, float]:
        """Return what is to be done, and when to look again.

        Parameters:
            now: the time, in seconds.
            received: bytes that have come so far.
            left: whether the last ping is with the kernel: nobody can answer it before that. A peer
                that takes nothing is somebody else's business.
            stopped: whether we have stopped reading ourselves, so that nothing can come.
        """
        if stopped:
            self._asked = None
            return Beat.NOTHING, self.begin(now)
        if self._asked is not None:
            if received != self._seen:
                self._asked = None
            elif not left or self._held_up:
                self._asked, self._held_up = now, not left
            elif now >= self._asked + self._timeout:
                return Beat.DEAD, math.inf
        if self._asked is None and now >= self._ping_at:
            self._asked, self._held_up, self._seen = now, False, received
            self._ping_at = now + self._interval
            return Beat.PING, now + min(self._interval, self._timeout)
        return Beat.NOTHING, self._next(now)

    def _next(self, now: float) -> float:
        if self._asked is None:
            return self._ping_at
        late = self._asked + self._timeout
        return min(late, self._ping_at) if self._ping_at > now else late
