"""trio-websocket. It has no compression, and nothing for broadcasts."""

from __future__ import annotations

import ssl

import trio
from peers.ready import ready
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    WebSocketServer,
    serve_websocket,
)


async def echo(request: WebSocketRequest) -> None:
    websocket = await request.accept()
    try:
        while True:
            await websocket.send_message(await websocket.get_message())
    except ConnectionClosed:
        pass


class Broadcaster:
    """Gives each message to everybody in turn, its sender included."""

    def __init__(self) -> None:
        self.websockets: set[WebSocketConnection] = set()

    async def __call__(self, request: WebSocketRequest) -> None:
        websocket = await request.accept()
        self.websockets.add(websocket)
        try:
            while True:
                message = await websocket.get_message()
                for each in list(self.websockets):
                    await each.send_message(message)
        except ConnectionClosed:
            self.websockets.discard(websocket)


async def main(workload: str) -> None:
    handler = Broadcaster() if workload == "websocket-broadcast" else echo
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(
            serve_websocket, handler, "127.0.0.1", 0, None
        )
        ready(server.port)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    trio.run(main, workload)
