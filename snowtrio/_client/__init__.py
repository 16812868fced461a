"""Clients.

``_client`` is what users have; ``_pool`` decides for it and ``_opening`` connects, ``_upkeep`` looks
after connections that nobody uses. ``_single`` opens one connection without a pool.
"""

from ._client import Client, ClientStatistics, Received
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
