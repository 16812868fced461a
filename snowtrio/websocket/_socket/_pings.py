"""Our pings, and which of them have been answered."""

from __future__ import annotations

import os


class Pings:
    """Remembers when each ping was sent, until a pong answers it."""

    def __init__(self) -> None:
        self._sent: dict[bytes, float] = {}
        self._trips: dict[bytes, float] = {}
        self.latency: float | None = None
        """The last round trip, in seconds."""

    def begin(self, payload: bytes | None, now: float) -> bytes:
        """Note a ping that is sent; return its payload.

        Raises:
            ValueError: one with this payload is under way, or it is too long.
        """
        if payload is None:
            payload = os.urandom(4)
            while payload in self._sent:
                payload = os.urandom(4)
        if len(payload) > 125:
            raise ValueError("a ping has at most 125 bytes")
        if payload in self._sent:
            raise ValueError("a ping with this payload is under way")
        self._sent[payload] = now
        return payload

    def answered(self, payload: bytes, now: float) -> None:
        """Note a pong: it answers its ping, and all that were sent before it."""
        if payload not in self._sent:
            return
        while True:
            earlier, since = next(iter(self._sent.items()))
            del self._sent[earlier]
            self._trips[earlier] = now - since
            if earlier == payload:
                self.latency = now - since
                return

    def is_answered(self, payload: bytes) -> bool:
        """Whether this ping has its pong."""
        return payload in self._trips

    def end(self, payload: bytes) -> float | None:
        """Forget a ping; return its round trip, None if it was not answered."""
        self._sent.pop(payload, None)
        return self._trips.pop(payload, None)
