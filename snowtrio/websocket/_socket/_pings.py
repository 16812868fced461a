"""Our pings, and which of them have been answered."""

from __future__ import annotations

import os
from typing import cast

from .._wire import MAX_CONTROL


class Pings:
    """Remembers when each ping was sent, until a pong answers it."""

    __slots__ = ("_beat", "_sent", "_trips", "latency")

    def __init__(self) -> None:
        self._sent: dict[bytes, float] = {}
        self._trips: dict[bytes, float] = {}
        """Of those that were answered, for whoever waits."""
        self._beat: bytes | None = None
        """The one that nobody waits for."""
        self.latency: float | None = None
        """The last round trip, in seconds."""

    def begin(self, payload: bytes | bytearray | memoryview | None, now: float) -> bytes:
        """Note a ping that is sent; return its payload. `end` must follow.

        Raises:
            TypeError: it is not bytes.
            ValueError: one with this payload is under way, or it is too long.
        """
        if payload is None:
            payload = os.urandom(4)
            while self._is_under_way(payload):
                payload = os.urandom(4)
        payload = as_payload(payload)
        if self._is_under_way(payload):
            raise ValueError("a ping with this payload is under way")
        self._sent[payload] = now
        return payload

    def begin_beat(self, now: float) -> bytes:
        """Note a ping of the heartbeat, which takes the place of the one before."""
        if self._beat is not None:
            self._sent.pop(self._beat, None)
        self._beat = self.begin(None, now)
        return self._beat

    def _is_under_way(self, payload: bytes) -> bool:
        return payload in self._sent or payload in self._trips

    def answered(self, payload: bytes, now: float) -> None:
        """Note a pong: it answers its ping, and all that were sent before it.

        A peer may answer only the last one of several (RFC 6455, section 5.5.3).
        """
        if payload not in self._sent:
            return
        self.latency = now - self._sent[payload]
        while True:
            earlier, since = next(iter(self._sent.items()))
            del self._sent[earlier]
            if earlier == self._beat:
                self._beat = None
            else:
                self._trips[earlier] = now - since
            if earlier == payload:
                return

    def is_answered(self, payload: bytes) -> bool:
        """Whether this ping has its pong."""
        return payload in self._trips

    def end(self, payload: bytes) -> float | None:
        """Forget a ping; return its round trip, None if it was not answered."""
        self._sent.pop(payload, None)
        return self._trips.pop(payload, None)


def as_payload(data: bytes | bytearray | memoryview) -> bytes:
    """Return what a ping or pong can have.

    Raises:
        TypeError: it is not bytes.
        ValueError: it is too long.
    """
    if not isinstance(cast("object", data), (bytes, bytearray, memoryview)):
        raise TypeError(f"a ping has bytes, not {type(data).__name__}")
    payload = bytes(data)
    if len(payload) > MAX_CONTROL:
        raise ValueError(f"a ping has at most {MAX_CONTROL} bytes")
    return payload
