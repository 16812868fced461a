"""Clients.

``_client`` is what users have. ``_pool`` decides for it, ``_opening`` connects, ``_sending`` and
``_inbox`` bring messages to connections and from them, ``_upkeep`` looks after connections that
nobody uses. ``_single`` opens one connection without a pool.
"""

from ._client import Client, ClientStatistics
from ._inbox import Received
from ._limits import ClientLimits
from ._single import open_connection, open_tcp_connection, open_unix_connection

__all__ = [
    "Client",
    "ClientLimits",
    "ClientStatistics",
    "Received",
    "open_connection",
    "open_tcp_connection",
    "open_unix_connection",
]
