"""What the tests of UDP share: a plain socket on the other side, and endpoints to talk to it."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import trio

from snowtrio.udp import UDPServer, serve_udp

# Far above what it takes, so that only a hang meets it.
TIMEOUT = 10.0

HOSTS = {"IPv4": "127.0.0.1", "IPv6": "::1"}


@contextlib.contextmanager
def plain_socket(host: str = "127.0.0.1", *, buffer: int | None = None) -> Iterator[socket.socket]:
    """Give a bound socket without anything of ours, which times out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.bind((host, 0))
        sock.settimeout(TIMEOUT)
        yield sock


def closed_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody has open now."""
    with plain_socket(host) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def serving(handler: Any, **options: Any) -> AsyncIterator[UDPServer[Any, Any]]:
    """Run a server for the time of a block."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_udp, **options), handler, 0)
        yield server
        nursery.cancel_scope.cancel()


def send_without_port(data: bytes, port: int) -> None:
    """Send a datagram that says that it comes from port 0 of this machine.

    Raises:
        PermissionError: only root may.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as sock:
        header = struct.pack("!HHHH", 0, port, 8 + len(data), 0)
        sock.sendto(header + data, ("127.0.0.1", 0))
