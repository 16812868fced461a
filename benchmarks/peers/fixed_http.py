"""The least that answers HTTP: the same bytes for each head. What measured clients talk to."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from peers.hello import CONTENT_TYPE, MESSAGE, write_json
from peers.loops import run_on
from peers.ready import ready

BODY = write_json(MESSAGE)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (CONTENT_TYPE.encode(), len(BODY), BODY)
)
HEAD_END = b"\r\n\r\n"


class Fixed(asyncio.Protocol):
    def __init__(self) -> None:
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        heads = data.count(HEAD_END)
        if heads:
            self._transport.write(RESPONSE * heads)
        self._tail = data[data.rfind(HEAD_END) + len(HEAD_END) :] if heads else data


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0)
    ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    run_on(variant, serve())
