"""Counts of a client of requests."""

from __future__ import annotations

import attrs

from .._client import ClientStatistics
from ._histogram import LatencyHistogram


@attrs.frozen(kw_only=True)
class RequestStatistics:
    """A `RequestClient`'s counts at one moment (row B7).

    Every request that a connection has accepted is in exactly one of ``in_flight``, ``answered``,
    ``not_sent``, ``in_doubt`` and ``abandoned``, but that one that is abandoned stays in flight too
    until its reply comes.

    Parameters:
        client: of the pool below.
        in_flight: requests under way, waiting for a connection or for a reply.
        in_flight_peak: the most that there were.
        waiting: requests that wait to be let in.
        answered: requests with a reply, or all of a stream of them.
        not_sent: requests that failed before anything of them left.
        in_doubt: requests that failed, and the peer may have executed them.
        abandoned: requests whose author was cancelled or timed out after they were accepted.
        replies_dropped: replies that came for those.
        pushes: messages that answered nothing, outside of sessions.
        pushes_dropped: those of them that nobody took in time.
        latency: from the call to the last reply.
    """

    client: ClientStatistics
    in_flight: int
    in_flight_peak: int
    waiting: int
    answered: int
    not_sent: int
    in_doubt: int
    abandoned: int
    replies_dropped: int
    pushes: int
    pushes_dropped: int
    latency: LatencyHistogram
