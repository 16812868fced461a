"""snowtrio.websocket: a coroutine as the handler, and a plain function."""

from __future__ import annotations

import ssl
from functools import partial

import trio
from peers.ready import ready

from snowtrio import WhenSlow
from snowtrio.http import HTTPLimits
from snowtrio.websocket import Deflate, Hub, Message, WebSocket, serve_websocket

LIMITS = HTTPLimits(max_connections=10_000)


async def echo(websocket: WebSocket) -> None:
    """The coroutine handler: one message at a time."""
    async for message in websocket:
        await websocket.send(message)


def echo_function(websocket: WebSocket, message: Message) -> Message:  # noqa: ARG001
    return message


class Broadcaster:
    """Gives each message to everybody, its sender included."""

    def __init__(self) -> None:
        self.hub = Hub(when_slow=WhenSlow.WAIT)

    async def __call__(self, websocket: WebSocket) -> None:
        self.hub.join(websocket)
        async for message in websocket:
            await self.hub.publish(message)


async def main(variant: str, workload: str) -> None:
    handler = echo if variant == "coroutine" else echo_function
    serving = Broadcaster() if workload == "websocket-broadcast" else handler
    compression = Deflate() if workload == "websocket-deflate" else None
    async with trio.open_nursery() as nursery:
        start = partial(serve_websocket, compression=compression, http_limits=LIMITS)
        server = await nursery.start(start, serving, 0)
        ready(server.port)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed.

    Parameters:
        variant: the kind of handler.
        workload: ``websocket``, ``websocket-deflate`` or ``websocket-broadcast``.
        tls: not for this.
    """
    trio.run(main, variant, workload)
