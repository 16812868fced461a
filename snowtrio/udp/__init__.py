"""UDP: datagrams with their senders, and servers that see each peer as a connection.

An endpoint is one socket. It sends and receives datagrams, one by one or in batches::

    from snowtrio.udp import open_udp_endpoint

    async with await open_udp_endpoint(9999) as endpoint:
        async for datagram in endpoint:
            await endpoint.send(datagram.data, datagram.sender)

A server calls a plain function for each datagram and sends back what it returns, or a coroutine
function for each peer::

    from snowtrio.udp import UDPSession, serve_udp

    async def echo(session: UDPSession) -> None:
        async for data in session:
            await session.send(data)

    trio.run(serve_udp, echo, 9999)

``_endpoint`` is one socket, made by ``_open``: ``_intake`` is the way in and ``_outlet`` the way
out, ``_ways`` knows addresses and ``_multicast`` groups. ``_server`` runs over endpoints and is
made by ``_serve``; ``_answering`` and ``_sessions`` stand behind its two kinds of handlers.
``_session`` is one peer, and ``_mailbox`` what came from it. ``_messages`` makes messages of
datagrams.
"""

from ._datagram import Datagram
from ._endpoint import UDPEndpoint
from ._errors import UndeliveredError
from ._limits import EndpointLimits, UDPServerLimits
from ._open import connect_udp_endpoint, open_udp_endpoint, open_udp_endpoints
from ._serve import serve_udp, serve_udp_endpoints
from ._server import UDPServer
from ._session import UDPSession
from ._statistics import EndpointStatistics, SessionStatistics, UDPServerStatistics

__all__ = [
    "Datagram",
    "EndpointLimits",
    "EndpointStatistics",
    "SessionStatistics",
    "UDPEndpoint",
    "UDPServer",
    "UDPServerLimits",
    "UDPServerStatistics",
    "UDPSession",
    "UndeliveredError",
    "connect_udp_endpoint",
    "open_udp_endpoint",
    "open_udp_endpoints",
    "serve_udp",
    "serve_udp_endpoints",
]

# What is exported here comes from here, as far as its users need to know.
for _name in __all__:
    if globals()[_name].__module__.startswith("snowtrio.udp._"):
        globals()[_name].__module__ = __name__
