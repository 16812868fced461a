"""What one connection may hold, and how long it may take."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class ConnectionLimits:
    """The bounds of one connection. Every one has a default; times are in seconds.

    Parameters:
        max_outbox_messages: messages accepted by ``send`` and not yet with the kernel.
        max_outbox_bytes: the same in bytes. The message that crosses the bound is still accepted,
            so at most one message more is held.
        max_inbox_messages: messages decoded and not yet received; the reader stops there.
        receive_size: bytes asked of the socket at a time.
        stall_timeout: how long the peer may take none of our bytes (row B4).
        idle_timeout: how long nothing may move in either direction; None is for ever.
        drain_timeout: how long ``aclose`` waits for the outbox to empty.
        linger_timeout: how long a closing connection goes on reading and discarding, so that its
            last words are not overtaken by a reset (row B9); 0 closes at once.
        hook_timeout: how long a ``close`` hook may take.
        max_receive_rate: bytes a second taken from one peer, None is unlimited (row B11).
    """

    max_outbox_messages: int = attrs.field(default=1024, validator=ge(1))
    max_outbox_bytes: int = attrs.field(default=MIB, validator=ge(1))
    max_inbox_messages: int = attrs.field(default=1024, validator=ge(2))
    receive_size: int = attrs.field(default=64 * KIB, validator=ge(1))
    stall_timeout: float = attrs.field(default=60.0, validator=gt(0))
    idle_timeout: float | None = attrs.field(default=None, validator=optional(gt(0)))
    drain_timeout: float = attrs.field(default=10.0, validator=ge(0))
    linger_timeout: float = attrs.field(default=2.0, validator=ge(0))
    hook_timeout: float = attrs.field(default=5.0, validator=gt(0))
    max_receive_rate: int | None = attrs.field(default=None, validator=optional(gt(0)))
