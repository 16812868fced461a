"""What only datagrams meet."""

from __future__ import annotations

import errno

from .._errors import SnowtrioError


class UndeliveredError(SnowtrioError, OSError):
    """The network says that an earlier datagram did not reach the peer; its ``errno`` says why.

    ``ECONNREFUSED``, mostly: nobody has the port open. The endpoint lives, and the peer may be back
    with the next datagram. On connected endpoints alone, and whoever is on the way there can forge
    it: it is a hint.
    """


# What ICMP messages become (and, of the route, what the next datagram may not meet any more).
REPORTS = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "EMSGSIZE", "ENETDOWN"),
        *("ENETUNREACH", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EPROTO", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)

# The system has no memory for it at this moment.
EXHAUSTED = frozenset({errno.ENOBUFS, errno.ENOMEM})
