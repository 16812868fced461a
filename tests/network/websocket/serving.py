"""WebSocket servers on real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from snowtrio import DrainTimeouts
from snowtrio.http import HTTPLimits
from snowtrio.websocket import WebSocketServer, serve_websocket

from ...serving import LIMIT
from ...websocket_serving import WebSocketPeer, check_nothing_left, echo

QUICK = HTTPLimits(linger_timeout=0.2)


@asynccontextmanager
async def serving_websocket_on(
    handler: Any = echo,
    where: Any = 0,
    *,
    serve: Any = serve_websocket,
    http_limits: HTTPLimits = QUICK,
    **options: Any,
) -> AsyncGenerator[WebSocketServer, None]:
    """Serve on a real socket; at the end drain, and check that nothing is left.

    Parameters:
        handler: echoes by default.
        where: a port, a path, listeners.
        serve: which verb.
        http_limits: linger for a short while by default.
        options: of the verb.
    """
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(
            partial(serve, handler, where, http_limits=http_limits, **options)
        )
        yield server
        with trio.fail_after(LIMIT):
            await server.drain(DrainTimeouts(goodbye=0.2, wait=0.5))
            while nursery.child_tasks:
                await trio.sleep(0.002)
    check_nothing_left(server)


async def connect(server: WebSocketServer) -> WebSocketPeer:
    """Connect, and shake no hands."""
    return WebSocketPeer(await trio.open_tcp_stream("127.0.0.1", server.port))


async def opened(server: WebSocketServer) -> WebSocketPeer:
    """Connect and shake hands."""
    peer = await connect(server)
    await peer.open()
    return peer
