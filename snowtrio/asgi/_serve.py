"""The verbs: run an application on TCP, or on any listener."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from .._server import AnyListener
from .._supervisor import open_plain_nursery
from .._transport import SocketOptions, open_tcp_listeners
from ..http import HTTPLimits
from ..http._server import ExchangeServer
from ..websocket import Deflate, WebSocketLimits
from ._lifespan import open_lifespan
from ._runner import Runner
from ._scope import Surroundings
from ._server import ASGIServer, Reports
from ._terms import WebSocketTerms
from ._types import ASGIApplication, LifespanMode


async def serve_asgi(
    app: ASGIApplication,
    port: int,
    *,
    host: str | None = "127.0.0.1",
    options: SocketOptions | None = None,
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    root_path: str = "",
    lifespan: LifespanMode = "auto",
    max_background: int = 1000,
    websocket_limits: WebSocketLimits | None = None,
    websocket_compression: Deflate | None = None,
    task_status: trio.TaskStatus[ASGIServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run an ASGI 3 application on TCP until drained or cancelled.

    The application starts up before the server listens, and shuts down when all requests are done.
    It is called for each request and each WebSocket, with context variables of its own, and is told
    when the client leaves, not cancelled. What it raises is logged by ``snowtrio.asgi``; a response
    that has not begun is a 500 then, one that has is cut, and a WebSocket is closed with 1011. A
    body above ``limits.max_body_size``, or one that comes too slowly, is answered by the server
    (413, 408), and the application told that the client has left. Requests for a WebSocket that are
    not as they have to be are answered by the server alone (400, 426). A drain closes WebSockets
    with 1001.

    Cancelled, it cancels the application too, which is not told to shut down. Where a listener
    breaks, what the application does for requests is cancelled, and it shuts down.

    Parameters:
        app: ``async def app(scope, receive, send)``; it runs on Trio.
        port: 0 takes a free one.
        host: an address or name; None is all addresses. Loopback by default.
        options: of the sockets that listen, and so of the connections.
        ssl_context: speak HTTPS.
        limits: the bounds.
        root_path: what a proxy in front takes off the path, such as ``"/api"``; the application
            sees it before the path again.
        lifespan: whether the application is told of startup and shutdown: ``"on"``, ``"off"``, or
            ``"auto"``, which does without where the application fails or returns at once.
        max_background: requests whose application may go on behind its response while their
            connections go on without it; above that, a connection waits for its own.
        websocket_limits: the bounds of each WebSocket. An application that has not been told of its
            end ``handler_timeout`` later, since it neither receives nor sends, is cancelled.
        websocket_compression: how messages of WebSockets are compressed if the client can; None is
            not.
        task_status: for ``nursery.start``, once it listens.

    Raises:
        LifespanError: the application failed to start up, so that it never listened; or to shut
            down.
        OSError: it cannot listen there, or a listener broke.
        SocketOptionError: an option is not for TCP listeners, not on this platform, or refused;
            nothing is left open.
    """
    await _serve(
        app,
        partial(open_tcp_listeners, port, host=host, options=options),
        ssl_context=ssl_context,
        limits=limits,
        root_path=root_path,
        lifespan=lifespan,
        max_background=max_background,
        terms=_terms(websocket_limits, websocket_compression),
        task_status=task_status,
    )


async def serve_asgi_listeners(
    app: ASGIApplication,
    listeners: Sequence[AnyListener],
    *,
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    root_path: str = "",
    lifespan: LifespanMode = "auto",
    max_background: int = 1000,
    websocket_limits: WebSocketLimits | None = None,
    websocket_compression: Deflate | None = None,
    task_status: trio.TaskStatus[ASGIServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run an ASGI 3 application on listeners that are there already, a Unix socket's for example.

    As `serve_asgi`; clients wait in the backlog while the application starts up.

    Parameters:
        app: see `serve_asgi`, as for those not described here.
        listeners: any Trio listeners, or those of ``open_tcp_listeners`` and
            ``open_unix_listener``. Owned by the server once the application has started up; where
            that fails they are closed as well.
        ssl_context: speak HTTPS.
        limits: the bounds.
        root_path: what a proxy in front takes off the path.
        lifespan: whether the application is told of startup and shutdown.
        max_background: requests that may go on behind their responses.
        websocket_limits: the bounds of each WebSocket.
        websocket_compression: how messages of WebSockets are compressed.
        task_status: for ``nursery.start``.

    Raises:
        LifespanError: the application failed to start up, or to shut down.
        OSError: a listener broke.
    """

    async def give() -> Sequence[AnyListener]:
        return listeners

    try:
        await _serve(
            app,
            give,
            ssl_context=ssl_context,
            limits=limits,
            root_path=root_path,
            lifespan=lifespan,
            max_background=max_background,
            terms=_terms(websocket_limits, websocket_compression),
            task_status=task_status,
        )
    finally:
        with trio.CancelScope(shield=True):
            for listener in listeners:
                await listener.aclose()


async def _serve(
    app: ASGIApplication,
    listen: Callable[[], Awaitable[Sequence[AnyListener]]],
    *,
    ssl_context: ssl.SSLContext | None,
    limits: HTTPLimits | None,
    root_path: str,
    lifespan: LifespanMode,
    max_background: int,
    terms: WebSocketTerms,
    task_status: trio.TaskStatus[ASGIServer],
) -> None:
    _check(root_path, lifespan)
    state: dict[str, Any] = {}
    scheme = "http" if ssl_context is None else "https"
    around = Surroundings(scheme=scheme, root_path=root_path, state=state)
    ended = trio.Event()
    try:
        async with open_lifespan(app, state, lifespan), _open_tasks() as tasks:
            runner = Runner(app, around, tasks, max_background, terms)
            server = ExchangeServer(runner.serve, ssl_context=ssl_context, limits=limits)
            reports = Reports(tasks.cancel_scope, ended, task_status)
            await server.serve(await listen(), task_status=reports)
    finally:
        ended.set()


def _terms(limits: WebSocketLimits | None, compression: Deflate | None) -> WebSocketTerms:
    return WebSocketTerms(limits if limits is not None else WebSocketLimits(), compression)


def _check(root_path: str, lifespan: str) -> None:
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        raise ValueError(f"a root path begins with a slash and ends without: {root_path!r}")
    if lifespan not in ("auto", "on", "off"):
        raise ValueError(f"lifespan is 'auto', 'on' or 'off', not {lifespan!r}")


@asynccontextmanager
async def _open_tasks() -> AsyncGenerator[trio.Nursery, None]:
    """Open a nursery whose cancellation does not reach the block; wait for its tasks behind it."""
    done = trio.Event()

    async def hold(task_status: trio.TaskStatus[trio.Nursery]) -> None:
        async with open_plain_nursery() as tasks:
            task_status.started(tasks)
            await done.wait()

    async with open_plain_nursery() as nursery:
        yield await nursery.start(hold)
        done.set()
