"""websockets on Trio, with its defaults but for compression."""

from __future__ import annotations

import ssl
from functools import partial

import trio
from peers.ready import ready
from websockets.trio.connection import broadcast
from websockets.trio.server import ServerConnection, serve


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
            await broadcast(self.websockets, message)
        self.websockets.discard(websocket)


async def main(workload: str) -> None:
    handler = Broadcaster() if workload == "websocket-broadcast" else echo
    compression = "deflate" if workload == "websocket-deflate" else None
    async with trio.open_nursery() as nursery:
        start = partial(serve, host="127.0.0.1", compression=compression)
        server = await nursery.start(start, handler, 0)
        ready(server.listeners[0].socket.getsockname()[1])


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    trio.run(main, workload)
