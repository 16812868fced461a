"""The server that runs."""

from __future__ import annotations

import trio

from .._supervisor import DrainReport, DrainTimeouts
from .._transport import Address
from ..http import HTTPServer, HTTPStatistics


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
        deadline = trio.current_time() + timeouts.total
        self._tasks.deadline = min(self._tasks.deadline, deadline)
        report = await self._server.drain(timeouts)
        await self._ended.wait()
        return report

    def statistics(self) -> HTTPStatistics:
        """Return the counts of this moment."""
        return self._server.statistics()


class Reports:
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
