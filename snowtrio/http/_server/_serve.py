"""The verbs: serve HTTP on TCP, on a Unix socket, on any listener."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

import trio

from ..._server import AnyListener
from ..._transport import SocketOptions, open_tcp_listeners, open_unix_listener
from ._farewell import WhenFull
from ._http_server import HTTPServer
from ._limits import HTTPLimits
from ._service import Handler


async def serve_http(
    handler: Handler,
    port: int,
    *,
    host: str | None = "127.0.0.1",
    options: SocketOptions | None = None,
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    when_full: WhenFull = None,
    propagate_errors: bool = False,
    server_name: str | None = None,
    request_id_header: str | None = None,
    task_status: trio.TaskStatus[HTTPServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP on TCP until drained or cancelled.

    ``server = await nursery.start(serve_http, handler, 0)`` returns the running `HTTPServer` once
    it listens.

    Parameters:
        handler: see `HTTPServer`, as for those not described here.
        port: 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6. Loopback by default.
        options: of the sockets that listen, and so of the connections.
        ssl_context: speak HTTPS.
        limits: the bounds.
        when_full: what a client gets that finds no place.
        propagate_errors: let a handler's error end the server.
        server_name: what a ``Server`` field says.
        request_id_header: the field from which a request's id is taken.
        task_status: for ``nursery.start``.

    Raises:
        OSError: the port is in use or the host unknown; nothing is left open.
        SocketOptionError: an option is not for TCP listeners, not on this platform, or refused;
            nothing is left open.
    """
    server = HTTPServer(
        handler,
        ssl_context=ssl_context,
        limits=limits,
        when_full=when_full,
        propagate_errors=propagate_errors,
        server_name=server_name,
        request_id_header=request_id_header,
    )
    await server.serve(
        await open_tcp_listeners(port, host=host, options=options), task_status=task_status
    )


async def serve_http_unix(
    handler: Handler,
    path: str | os.PathLike[str],
    *,
    mode: int = 0o600,
    options: SocketOptions | None = None,
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    when_full: WhenFull = None,
    propagate_errors: bool = False,
    server_name: str | None = None,
    request_id_header: str | None = None,
    task_status: trio.TaskStatus[HTTPServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP on a Unix socket until drained or cancelled.

    As `serve_http`; requests have no peer address.

    Parameters:
        handler: see `HTTPServer`, as for those not described here.
        path: the socket's file. A stale one is replaced, a live one is an error; it is removed at
            the end.
        mode: the file's permissions; by default only this user can connect.
        options: of the connections' sockets.
        ssl_context: speak HTTPS.
        limits: the bounds.
        when_full: what a client gets that finds no place.
        propagate_errors: let a handler's error end the server.
        server_name: what a ``Server`` field says.
        request_id_header: the field from which a request's id is taken.
        task_status: for ``nursery.start``.

    Raises:
        OSError: another server listens there, or something else stands at `path`.
        SocketOptionError: an option is not for Unix sockets, not on this platform, or refused.
    """
    server = HTTPServer(
        handler,
        ssl_context=ssl_context,
        limits=limits,
        when_full=when_full,
        propagate_errors=propagate_errors,
        server_name=server_name,
        request_id_header=request_id_header,
    )
    await server.serve(
        [await open_unix_listener(path, mode=mode, options=options)], task_status=task_status
    )


async def serve_http_listeners(
    handler: Handler,
    listeners: Sequence[AnyListener],
    *,
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    when_full: WhenFull = None,
    propagate_errors: bool = False,
    server_name: str | None = None,
    request_id_header: str | None = None,
    task_status: trio.TaskStatus[HTTPServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP on listeners that are there already; one server over all of them.

    As `serve_http`.

    Parameters:
        handler: see `HTTPServer`, as for those not described here.
        listeners: any Trio listeners, or those of ``open_tcp_listeners`` and
            ``open_unix_listener``. Owned and closed by the server.
        ssl_context: speak HTTPS.
        limits: the bounds.
        when_full: what a client gets that finds no place.
        propagate_errors: let a handler's error end the server.
        server_name: what a ``Server`` field says.
        request_id_header: the field from which a request's id is taken.
        task_status: for ``nursery.start``.
    """
    server = HTTPServer(
        handler,
        ssl_context=ssl_context,
        limits=limits,
        when_full=when_full,
        propagate_errors=propagate_errors,
        server_name=server_name,
        request_id_header=request_id_header,
    )
    await server.serve(listeners, task_status=task_status)
