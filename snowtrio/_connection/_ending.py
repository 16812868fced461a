"""How a connection ended, and why."""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

import attrs

SendT = TypeVar("SendT")


class Cause(enum.Enum):
    """What ended a connection; the first cause counts."""

    DONE = "done"
    """The handler returned, or the block that used the connection was left."""
    CLOSED = "closed"
    """Somebody on our side called ``aclose``."""
    PEER_CLOSED = "peer closed"
    """The peer's end of input ended it."""
    LOST = "lost"
    """Reset or unreachable."""
    STALLED = "stalled"
    """The peer took nothing for ``stall_timeout``."""
    PROTOCOL_ERROR = "protocol error"
    """The peer's bytes broke the protocol."""
    HANDLER_ERROR = "handler error"
    """A handler or hook raised."""
    IDLE = "idle"
    """Nothing moved for ``idle_timeout``."""
    AGED = "aged"
    """It reached its maximum lifetime."""
    DROPPED = "dropped"
    """``close_all`` or the last phase of a drain cut it."""
    CANCELLED = "cancelled"
    """The scope around it was cancelled."""


@attrs.frozen
class Ending(Generic[SendT]):
    """What became of a connection and of the last messages accepted by it.

    Parameters:
        cause: why it ended.
        error: the exception behind it, if there is one.
        unsent: messages that were accepted and of which the kernel got nothing, in order.
        in_doubt: messages that the peer may have or not, in order. On a socket at most one, of
            which the kernel got a part; on TLS those in the record (at most 16 KiB) of which it got
            a part; on other streams, which do not say how far a send came, those of the slice
            (16 KiB) that was being sent.
    """

    cause: Cause
    error: BaseException | None
    unsent: tuple[SendT, ...]
    in_doubt: tuple[SendT, ...]
