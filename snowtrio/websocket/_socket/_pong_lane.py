"""How many pongs may wait for a peer that takes nothing. Without I/O."""

from __future__ import annotations


class PongLane:
    """Counts the pongs in the outbox, and keeps the latest beyond them.

    Parameters:
        most: pongs that wait in the outbox.
    """

    __slots__ = ("_last", "_late", "_most", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting = 0
        self._last = 0
        self._late: bytes | None = None

    def admit(self, payload: bytes, accepted: int, left: int) -> bool:
        """Say whether a pong may go to the outbox now; otherwise it is kept as the latest.

        Parameters:
            payload: of the ping.
            accepted: messages that the connection has accepted so far.
            left: messages that have left its outbox so far.
        """
        if left >= self._last:
            self._waiting = 0
        if self._waiting >= self._most:
            self._late = payload
            return False
        self._waiting += 1
        self._last = accepted + 1
        self._late = None
        return True

    @property
    def waiting(self) -> bool:
        """Whether a pong is kept."""
        return self._late is not None

    def take_late(self, left: int) -> bytes | None:
        """Return the pong that was kept, now that those before it have left; None otherwise."""
        if self._late is None or left < self._last:
            return None
        payload, self._late = self._late, None
        return payload
