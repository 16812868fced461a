"""The verb: serve WebSockets on TCP."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import trio

from ...http import HTTPLimits, HTTPServer, Request, Response, serve_http
from .._socket import WebSocket
from .._wire import Deflate, WebSocketLimits
from ._accepting import accept_websocket
from ._opening import ChooseSubprotocol

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


async def serve_websocket(
    handler: Handler,
    port: int,
    *,
    host: str | None = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
    subprotocols: ChooseSubprotocol = (),
    origins: Sequence[str | None] | None = None,
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    http_limits: HTTPLimits | None = None,
    task_status: trio.TaskStatus[HTTPServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve WebSockets on TCP until drained or cancelled."""

    async def handle(request: Request) -> Response | None:
        async with accept_websocket(
            request,
            subprotocols=subprotocols,
            origins=origins,
            compression=compression,
            limits=limits,
        ) as websocket:
            await handler(websocket)
        return None

    await serve_http(
        handle,
        port,
        host=host,
        ssl_context=ssl_context,
        limits=http_limits,
        task_status=task_status,
    )
