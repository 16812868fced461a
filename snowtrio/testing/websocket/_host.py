"""The server that a test's WebSocket comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Unpack

import trio

from ..._supervisor import open_plain_nursery
from ...websocket import ServeOptions, WebSocket, serve_websocket_listeners


class Host:
    """Has one WebSocket accepted, and holds it open until the test has done with it."""

    def __init__(self) -> None:
        self.left = trio.Event()
        """Set when the test has done with it."""
        self._arrived = trio.Event()
        self._websocket: WebSocket | None = None

    async def hold(self, websocket: WebSocket) -> None:
        """Handle the WebSocket."""
        self._websocket = websocket
        self._arrived.set()
        await self.left.wait()

    async def wait_opened(self) -> WebSocket:
        """Wait until it is there and return it."""
        await self._arrived.wait()
        assert self._websocket is not None
        return self._websocket


@asynccontextmanager
async def serve_host(
    host: Host, listener: trio.abc.Listener[trio.abc.Stream], **options: Unpack[ServeOptions]
) -> AsyncGenerator[None, None]:
    """Serve while the block runs, and then until the server's side has closed as well."""
    async with open_plain_nursery() as nursery:
        serve = partial(serve_websocket_listeners, host.hold, [listener], **options)
        server = await nursery.start(partial(serve, propagate_errors=True))
        yield
        await server.drain()
