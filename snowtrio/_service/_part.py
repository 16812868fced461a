"""One server of a service."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import trio

from .._supervisor import DrainTimeouts

Serve: TypeAlias = Callable[..., Awaitable[object]]

# Who raises "it has ended" from its drain ends within this time, in seconds.
ENDING = 1.0

logger = logging.getLogger("snowtrio.service")


class Part:
    """One server of a service, from its start to its end.

    Parameters:
        serve: what runs it.
        on_started: called when it has reported itself.
    """

    def __init__(self, serve: Serve, on_started: Callable[[Part], None]) -> None:
        self._serve = serve
        self._on_started = on_started
        self._scope = trio.CancelScope()
        self._task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED
        self._ended = trio.Event()
        self.server: Any = None
        """What it has reported, None until then."""
        self.drained: Any = None
        """What its drain has returned."""
        self.failure: Exception | None = None
        """What its drain has raised, where it went on serving after that."""

    async def run(self, *, task_status: trio.TaskStatus[Any]) -> None:
        """Serve, for ``nursery.start``."""
        self._task_status = task_status
        try:
            with self._scope:
                await self._serve(task_status=self)
        finally:
            self._ended.set()

    def started(self, value: Any = None) -> None:
        """Note that it serves: this is the `trio.TaskStatus` that it reports to."""
        if not callable(getattr(value, "drain", None)):
            raise TypeError(f"what runs as a service reports a server to drain, not {value!r}")
        self.server = value
        self._task_status.started(value)
        self._on_started(self)

    async def drain(self, timeouts: DrainTimeouts | None) -> None:
        """Drain it; what fails is noted, for its own end may say more."""
        try:
            drained = self.server.drain() if timeouts is None else self.server.drain(timeouts)
            self.drained = await drained
        except Exception as error:
            # A server that ends by itself in this moment says so here too.
            with trio.move_on_after(ENDING):
                await self._ended.wait()
            if self._ended.is_set():
                logger.debug("a drain failed, the server has ended: %r", error)
                return
            self.failure = error
            self._scope.cancel(reason="its drain failed")
