"""What a pool of connections may hold."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional

from .._connection import ConnectionLimits


@attrs.frozen(kw_only=True)
class PoolLimits(ConnectionLimits):
    """The bounds over many connections, and of each of them.

    Parameters:
        max_connections: connections registered or shaking hands at a time.
        max_handshakes: of those, how many may be shaking hands (row B2); None is a quarter, at
            least one. So peers that complete always find places.
        handshake_timeout: how long TLS and the handshake may take together, in seconds.
    """

    max_connections: int = attrs.field(default=128, validator=ge(1))
    max_handshakes: int | None = attrs.field(default=None, validator=optional(ge(1)))
    handshake_timeout: float = attrs.field(default=10.0, validator=gt(0))

    @property
    def handshake_places(self) -> int:
        """How many connections may be shaking hands at a time."""
        if self.max_handshakes is not None:
            return min(self.max_handshakes, self.max_connections)
        return max(1, self.max_connections // 4)
