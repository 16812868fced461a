"""What a pool of connections counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from .._connection import Cause, Life


@attrs.frozen(kw_only=True)
class PoolStatistics:
    """A server's or client's counts at one moment (row B7).

    Parameters:
        connections: registered now.
        handshaking: shaking hands now.
        peak_connections: the most that were registered at a time.
        opened: registered since the start.
        handshakes_failed: handshakes that raised, or that a drain cut.
        handshakes_timed_out: handshakes cut at their deadline.
        ended: connections that ended, by cause.
        messages_unsent: accepted messages that reached neither the kernel nor another connection.
        messages_in_doubt: messages that the peer may have in part or whole (`Ending.in_doubt`).
        outbox_peak: the most messages there have been in one outbox.
        bytes_received: of all connections, those that have ended among them.
        bytes_sent: likewise, as are the rest.
        messages_received: decoded.
        messages_accepted: accepted by ``send`` or a broadcast.
        messages_sent: handed to the kernel whole.
        sends_waited: sends that found an outbox full.
        messages_skipped: frames thrown away by a decoder.
        messages_dropped: broadcast messages dropped because their peer is slow (row B8).
    """

    connections: int
    handshaking: int
    peak_connections: int
    opened: int
    handshakes_failed: int
    handshakes_timed_out: int
    ended: Mapping[Cause, int]
    messages_unsent: int
    messages_in_doubt: int
    outbox_peak: int
    bytes_received: int
    bytes_sent: int
    messages_received: int
    messages_accepted: int
    messages_sent: int
    sends_waited: int
    messages_skipped: int
    messages_dropped: int


@attrs.define
class Tally:
    """Sums up connections as they end; the fields are those of `PoolStatistics`."""

    opened: int = 0
    ended: Counter[Cause] = attrs.field(factory=Counter[Cause])
    messages_unsent: int = 0
    messages_in_doubt: int = 0
    outbox_peak: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    messages_accepted: int = 0
    messages_sent: int = 0
    sends_waited: int = 0
    messages_skipped: int = 0
    messages_dropped: int = 0

    def add(self, life: Life[Any, Any]) -> None:
        """Add a connection's counts, field by field: every connection ends with this."""
        counters, writer = life.counters, life.writer
        self.bytes_received += counters.bytes_received
        self.bytes_sent += counters.bytes_sent
        self.messages_received += counters.messages_received
        self.messages_accepted += writer.accepted
        self.messages_sent += counters.messages_sent
        self.sends_waited += counters.sends_waited
        self.messages_skipped += counters.messages_skipped
        self.messages_dropped += counters.messages_dropped
        self.outbox_peak = max(self.outbox_peak, writer.outbox.peak)

    def copy(self) -> Tally:
        """Return a tally that can be added to while this one stays as it is."""
        return attrs.evolve(self, ended=Counter(self.ended))

    def snapshot(
        self,
        connections: int,
        handshaking: int,
        peak: int,
        *,
        handshakes_failed: int,
        handshakes_timed_out: int,
    ) -> PoolStatistics:
        """Return the counts with those of the places and the handshakes."""
        sums: dict[str, Any] = attrs.asdict(self, recurse=False)
        sums["ended"] = dict(self.ended)
        return PoolStatistics(
            connections=connections,
            handshaking=handshaking,
            peak_connections=peak,
            handshakes_failed=handshakes_failed,
            handshakes_timed_out=handshakes_timed_out,
            **sums,
        )
