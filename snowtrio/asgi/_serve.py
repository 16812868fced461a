"""The verb, and the server that runs."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from .._supervisor import DrainReport, DrainTimeouts, open_plain_nursery
from .._transport import Address
from ..http import HTTPLimits, HTTPServer, HTTPStatistics, serve_http
from ._lifespan import open_lifespan
from ._runner import Runner
from ._scope import Surroundings
from ._types import ASGIApplication, LifespanMode


class ASGIServer:
    """A server that runs: `serve_asgi` reports it to ``nursery.start``.

    Parameters:
        server: the HTTP server.
        tasks: the scope of the application's tasks.
        ended: set when the application has shut down.
    """

    def __init__(self, server: HTTPServer, tasks: trio.CancelScope, ended: trio.Event) -> None:
        self._server = server
        self._tasks = tasks
        self._ended = ended

    @property
    def addresses(self) -> list[Address | None]:
        """Where it listens, with the real ports."""
        return self._server.addresses

    @property
    def port(self) -> int:
        """The port of the first TCP address."""
        return self._server.port

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order; see `snowtrio.Server.drain`.

        Responses under way are completed, and what the application does behind them too; what is
        left when ``timeouts`` are over is cancelled. Then the application shuts down, and
        `serve_asgi` returns.

        Parameters:
            timeouts: of the phases.

        Raises:
            RuntimeError: the server ended before it had drained.
        """
        timeouts = timeouts if timeouts is not None else DrainTimeouts()
        deadline = trio.current_time() + timeouts.goodbye + timeouts.wait
        self._tasks.deadline = min(self._tasks.deadline, deadline)
        report = await self._server.drain(timeouts)
        await self._ended.wait()
        return report

    def statistics(self) -> HTTPStatistics:
        """Return the counts of this moment."""
        return self._server.statistics()


class _Reports:
    """Reports an ASGI server where `serve_http` reports its own."""

    def __init__(
        self,
        tasks: trio.CancelScope,
        ended: trio.Event,
        task_status: trio.TaskStatus[ASGIServer],
    ) -> None:
        self._tasks = tasks
        self._ended = ended
        self._task_status = task_status

    def started(self, value: HTTPServer | None = None) -> None:
        """Note that it serves."""
        assert value is not None
        self._task_status.started(ASGIServer(value, self._tasks, self._ended))


async def serve_asgi(
    app: ASGIApplication,
    port: int,
    *,
    host: str | None = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    root_path: str = "",
    lifespan: LifespanMode = "auto",
    max_background: int = 1000,
    task_status: trio.TaskStatus[ASGIServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run an ASGI 3 application on TCP until drained or cancelled.

    The application starts up before the server listens, and shuts down when all requests are done.
    It is called in a task of its own for each request, and is told when the client leaves, not
    cancelled. What it raises is logged by ``snowtrio.asgi``; a response that has not begun is a 500
    then, one that has is cut. A body above ``limits.max_body_size``, or one that comes too slowly,
    is answered by the server (413, 408), and the application told that the client has left.

    Cancelled, it cancels the application too, which is not told to shut down.

    Parameters:
        app: ``async def app(scope, receive, send)``; it runs on Trio.
        port: 0 takes a free one.
        host: an address or name; None is all addresses. Loopback by default.
        ssl_context: speak HTTPS.
        limits: the bounds.
        root_path: what a proxy in front takes off the path, such as ``"/api"``; the application
            sees it before the path again.
        lifespan: whether the application is told of startup and shutdown: ``"on"``, ``"off"``, or
            ``"auto"``, which does without where the application fails or returns at once.
        max_background: requests whose application may go on behind its response while their
            connections go on without it; above that, a connection waits for its own.
        task_status: for ``nursery.start``, once it listens.

    Raises:
        LifespanError: the application failed to start up, so that it never listened; or to shut
            down.
        OSError: it cannot listen there.
    """
    _check(root_path, lifespan)
    state: dict[str, Any] = {}
    scheme = "http" if ssl_context is None else "https"
    around = Surroundings(scheme=scheme, root_path=root_path, state=state)
    ended = trio.Event()
    try:
        async with open_lifespan(app, state, lifespan), _open_tasks() as tasks:
            await serve_http(
                Runner(app, around, tasks, max_background),
                port,
                host=host,
                ssl_context=ssl_context,
                limits=limits,
                task_status=_Reports(tasks.cancel_scope, ended, task_status),
            )
    finally:
        ended.set()


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
