"""asyncio streams, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable

from peers.loops import run_on
from peers.ready import ready


async def echo_lines(reader: StreamReader, writer: StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def echo_prefixed(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while True:
            header = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(header, "big"))
            writer.writelines([header, body])
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


class Broadcaster:
    """Gives each line to everybody, its sender included."""

    def __init__(self) -> None:
        self.writers: set[StreamWriter] = set()

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.writers.add(writer)
        while line := await reader.readline():
            for each in self.writers:
                each.write(line)
            for each in list(self.writers):
                await each.drain()
        self.writers.discard(writer)
        writer.close()


HANDLERS: dict[str, Callable[[StreamReader, StreamWriter], Awaitable[None]]] = {
    "lines": echo_lines,
    "prefixed": echo_prefixed,
    "broadcast": Broadcaster(),
}


async def serve(workload: str, tls: ssl.SSLContext | None) -> None:
    server = await asyncio.start_server(HANDLERS[workload], "127.0.0.1", 0, ssl=tls)
    ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:
    """Serve until killed; the variant is the event loop."""
    run_on(variant, serve(workload, tls))
