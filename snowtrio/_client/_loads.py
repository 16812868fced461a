"""How busy a client's connections are."""

from __future__ import annotations

from typing import Any

from .._connection import Life
from .._protocol import Protocol
from .._selection import Load
from .._supervisor import Member


def load_of(protocol: Protocol[Any, Any, Any], member: Member[Any, Any, Any]) -> Load:
    """Return what counts the messages that a connection is not done with."""
    own = protocol.load(member.connection)
    if own is not None:
        return own
    return Unanswered(member.life) if protocol.pending_until_answered else member.life.writer.outbox


class Unanswered:
    """The load of a connection whose messages count until they are answered.

    Parameters:
        life: the connection's.
    """

    __slots__ = ("_counters", "_outbox")

    def __init__(self, life: Life[Any, Any]) -> None:
        self._counters = life.counters
        self._outbox = life.writer.outbox

    @property
    def count(self) -> int:
        """Messages without an answer, or, where answers come unasked, those not sent."""
        counters, unsent = self._counters, self._outbox.count
        missing = counters.messages_sent - counters.messages_received - counters.messages_skipped
        # Not with `max`, which costs as much as all the rest.
        return unsent + missing if missing > 0 else unsent
