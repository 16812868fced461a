"""websockets, on asyncio's own loop or on uvloop, with its defaults but for compression."""

from __future__ import annotations

import ssl

from peers.loops import run_on
from peers.ready import ready
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


class Broadcaster:
    """Gives each message to everybody, its sender included."""

    def __init__(self) -> None:
        self.websockets: set[ServerConnection] = set()

    async def __call__(self, websocket: ServerConnection) -> None:
        self.websockets.add(websocket)
        async for message in websocket:
            broadcast(self.websockets, message)
        self.websockets.discard(websocket)


async def main(workload: str) -> None:
    handler = Broadcaster() if workload == "websocket-broadcast" else echo
    compression = "deflate" if workload == "websocket-deflate" else None
    async with serve(handler, "127.0.0.1", 0, compression=compression) as server:
        ready(next(iter(server.sockets)).getsockname()[1])
        await server.serve_forever()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed; the variant is the event loop."""
    run_on(variant, main(workload))
