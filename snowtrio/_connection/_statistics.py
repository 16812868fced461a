"""What a connection counts."""

from __future__ import annotations

import attrs


@attrs.define
class Counters:
    """Written by the reader and the writer as they go; `ConnectionStatistics` is a copy."""

    bytes_received: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    reads: int = 0
    writes: int = 0
    batches_received: int = 0
    sends_waited: int = 0
    messages_skipped: int = 0
    messages_dropped: int = 0
    rate_limited: int = 0
    budget_waits: int = 0


@attrs.frozen
class ConnectionStatistics:
    """A connection's counts at one moment (row B7).

    Parameters:
        bytes_received: bytes read, those of the handshake not among them.
        bytes_sent: bytes that the kernel took.
        messages_received: messages decoded.
        messages_accepted: messages that ``send`` or a broadcast accepted: each has been sent, is in
            the outbox, was left in it at the end, or was dropped.
        messages_sent: messages that the kernel has whole.
        reads: reads that brought something.
        writes: writes that took something.
        batches_received: batches that the decoder made of those reads.
        sends_waited: sends that found the outbox full.
        messages_skipped: frames that the decoder threw away.
        messages_dropped: broadcast messages that the peer did not get because it is slow (row B8).
        rate_limited: pauses that ``max_receive_rate`` made.
        budget_waits: reads put off for the server's memory budget.
        outbox_messages: messages accepted and not yet with the kernel, now.
        outbox_bytes: their bytes.
        outbox_peak: the most messages there have been in the outbox.
        buffered: bytes received and not decoded yet.
    """

    bytes_received: int
    bytes_sent: int
    messages_received: int
    messages_accepted: int
    messages_sent: int
    reads: int
    writes: int
    batches_received: int
    sends_waited: int
    messages_skipped: int
    messages_dropped: int
    rate_limited: int
    budget_waits: int
    outbox_messages: int
    outbox_bytes: int
    outbox_peak: int
    buffered: int
