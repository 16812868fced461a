"""asyncio's `DatagramProtocol`, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

from peers.loops import run_on
from peers.ready import ready


class EchoDatagrams(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.transport.sendto(data, addr)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=("127.0.0.1", 0))
    ready(transport.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve datagrams until killed; the variant is the event loop."""
    run_on(variant, serve())
