"""The verbs: serve WebSockets on TCP, on a Unix socket, on any listener."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import TypedDict, Unpack

import trio

from ..._server import AnyListener
from ..._transport import SocketOptions, open_tcp_listeners, open_unix_listener
from ...http import HTTPLimits
from ...http._server import WhenFull
from .._wire import Deflate, WebSocketLimits
from ._handlers import WebSocketHandler
from ._opening import ChooseSubprotocol
from ._terms import MakeHeaders
from ._websocket_server import ProcessRequest, WebSocketServer


class ServeOptions(TypedDict, total=False):
    """What the verbs take by name besides their own: the options of `WebSocketServer`."""

    ssl_context: ssl.SSLContext | None
    subprotocols: ChooseSubprotocol
    origins: Sequence[str | None] | None
    compression: Deflate | None
    headers: MakeHeaders
    process_request: ProcessRequest | None
    limits: WebSocketLimits | None
    http_limits: HTTPLimits | None
    when_full: WhenFull
    propagate_errors: bool


async def serve_websocket(
    handler: WebSocketHandler,
    port: int,
    *,
    host: str | None = "127.0.0.1",
    options: SocketOptions | None = None,
    task_status: trio.TaskStatus[WebSocketServer] = trio.TASK_STATUS_IGNORED,
    **others: Unpack[ServeOptions],
) -> None:
    """Serve WebSockets on TCP until drained or cancelled.

    ``server = await nursery.start(serve_websocket, handler, 0)`` returns the running
    `WebSocketServer` once it listens.

    Parameters:
        handler: a coroutine function called with each `WebSocket`; see `WebSocketServer` for the
            other kinds, and for what is not described here.
        port: 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6. Loopback by default.
        options: of the sockets that listen, and so of the connections.
        task_status: for ``nursery.start``.
        others: of `WebSocketServer`.

    Raises:
        OSError: the port is in use or the host unknown; nothing is left open.
        SocketOptionError: an option is not for TCP listeners, not on this platform, or refused;
            nothing is left open.
    """
    server = WebSocketServer(handler, **others)
    await server.serve(
        await open_tcp_listeners(port, host=host, options=options), task_status=task_status
    )


async def serve_websocket_unix(
    handler: WebSocketHandler,
    path: str | os.PathLike[str],
    *,
    mode: int = 0o600,
    options: SocketOptions | None = None,
    task_status: trio.TaskStatus[WebSocketServer] = trio.TASK_STATUS_IGNORED,
    **others: Unpack[ServeOptions],
) -> None:
    """Serve WebSockets on a Unix socket until drained or cancelled.

    As `serve_websocket`; clients have no address.

    Parameters:
        handler: see `WebSocketServer`, as for what is not described here.
        path: the socket's file. A stale one is replaced, a live one is an error; it is removed at
            the end.
        mode: the file's permissions; by default only this user can connect.
        options: of the connections' sockets.
        task_status: for ``nursery.start``.
        others: of `WebSocketServer`.

    Raises:
        OSError: another server listens there, or something else stands at `path`.
        SocketOptionError: an option is not for Unix sockets, not on this platform, or refused.
    """
    server = WebSocketServer(handler, **others)
    await server.serve(
        [await open_unix_listener(path, mode=mode, options=options)], task_status=task_status
    )


async def serve_websocket_listeners(
    handler: WebSocketHandler,
    listeners: Sequence[AnyListener],
    *,
    task_status: trio.TaskStatus[WebSocketServer] = trio.TASK_STATUS_IGNORED,
    **others: Unpack[ServeOptions],
) -> None:
    """Serve WebSockets on listeners that are there already; one server over all of them.

    As `serve_websocket`.

    Parameters:
        handler: see `WebSocketServer`, as for what is not described here.
        listeners: any Trio listeners, or those of ``open_tcp_listeners`` and
            ``open_unix_listener``. Owned and closed by the server.
        task_status: for ``nursery.start``.
        others: of `WebSocketServer`.
    """
    server = WebSocketServer(handler, **others)
    await server.serve(listeners, task_status=task_status)
