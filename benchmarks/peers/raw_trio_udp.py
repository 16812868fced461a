"""Trio's own sockets over UDP: one task, one datagram at a time."""

from __future__ import annotations

import ssl

import trio
from peers.ready import ready


async def serve() -> None:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        ready(sock.getsockname()[1])
        while True:
            data, sender = await sock.recvfrom(65536)
            await sock.sendto(data, sender)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve datagrams until killed."""
    trio.run(serve)
