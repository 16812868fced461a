"""What a server may hold."""

from __future__ import annotations

import attrs
from attrs.validators import ge, optional

from .._supervisor import PoolLimits


@attrs.frozen(kw_only=True)
class ServerLimits(PoolLimits):
    """The bounds of a server; replace them while it runs with ``server.limits = …``.

    Parameters:
        max_connections_per_peer: connections that one host may have; None is no such bound. Peers
            on Unix sockets cannot be told apart and are not bounded by it.
        memory_budget: bytes that all connections may hold together in receive buffers, decoded
            messages that wait, and outboxes (row B11); None is no such bound. Fixed when the server
            is made.
        max_farewells: refused peers that are being told so at a time; more are just closed.
    """

    max_connections_per_peer: int | None = attrs.field(default=None, validator=optional(ge(1)))
    memory_budget: int | None = attrs.field(default=None, validator=optional(ge(1)))
    max_farewells: int = attrs.field(default=64, validator=ge(0))
