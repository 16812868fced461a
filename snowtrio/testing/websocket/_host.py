"""The server that a test's WebSocket comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from ..._supervisor import open_plain_nursery
from ...http import HTTPLimits, Request, serve_http_listeners
from ...websocket import Deflate, WebSocket, WebSocketLimits, accept_websocket


@attrs.frozen(kw_only=True)
class Accepting:
    """How a server accepts; see `accept_websocket`."""

    subprotocols: Sequence[str] = ()
    origins: Sequence[str | None] | None = None
    compression: Deflate | None = None
    limits: WebSocketLimits | None = None
    http_limits: HTTPLimits | None = None


class Host:
    """Has one WebSocket accepted, and holds it open until the test has done with it."""

    def __init__(self) -> None:
        self.left = trio.Event()
        """Set when the test has done with it."""
        self._arrived = trio.Event()
        self._gone = trio.Event()
        self._websocket: WebSocket | None = None

    async def hold(self, websocket: WebSocket) -> None:
        """Handle the WebSocket."""
        self._websocket = websocket
        self._arrived.set()
        await self.left.wait()

    async def handle(self, request: Request, accepting: Accepting) -> None:
        """Answer the request."""
        try:
            await accept(request, accepting, self.hold)
        finally:
            self._gone.set()

    async def wait_opened(self) -> WebSocket:
        """Wait until it is there and return it."""
        await self._arrived.wait()
        assert self._websocket is not None
        return self._websocket

    async def wait_gone(self) -> None:
        """Wait until its side has closed as well."""
        await self._gone.wait()


async def accept(
    request: Request, accepting: Accepting, handler: Callable[[WebSocket], Awaitable[None]]
) -> None:
    """Answer a request with a WebSocket."""
    async with accept_websocket(
        request,
        subprotocols=accepting.subprotocols,
        origins=accepting.origins,
        compression=accepting.compression,
        limits=accepting.limits,
    ) as websocket:
        await handler(websocket)


@asynccontextmanager
async def serve_behind(
    handle: Callable[[Request], Awaitable[None]],
    listener: trio.abc.Listener[trio.abc.Stream],
    accepting: Accepting,
) -> AsyncGenerator[None, None]:
    """Serve while the block runs; a handler's error ends it."""
    async with open_plain_nursery() as nursery:
        await nursery.start(
            partial(
                serve_http_listeners,
                handle,
                [listener],
                limits=accepting.http_limits,
                propagate_errors=True,
            )
        )
        yield
        nursery.cancel_scope.cancel(reason="the test has done with it")
