"""snowtrio over UDP: an endpoint, sessions, a plain function."""

from __future__ import annotations

import ssl

import trio
from peers.ready import ready

from snowtrio.udp import Datagram, UDPServer, UDPSession, open_udp_endpoint, serve_udp


async def echo_session(session: UDPSession) -> None:
    async for data in session:
        await session.send(data)


def echo_function(datagram: Datagram) -> bytes:
    return datagram.data


HANDLERS = {"sessions": echo_session, "function": echo_function}


async def serve(variant: str) -> None:
    if variant == "endpoint":
        async with await open_udp_endpoint() as endpoint:
            ready(endpoint.port)
            async for datagram in endpoint:
                await endpoint.send(datagram.data, datagram.sender)
    async with trio.open_nursery() as nursery:
        server: UDPServer = await nursery.start(serve_udp, HANDLERS[variant], 0)
        ready(server.port)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve datagrams until killed; the variant is the kind of handler."""
    trio.run(serve, variant)
