"""How many pongs may wait for a peer that takes nothing."""

from __future__ import annotations


class PongLane:
    """Counts the pongs in the outbox, and keeps the latest beyond them.

    Parameters:
        most: pongs that wait in the outbox.
    """

    __slots__ = ("_last", "_most", "_waiting", "late")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting = 0
        self._last = 0
        self.late: bytes | None = None
        """The payload of the latest ping that was not answered for want of room."""

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
            self.late = payload
            return False
        self._waiting += 1
        self._last = accepted + 1
        self.late = None
        return True

    def take_late(self, left: int) -> bytes | None:
        """Return what should be answered now that something has left, if anything."""
        if self.late is None or left < self._last:
            return None
        payload, self.late = self.late, None
        return payload
