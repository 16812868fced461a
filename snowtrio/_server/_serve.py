"""The verbs: serve on TCP, on a Unix socket, on any listener."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._protocol import Handler, Protocol
from .._transport import SocketOptions, open_tcp_listeners, open_unix_listener
from ._gate import WhenFull
from ._limits import ServerLimits
from ._server import AnyListener, Server

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


async def serve_tcp(
    handler: Handler[SendT, ReceiveT, ContextT] | None,
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    port: int,
    *,
    host: str | None = "127.0.0.1",
    options: SocketOptions | None = None,
    ssl_context: ssl.SSLContext | None = None,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "close",
    propagate_errors: bool = False,
    task_status: trio.TaskStatus[Server[SendT, ReceiveT, ContextT]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a protocol on TCP until drained or cancelled.

    ``server = await nursery.start(serve_tcp, handler, codec, 0)`` returns the running `Server` once
    it listens.

    Parameters:
        handler: see `Server`, as for those not described here.
        protocol: a `Protocol` or a bare codec.
        port: 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6. Loopback by default.
        options: of the sockets that listen, and so of the connections.
        ssl_context: speak TLS.
        limits: the bounds.
        when_full: what a peer gets that finds no place.
        propagate_errors: let a handler's error end the server.
        task_status: for ``nursery.start``.

    Raises:
        OSError: the port is in use or the host unknown; nothing is left open.
        SocketOptionError: an option is not for TCP listeners, not on this platform, or refused;
            nothing is left open.
    """
    server = Server(
        handler,
        protocol,
        ssl_context=ssl_context,
        limits=limits,
        when_full=when_full,
        propagate_errors=propagate_errors,
    )
    await server.serve(
        await open_tcp_listeners(port, host=host, options=options), task_status=task_status
    )


async def serve_unix(
    handler: Handler[SendT, ReceiveT, ContextT] | None,
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    path: str | os.PathLike[str],
    *,
    mode: int = 0o600,
    options: SocketOptions | None = None,
    ssl_context: ssl.SSLContext | None = None,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "close",
    propagate_errors: bool = False,
    task_status: trio.TaskStatus[Server[SendT, ReceiveT, ContextT]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a protocol on a Unix socket until drained or cancelled.

    Parameters:
        handler: see `Server`, as for those not described here.
        protocol: a `Protocol` or a bare codec.
        path: the socket's file. A stale one is replaced, a live one is an error; it is removed at
            the end.
        mode: the file's permissions; by default only this user can connect.
        options: of the connections' sockets.
        ssl_context: speak TLS.
        limits: the bounds.
        when_full: what a peer gets that finds no place.
        propagate_errors: let a handler's error end the server.
        task_status: for ``nursery.start``.

    Raises:
        OSError: another server listens there, or something else stands at `path`.
        SocketOptionError: an option is not for Unix sockets, not on this platform, or refused.
    """
    server = Server(
        handler,
        protocol,
        ssl_context=ssl_context,
        limits=limits,
        when_full=when_full,
        propagate_errors=propagate_errors,
    )
    await server.serve(
        [await open_unix_listener(path, mode=mode, options=options)], task_status=task_status
    )


async def serve_listeners(
    handler: Handler[SendT, ReceiveT, ContextT] | None,
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    listeners: Sequence[AnyListener],
    *,
    ssl_context: ssl.SSLContext | None = None,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "close",
    propagate_errors: bool = False,
    task_status: trio.TaskStatus[Server[SendT, ReceiveT, ContextT]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a protocol on listeners that are there already; one server over all of them.

    Parameters:
        handler: see `Server`, as for those not described here.
        protocol: a `Protocol` or a bare codec.
        listeners: any Trio listeners, or those of ``open_tcp_listeners`` and
            ``open_unix_listener``. Owned and closed by the server.
        ssl_context: speak TLS.
        limits: the bounds.
        when_full: what a peer gets that finds no place.
        propagate_errors: let a handler's error end the server.
        task_status: for ``nursery.start``.
    """
    server = Server(
        handler,
        protocol,
        ssl_context=ssl_context,
        limits=limits,
        when_full=when_full,
        propagate_errors=propagate_errors,
    )
    await server.serve(listeners, task_status=task_status)
