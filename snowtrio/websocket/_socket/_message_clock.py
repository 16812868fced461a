"""When a message has taken too long to come. Without I/O."""

from __future__ import annotations

import math

from .._wire import WebSocketLimits


class MessageClock:
    """Looks now and then whether it is still the same message, and how much of it has come.

    One that begins just after a look is known of a timeout later: so it may take up to two.

    Parameters:
        limits: has timeout and rate.
    """

    __slots__ = ("_bytes", "_messages", "_rate", "_since", "_timeout")

    def __init__(self, limits: WebSocketLimits) -> None:
        timeout = None if limits.pieces else limits.message_timeout
        self._timeout = math.inf if timeout is None else timeout
        self._rate = limits.min_message_rate
        self._since = 0.0
        self._bytes = 0
        self._messages = -1

    def look(
        self, now: float, received: int, messages: int, *, unfinished: bool
    ) -> tuple[bool, float]:
        """Return whether a message is late, and when to look again.

        Parameters:
            now: the time, in seconds.
            received: bytes that have come so far.
            messages: likewise, those that are complete.
            unfinished: whether one has begun, and more of it would be read.
        """
        if not unfinished or messages != self._messages:
            self._since, self._bytes = now, received
            self._messages = messages if unfinished else -1
            return False, now + self._timeout
        late = self._since + self._timeout + (received - self._bytes) / self._rate
        return now >= late, min(late, now + self._timeout)
