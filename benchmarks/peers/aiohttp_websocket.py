"""aiohttp's WebSockets without its router, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial

from aiohttp import WSMsgType, web
from peers.hello import listening_socket
from peers.loops import run_on
from peers.ready import ready


async def echo(request: web.BaseRequest, *, compress: bool) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse(compress=compress)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
        elif message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
    return websocket


class Broadcaster:
    """Gives each message to everybody in turn, its sender included."""

    def __init__(self) -> None:
        self.websockets: set[web.WebSocketResponse] = set()

    async def __call__(self, request: web.BaseRequest) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        self.websockets.add(websocket)
        async for message in websocket:
            for each in list(self.websockets):
                await each.send_bytes(message.data)
        self.websockets.discard(websocket)
        return websocket


async def main(workload: str) -> None:
    handler = partial(echo, compress=workload == "websocket-deflate")
    serving = Broadcaster() if workload == "websocket-broadcast" else handler
    runner = web.ServerRunner(web.Server(serving, access_log=None))
    await runner.setup()
    listener = listening_socket()
    await web.SockSite(runner, listener).start()
    ready(listener.getsockname()[1])
    await asyncio.Event().wait()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed; the variant is the event loop."""
    run_on(variant, main(workload))
