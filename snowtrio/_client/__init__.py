"""Clients.

``_client`` is what users have. ``_pool`` decides for it, ``_opening`` connects, ``_sending`` and
``_inbox`` bring messages to connections and from them, ``_upkeep`` looks after connections that
nobody uses. ``_room`` bounds what is pending on each, and in the ``_line`` waits who finds none.
``_lent`` knows which of them somebody has alone. ``_single`` opens one connection without a pool.
What else opens connections, one after the other, has `Opener` and what belongs to it from here.
"""

from ._client import Client, ClientStatistics
from ._endpoints import as_endpoints
from ._inbox import Received
from ._limits import ClientLimits
from ._line import Line
from ._opening import Opener, Opening, pause_after
from ._single import open_connection, open_tcp_connection, open_unix_connection

__all__ = [
    "Client",
    "ClientLimits",
    "ClientStatistics",
    "Line",
    "Opener",
    "Opening",
    "Received",
    "as_endpoints",
    "open_connection",
    "open_tcp_connection",
    "open_unix_connection",
    "pause_after",
]
