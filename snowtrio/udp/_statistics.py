"""What endpoints, sessions and servers count."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .._connection import Cause
from .._supervisor import Refusal


@attrs.frozen(kw_only=True)
class EndpointStatistics:
    """An endpoint's counts at one moment.

    Parameters:
        received: datagrams taken from the socket and kept.
        bytes_received: in those.
        sent: datagrams handed to the kernel.
        bytes_sent: in those.
        sends_waited: sends for which the kernel had no room at first.
        oversized: datagrams thrown away since they are above ``max_datagram_size``.
        undecodable: datagrams thrown away since they are no message of the codec.
        undelivered: reports of the network that a datagram did not arrive, by the name of the
            error: ``{"ECONNREFUSED": 2}``.
        kernel_drops: datagrams that came and found the system's buffer full; None where the system
            does not tell (all but Linux).
        inbox: datagrams that were taken from the socket and not received yet.
    """

    received: int
    bytes_received: int
    sent: int
    bytes_sent: int
    sends_waited: int
    oversized: int
    undecodable: int
    undelivered: Mapping[str, int]
    kernel_drops: int | None
    inbox: int


@attrs.frozen(kw_only=True)
class SessionStatistics:
    """A session's counts at one moment.

    Parameters:
        received: datagrams that came for it and were kept.
        sent: datagrams handed to the kernel.
        dropped: datagrams that found its inbox full or came when it had ended, and those that
            waited when its handler closed it or returned.
        undecodable: datagrams thrown away since they are no message of the codec.
        inbox: datagrams that wait.
        inbox_bytes: in those.
    """

    received: int
    sent: int
    dropped: int
    undecodable: int
    inbox: int
    inbox_bytes: int


@attrs.frozen(kw_only=True)
class UDPServerStatistics:
    """A server's counts at one moment.

    Parameters:
        endpoints: of each of its endpoints.
        sessions: that are there now.
        peak_sessions: the most there have been at a time.
        opened: sessions since the start.
        ended: sessions that ended, by cause.
        refused: datagrams of peers that got no session, by reason.
        not_admitted: datagrams of peers that ``admit`` turned away, or that have port 0, to which
            nothing can be sent.
        dropped: what sessions have dropped (see `SessionStatistics`), also for the memory budget;
            and what ``admit`` sent back where the system would not take it.
        undecodable: datagrams thrown away since they are no message of the codec.
        handler_errors: what handlers raised.
        replies_failed: replies of a plain function that the system would not send.
        memory_held: bytes that wait in sessions.
    """

    endpoints: tuple[EndpointStatistics, ...]
    sessions: int
    peak_sessions: int
    opened: int
    ended: Mapping[Cause, int]
    refused: Mapping[Refusal, int]
    not_admitted: int
    dropped: int
    undecodable: int
    handler_errors: int
    replies_failed: int
    memory_held: int
