"""What a client's pool may hold."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional

from .._supervisor import PoolLimits


@attrs.frozen(kw_only=True)
class ClientLimits(PoolLimits):
    """The bounds of a client's pool; times are in seconds.

    ``max_handshakes`` is a server's: a client asked for each of its handshakes.

    Parameters:
        max_connections: connections open or being opened at a time.
        max_pending: messages that a connection may be not done with, if others are to wait until it
            is; by default as many as its outbox takes.
        min_connections: connections kept open from the start on; see also `Client.bootstrap`.
        max_waiting: senders that may wait for a connection.
        connect_timeout: how long opening a connection may take, all attempts together.
        connect_attempts: how often to try, within that time. While another connection is open,
            once: that one is used instead.
        backoff: the pause after the first failed attempt; doubled after each, with jitter.
        max_backoff: the longest pause.
        idle_timeout: close connections above the minimum on which nothing moved for so long.
        max_lifetime: replace connections that are so old, give or take a tenth; names are resolved
            again then (row B13).
    """

    max_connections: int = attrs.field(default=16, validator=ge(1))
    max_pending: int | None = attrs.field(default=None, validator=optional(ge(1)))
    min_connections: int = attrs.field(default=0, validator=ge(0))
    max_waiting: int = attrs.field(default=1024, validator=ge(0))
    connect_timeout: float = attrs.field(default=10.0, validator=gt(0))
    connect_attempts: int = attrs.field(default=3, validator=ge(1))
    backoff: float = attrs.field(default=0.1, validator=gt(0))
    max_backoff: float = attrs.field(default=5.0, validator=gt(0))
    max_lifetime: float | None = attrs.field(default=None, validator=optional(gt(0)))

    def __attrs_post_init__(self) -> None:
        if self.min_connections > self.max_connections:
            raise ValueError("min_connections is above max_connections")
