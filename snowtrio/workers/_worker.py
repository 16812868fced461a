"""What a worker's target gets."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import trio

from .._errors import LocalProtocolError
from .._supervisor import DrainTimeouts, LogLimit, open_plain_nursery
from .._transport import Listener
from ._control import Control
from ._statistics import to_plain

# With very many connections, counting takes its time: at most one part in so many of all.
_COUNTING = 100

# Between two lines that say that counting fails, in seconds.
_QUIET = 60.0

logger = logging.getLogger("snowtrio.workers")


class Worker:
    """This process, as one of the workers; the target's first argument.

    Parameters:
        number: its place among the workers, from 0 on. The process that replaces another one has
            the same number.
        listeners: to serve on, the parent's or made for this place; owned by the target, which
            hands them on to a server.
        control: the line to the parent; owned by the caller.
        interval: seconds between two reports.
    """

    def __init__(
        self, number: int, listeners: Sequence[Listener], control: Control, interval: float
    ) -> None:
        self.number = number
        self.listeners = list(listeners)
        self._control = control
        self._interval = interval
        self._servers: list[Any] = []
        self._ready = False
        self._timeouts: DrainTimeouts | None = None
        self._drain_began = trio.Event()
        self._to_tell: list[dict[str, Any]] = []
        self._news = trio.Event()
        self._count_after = 0.0
        self._log_limit = LogLimit(_QUIET)

    async def serve(self, serve: Callable[..., Awaitable[object]], *args: Any, **named: Any) -> Any:
        """Run a server until it has drained, which the parent asks for; may be called many times.

        The parent takes the worker for ready when the first of its servers serves, and reports what
        each of them counts. Where the worker is to end already, nothing is served.

        Parameters:
            serve: what ``nursery.start`` can start and reports a server with a ``drain`` method,
                as `serve_listeners`, `serve_http_listeners` and the others do.
            args: its arguments.
            named: its named arguments.

        Returns what the drain returned, None if the server ended by itself.
        """
        if self.draining:
            await trio.lowlevel.checkpoint()
            return None
        report: Any = None
        async with open_plain_nursery() as nursery:
            run = partial(self._run, partial(serve, *args, **named), nursery.cancel_scope)
            server: Any = await nursery.start(run)
            self._servers.append(server)
            if not self._ready:
                self._ready = True
                self.tell({"event": "ready"})
            await self._drain_began.wait()
            report = await server.drain(self._timeouts)
            self._note_drained(report)
        return report

    async def _run(
        self,
        serve: Callable[..., Awaitable[object]],
        scope: trio.CancelScope,
        *,
        task_status: trio.TaskStatus[Any],
    ) -> None:
        await serve(task_status=task_status)
        if not self.draining:
            scope.cancel(reason="the server has ended by itself")

    def _note_drained(self, report: Any) -> None:
        """Tell the parent what became of the connections, where the report has them."""
        connections: Sequence[Any] = getattr(report, "connections", ())
        cut: int = getattr(report, "cut", 0)
        self.tell({"event": "drained", "connections": len(connections), "cut": cut})

    # The end

    @property
    def draining(self) -> bool:
        """Whether the worker is to end."""
        return self._drain_began.is_set()

    async def wait_draining(self) -> None:
        """Return once the worker is to end, for what a target does beside its servers."""
        await self._drain_began.wait()

    def begin_drain(self, timeouts: DrainTimeouts) -> None:
        """Have the servers drained; the first call counts. The parent does this, or a signal."""
        if not self.draining:
            self._timeouts = timeouts
            self._drain_began.set()
            self.tell({"event": "draining"})

    # What the parent hears

    def tell(self, event: dict[str, Any]) -> None:
        """Have the parent told soon, whether it listens now or not."""
        self._to_tell.append(event)
        self._news.set()

    async def report(self) -> None:
        """Send what there is to tell, and now and then what is counted, until cancelled."""
        while await self.tell_waiting():
            with trio.move_on_after(self._interval):
                await self._news.wait()
        logger.debug("nobody listens to the reports of worker %d", self.number)

    async def tell_waiting(self) -> bool:
        """Send what waits to be told, and what is counted; False if nobody listens."""
        self._news = trio.Event()
        while self._to_tell:
            if not await self._control.send(self._to_tell[0]):
                return False
            del self._to_tell[0]
        try:
            return await self._control.send({"event": "report", **self._count()})
        except LocalProtocolError as error:
            self._log_uncounted(error)
            return await self._control.send({"event": "report"})

    def _count(self) -> dict[str, Any]:
        """Return what each server counts that does; nothing where that would take too long."""
        began = time.perf_counter()
        if began < self._count_after:
            return {}
        servers = [
            self._count_of(server) for server in self._servers if hasattr(server, "statistics")
        ]
        ended = time.perf_counter()
        self._count_after = ended + _COUNTING * (ended - began)
        return {"servers": servers}

    def _count_of(self, server: Any) -> Any:
        """Return what a server counts; one that cannot must not end those that serve."""
        try:
            return to_plain(server.statistics())
        except Exception as error:
            self._log_uncounted(error)
            return {}

    def _log_uncounted(self, error: Exception) -> None:
        if self._log_limit.allows():
            logger.error("worker %d cannot tell what it counts", self.number, exc_info=error)
