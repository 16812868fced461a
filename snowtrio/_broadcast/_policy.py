"""What is to be done with slow connections, and what became of a message."""

from __future__ import annotations

import enum

import attrs


class WhenSlow(enum.Enum):
    """What a broadcast does with a connection whose outbox has no room (row B8)."""

    WAIT = "wait"
    """Wait for room, once all others have been served."""
    DROP_OLDEST = "drop oldest"
    """The oldest broadcast messages in its outbox make room for this one."""
    DROP_NEWEST = "drop newest"
    """It does not get this message."""
    DISCONNECT = "disconnect"
    """It is cut, as by `Connection.drop`, and does not get this message."""


@attrs.frozen(kw_only=True)
class BroadcastReport:
    """What became of one broadcast. All but `dropped_oldest` add up to the connections given.

    Parameters:
        sent: connections that accepted the message without being waited for.
        waited: connections that were waited for and then accepted it.
        dropped_oldest: older messages that made room for this one, on all connections together.
        dropped_newest: connections that did not get it since they are slow.
        disconnected: connections that were cut since they are slow.
        skipped: connections that had ended, were closing, or broke when they were given it.
    """

    sent: int
    waited: int
    dropped_oldest: int
    dropped_newest: int
    disconnected: int
    skipped: int
