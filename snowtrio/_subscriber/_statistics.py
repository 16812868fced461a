"""What a subscriber counts."""

from __future__ import annotations

import attrs

from .._supervisor import PoolStatistics


@attrs.frozen(kw_only=True)
class SubscriberStatistics:
    """A subscriber's counts at one moment (row B7).

    Parameters:
        pool: of its connections, one after the other.
        subscribed: whether a connection is subscribed now.
        subscriptions: how often a connection was subscribed.
        attempts_failed: attempts to connect and subscribe that failed.
        failed_in_a_row: of those, the ones since the last that succeeded.
        silences: connections given up since nothing came for ``silence_timeout``.
        last_error: what ended the last connection or attempt that ended, None before any has.
        messages_delivered: messages that the consumer was given.
        messages_waiting: messages kept for it now.
        messages_peak: the most that were kept at a time.
        messages_dropped: messages that came and were dropped, since the consumer is slow.
        gaps: gaps that the consumer was told of.
    """

    pool: PoolStatistics
    subscribed: bool
    subscriptions: int
    attempts_failed: int
    failed_in_a_row: int
    silences: int
    last_error: Exception | None
    messages_delivered: int
    messages_waiting: int
    messages_peak: int
    messages_dropped: int
    gaps: int
