"""Runs servers until a signal says stop."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from .._errors import ServiceNotStartedError
from .._supervisor import DrainTimeouts, open_plain_nursery
from ._part import Part, Serve
from ._receiver import SignalReceiver
from ._report import ServiceReport

logger = logging.getLogger("snowtrio.service")

# Windows has others.
STOP_NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")
RELOAD_NAMES = ("SIGHUP",)


def find_signals(names: Sequence[str]) -> list[signal.Signals]:
    """Return those signals that there are here."""
    return [each for each in signal.Signals if each.name in names]


async def run_service(
    *serve: Serve,
    ready: Callable[..., object] | None = None,
    reload: Callable[..., Awaitable[object]] | None = None,
    stopping: Callable[..., object] | None = None,
    timeouts: DrainTimeouts | None = None,
    grace: float = 15.0,
    stop_signals: Sequence[int] | None = None,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> ServiceReport:
    """Run one or more servers until SIGINT or SIGTERM, then drain them all (row P8).

    ``report = await run_service(partial(serve_tcp, handler, codec, 7000))``, and then
    ``sys.exit(report.status)`` behind ``trio.run``.

    - The first signal drains. One that arrives before all have started cancels the start of those
      that have not, and drains the others.
    - Another one cuts the drain short: the servers are cancelled, which still runs their close
      hooks. From then on signals do what they did before, so that a third ends the process.
    - So does the end of the time for the drain: that of all its phases, and ``grace`` on top.
    - SIGHUP calls ``reload``. Those that come while it runs are one, which has it run again; those
      that come before the servers have started are one for then. During the drain it is not called
      any more; one that runs goes on beside the drain, and is cancelled at the end of it.

    The service ends when all its servers have; one that fails cancels the others, and its error is
    raised as it is. Cancelled, it cancels its servers. In every case the handlers of signals are
    those that were there before. Other receivers of the same signals, other services too, get them
    as well.

    Parameters:
        serve: each is called as ``nursery.start`` calls what it starts, one after the other, and
            reports an object with a ``drain`` method, after which it returns: ``serve_tcp`` and all
            other verbs of snowtrio, with their arguments in a `functools.partial`.
        ready: called once, with the servers, when all have started.
        reload: called with the servers for SIGHUP; what it raises is logged, and the service goes
            on. Without it SIGHUP does what it did before. Windows has none.
        stopping: called once, with the servers that have started, when the first signal has come
            and their drain begins: to tell a service manager, or a load balancer.
        timeouts: given to each server's ``drain``; without, it is called without.
        grace: seconds that hooks and shutdowns may take above what the phases of the drain may.
        stop_signals: those that stop it. By default SIGINT and SIGTERM, on Windows SIGBREAK too.
        task_status: for ``nursery.start``, which returns the server, a tuple if there are several.

    Returns how it ended.

    Raises:
        TypeError: there is nothing to run, or what is given is no function. Nothing was started.
        RuntimeError: this is not the main thread, where signals arrive.
        ServiceNotStartedError: a signal came before the servers had started, and ``nursery.start``
            waits for them.
        Exception: what a server raised, or `ready` or `stopping`, as it is.
    """
    if not serve:
        raise TypeError("a service needs a server to run")
    for each in serve:
        if not callable(each):
            raise TypeError(
                "a service is given functions that serve, with their arguments in "
                f"functools.partial(serve_tcp, handler, ...), not {each!r}"
            )
    if stop_signals is None:
        stop_signals = find_signals(STOP_NAMES)
    reloading = find_signals(RELOAD_NAMES) if reload is not None else []
    with SignalReceiver(*stop_signals, *reloading) as signals:
        service = Service(serve, signals, stop_signals, timeouts, grace, stopping)
        try:
            return await service.run(ready, reload, task_status)
        finally:
            service.discard_signals()


class Service:
    """Servers that run until a signal says stop.

    Parameters:
        serve: what runs each.
        signals: where signals come from.
        stop_signals: those that stop it; the others reload.
        timeouts: of the drain's phases.
        grace: seconds above them.
        stopping: called when the drain begins.
    """

    def __init__(
        self,
        serve: Sequence[Serve],
        signals: SignalReceiver,
        stop_signals: Sequence[int],
        timeouts: DrainTimeouts | None,
        grace: float,
        stopping: Callable[..., object] | None = None,
    ) -> None:
        self._signals = signals
        self._stop_signals = frozenset(stop_signals)
        self._timeouts = timeouts
        self._tell_stopping = stopping
        phases = timeouts if timeouts is not None else DrainTimeouts()
        self._time = phases.total + grace
        self._parts = [Part(each, self._drain_late) for each in serve]
        self._starting = trio.CancelScope()
        self._running = trio.CancelScope()
        self._helpers: trio.Nursery | None = None
        self._started = False
        self._received: list[signal.Signals] = []
        self._wants_reload = trio.Event()

    async def run(
        self,
        ready: Callable[..., object] | None,
        reload: Callable[..., Awaitable[object]] | None,
        task_status: trio.TaskStatus[Any],
    ) -> ServiceReport:
        """Run to the end; see `run_service`."""
        async with open_plain_nursery() as self._helpers:
            self._helpers.start_soon(self._obey)
            with self._running:
                async with open_plain_nursery() as nursery:
                    await self._start(nursery)
                    if self._started:
                        self._tell(ready, reload, task_status)
            self._helpers.cancel_scope.cancel(reason="the service has ended")
        report = self._conclude()
        if not self._started and task_status is not trio.TASK_STATUS_IGNORED:
            raise ServiceNotStartedError(f"{report.signals[0].name} came before the start")
        return report

    async def _start(self, nursery: trio.Nursery) -> None:
        with self._starting:
            for part in self._parts:
                await nursery.start(part.run)
            self._started = True

    def _tell(
        self,
        ready: Callable[..., object] | None,
        reload: Callable[..., Awaitable[object]] | None,
        task_status: trio.TaskStatus[Any],
    ) -> None:
        servers = [part.server for part in self._parts]
        if reload is not None:
            assert self._helpers is not None
            self._helpers.start_soon(self._reload, reload, servers)
        task_status.started(servers[0] if len(servers) == 1 else tuple(servers))
        if ready is not None:
            ready(*servers)

    def _conclude(self) -> ServiceReport:
        for part in self._parts:
            if part.failure is not None:
                raise part.failure
        cut = self._running.cancelled_caught
        if cut:
            logger.warning("the drain was cut short")
        drained = tuple(part.drained for part in self._parts)
        return ServiceReport(signals=tuple(self._received), cut=cut, drained=drained)

    # What signals have it do

    async def _obey(self) -> None:
        async for number in self._signals:
            if number not in self._stop_signals:
                self._wants_reload.set()
            elif not self._received:
                self._stop(number)
            else:
                self._cut(number)
                return

    def _stop(self, number: signal.Signals) -> None:
        logger.debug("%s: draining", number.name)
        self._received.append(number)
        self._running.deadline = trio.current_time() + self._time
        for part in self._parts:
            if part.server is not None:
                self._drain(part)
        self._starting.cancel(reason="a signal came before the start")
        if self._tell_stopping is not None:
            self._tell_stopping(*(part.server for part in self._parts if part.server is not None))

    def _cut(self, number: signal.Signals) -> None:
        self._received.append(number)
        self._running.cancel(reason="another signal cuts the drain short")
        self.discard_signals()
        self._signals.close()

    def _drain_late(self, part: Part) -> None:
        """Drain one that has started although it was to start no more."""
        if self._received:
            self._drain(part)

    def _drain(self, part: Part) -> None:
        assert self._helpers is not None
        self._helpers.start_soon(part.drain, self._timeouts)

    async def _reload(
        self, reload: Callable[..., Awaitable[object]], servers: Sequence[object]
    ) -> None:
        while True:
            await self._wants_reload.wait()
            self._wants_reload = trio.Event()
            if self._received:
                logger.info("not reloaded: the service is ending")
                continue
            try:
                await reload(*servers)
            except Exception:
                logger.exception("the reload has failed")

    def discard_signals(self) -> None:
        """Forget the signals that have come and would do nothing more."""
        with contextlib.suppress(trio.WouldBlock, trio.ClosedResourceError):
            while True:
                self._signals.receive_nowait()
