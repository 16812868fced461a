"""Servers.

``_serve`` has the verbs, ``_server`` the running server, ``_acceptor`` the loop that accepts, and
``_refusal`` what those get for whom there is no place.
"""

from ._limits import ServerLimits
from ._serve import serve_listeners, serve_tcp, serve_unix
from ._server import Server, ServerStatistics

__all__ = [
    "Server",
    "ServerLimits",
    "ServerStatistics",
    "serve_listeners",
    "serve_tcp",
    "serve_unix",
]
