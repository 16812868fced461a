"""What a WebSocket counts."""

from __future__ import annotations

import attrs

from ..._connection import ConnectionStatistics


@attrs.frozen(kw_only=True)
class SocketStatistics:
    """A WebSocket's counts at one moment; those of its handshake are not among them.

    Parameters:
        messages_received: messages decoded, or pieces of them where they are received piece by
            piece.
        messages_accepted: messages accepted for sending, and parts of them.
        bytes_received: of everything, with pings and headers, before any TLS.
        bytes_sent: likewise; those that the kernel has.
        pings_sent: those of the heartbeat too.
        pings_received: likewise.
        pongs_sent: with those in the outbox.
        pongs_received: those that answer no ping too.
        latency: the last round trip of a ping, in seconds; None before the first.
        queued_messages: received and not taken by the application, now.
        outbox_messages: accepted and not with the kernel, now; pings, pongs and a close too.
        outbox_bytes: their bytes.
    """

    messages_received: int
    messages_accepted: int
    bytes_received: int
    bytes_sent: int
    pings_sent: int
    pings_received: int
    pongs_sent: int
    pongs_received: int
    latency: float | None
    queued_messages: int
    outbox_messages: int
    outbox_bytes: int


class Tally:
    """Counts what the connection does not tell apart, and knows where it began."""

    __slots__ = (
        "_bytes_received",
        "_bytes_sent",
        "_messages_accepted",
        "_messages_received",
        "pings_received",
        "pings_sent",
        "pongs_received",
        "pongs_sent",
    )

    def __init__(self) -> None:
        self.pings_sent = self.pings_received = 0
        self.pongs_sent = self.pongs_received = 0
        self._bytes_received = self._bytes_sent = 0
        self._messages_received = self._messages_accepted = 0

    def begin(self, before: ConnectionStatistics) -> None:
        """Note what the handshake was."""
        self._messages_received = before.messages_received
        self._messages_accepted = before.messages_accepted
        self._bytes_received = before.bytes_received - before.buffered
        self._bytes_sent = before.bytes_sent + before.outbox_bytes

    def statistics(
        self, now: ConnectionStatistics, *, closes: int, latency: float | None, queued: int
    ) -> SocketStatistics:
        """Return the counts.

        Parameters:
            now: the connection's.
            closes: how many closes we have sent.
            latency: the last round trip.
            queued: messages not received.
        """
        controls = self.pings_sent + self.pongs_sent + closes
        return SocketStatistics(
            messages_received=now.messages_received - self._messages_received,
            messages_accepted=now.messages_accepted - self._messages_accepted - controls,
            bytes_received=now.bytes_received - self._bytes_received,
            bytes_sent=max(now.bytes_sent - self._bytes_sent, 0),
            pings_sent=self.pings_sent,
            pings_received=self.pings_received,
            pongs_sent=self.pongs_sent,
            pongs_received=self.pongs_received,
            latency=latency,
            queued_messages=queued,
            outbox_messages=now.outbox_messages,
            outbox_bytes=now.outbox_bytes,
        )
