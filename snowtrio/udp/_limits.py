"""What an endpoint, a server and a session may hold."""

from __future__ import annotations

from typing import cast

import attrs
from attrs.validators import and_, ge, gt, le, optional


@attrs.frozen(kw_only=True)
class EndpointLimits:
    """The bounds of one endpoint.

    Parameters:
        max_datagram_size: bytes. A larger datagram is counted and thrown away, never delivered cut.
        max_inbox_datagrams: how many are taken from the socket at a time. Those that have not been
            received yet are at most so many; the others wait in the system's buffer, or are dropped
            by it when that is full.
        max_inbox_bytes: likewise; the datagram that goes beyond is the last that is taken.
    """

    max_datagram_size: int = attrs.field(default=65535, validator=and_(ge(1), le(65535)))
    max_inbox_datagrams: int = attrs.field(default=256, validator=ge(1))
    max_inbox_bytes: int = attrs.field(default=1024 * 1024, validator=ge(1))


@attrs.frozen(kw_only=True)
class UDPServerLimits(EndpointLimits):
    """The bounds of a server: of its endpoints, and of its sessions.

    Parameters:
        max_sessions: peers that have a session at a time. A datagram of one more is dropped.
        max_sessions_per_host: of those, how many with the same host; None is no such bound.
        idle_timeout: seconds without a datagram in either direction after which a session ends;
            up to a quarter late. None is never, which lets strangers fill ``max_sessions``.
        end_timeout: seconds that a handler may take when its session has ended, before it is
            cancelled.
        max_session_datagrams: datagrams that wait in one session; more are dropped.
        max_session_bytes: bytes that do.
        memory_budget: bytes that wait in all sessions together.
    """

    max_sessions: int = attrs.field(default=1024, validator=ge(1))
    max_sessions_per_host: int | None = attrs.field(default=None, validator=optional(ge(1)))
    idle_timeout: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(gt(0))
    )
    end_timeout: float = attrs.field(default=5.0, validator=ge(0))
    max_session_datagrams: int = attrs.field(default=256, validator=ge(1))
    max_session_bytes: int = attrs.field(default=256 * 1024, validator=ge(1))
    memory_budget: int = attrs.field(default=16 * 1024 * 1024, validator=ge(1))
