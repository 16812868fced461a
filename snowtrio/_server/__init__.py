"""Servers.

``_serve`` has the verbs, ``_server`` the running server, ``_acceptor`` the loop that accepts,
``_gate`` the decision on each connection, and ``_refusal`` what those get who find no place.
"""

from ._limits import ServerLimits
from ._serve import serve_listeners, serve_tcp, serve_unix
from ._server import AnyListener, Server, ServerStatistics

__all__ = [
    "AnyListener",
    "Server",
    "ServerLimits",
    "ServerStatistics",
    "serve_listeners",
    "serve_tcp",
    "serve_unix",
]
