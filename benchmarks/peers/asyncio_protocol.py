"""asyncio protocols, on asyncio's own loop or on uvloop: callbacks, nothing to await."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from peers.loops import run_on
from peers.ready import ready


class EchoLines(asyncio.Protocol):
    """Writes line by line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.transport.write(line + b"\n")


class JoinedLines(EchoLines):
    """Joins its writes by hand."""

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.transport.write(b"".join([line + b"\n" for line in lines]))


class EchoBytes(EchoLines):
    """Knows no lines: what measured clients talk to."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


FACTORIES = {"plain": EchoLines, "joined": JoinedLines, "raw": EchoBytes}


async def serve(factory: type[asyncio.Protocol], tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=tls)
    ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve lines until killed; the variant is the event loop and how it writes."""
    loop, _, writing = variant.partition(" ")
    run_on(loop, serve(FACTORIES[writing], tls))
