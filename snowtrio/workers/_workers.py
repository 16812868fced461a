"""All workers: started, kept, rolled and drained together."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from .._supervisor import DrainTimeouts, open_plain_nursery
from .._transport import Address
from ._child import Place
from ._process import WorkerProcess
from ._slot import Slot
from ._spawn import Recipe
from ._statistics import WorkersDrainReport, WorkersStatistics

logger = logging.getLogger("snowtrio.workers")


class Workers:
    """Worker processes that run; made by `run_workers`, which reports it to ``nursery.start``.

    Parameters:
        recipe: what they run.
        places: where each of them listens; not owned.
        close: stops listening here, in the parent.
    """

    def __init__(
        self,
        recipe: Recipe,
        places: Sequence[Sequence[Place]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._limits = recipe.limits
        self._addresses: list[Address] = list(
            dict.fromkeys(place.sock.getsockname() for each in places for place in each)
        )
        self._close = close
        self._changed = trio.lowlevel.ParkingLot()
        self._slots = [
            Slot(
                recipe,
                number,
                own,
                attend=self._start_attending,
                changed=self._changed,
                any_serves=self._any_serves,
            )
            for number, own in enumerate(places)
        ]
        self._attendants: trio.Nursery | None = None
        self._attending = trio.Event()
        self._keeping = trio.CancelScope()
        self._no_more = trio.Event()
        self._ended = trio.Event()
        self._rolling = trio.Lock()
        self._generation = 0
        self._rolls = 0
        self._killed = 0
        self._timeouts = recipe.limits.drain
        self._drain_began: float | None = None
        self._drained: list[WorkerProcess] = []
        self._report: WorkersDrainReport | None = None

    async def run(
        self, *, task_status: trio.TaskStatus[Workers] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run them until they are drained; see `run_workers`."""
        try:
            async with open_plain_nursery() as nursery:
                # Not by `nursery.start`: cancelled, it would wait for what waits for `_no_more`.
                nursery.start_soon(self._attend_all)
                try:
                    await self._attending.wait()
                    with self._keeping:
                        await self._keep_all(task_status)
                    await self._see_all_off()
                finally:
                    self._cut_all()
                    self._no_more.set()
            self._conclude()
        finally:
            self._ended.set()

    async def _keep_all(self, task_status: trio.TaskStatus[Workers]) -> None:
        async with open_plain_nursery() as nursery:
            for slot in self._slots:
                nursery.start_soon(slot.keep)
            await self._wait_for(lambda: all(slot.tried for slot in self._slots))
            await self._wait_for(self._any_serves)
            task_status.started(self)

    async def _see_all_off(self) -> None:
        """Have them drained, and wait until they have ended."""
        for slot in self._slots:
            slot.close()
        # First: the worker that closes the port last accepts all that wait there before it does.
        await self._close()
        for process in self._processes:
            process.dismiss(self._timeouts)
        await self._wait_for(lambda: not self._processes)

    def _cut_all(self) -> None:
        for slot in self._slots:
            slot.close()
        for process in self._processes:
            process.cut()

    # Each process

    async def _attend_all(self) -> None:
        """Attend to processes until there are none; nothing cuts this short but their deadlines."""
        with trio.CancelScope(shield=True):
            async with open_plain_nursery() as self._attendants:
                self._attending.set()
                await self._no_more.wait()

    def _start_attending(self, process: WorkerProcess) -> None:
        assert self._attendants is not None
        self._attendants.start_soon(self._attend, process)

    async def _attend(self, process: WorkerProcess) -> None:
        await process.attend()
        self._killed += process.killed
        if self._drain_began is not None:
            self._drained.append(process)

    @property
    def _processes(self) -> list[WorkerProcess]:
        return [process for slot in self._slots for process in slot.processes]

    def _any_serves(self) -> bool:
        return any(process.serves for process in self._processes)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.park()

    # Looking at them

    @property
    def addresses(self) -> list[Address]:
        """Where they listen, with the real ports."""
        return list(self._addresses)

    @property
    def port(self) -> int:
        """The port of the first TCP address.

        Raises:
            LookupError: they listen on no TCP address.
        """
        for address in self._addresses:
            if isinstance(address, tuple):
                return address[1]
        raise LookupError("these workers listen on no TCP port")

    def statistics(self) -> WorkersStatistics:
        """Return the counts of this moment, and those that the workers have sent last."""
        return WorkersStatistics(
            workers=tuple(each for slot in self._slots for each in slot.statistics()),
            restarts=sum(slot.restarts for slot in self._slots),
            failed_starts=sum(slot.failed_starts for slot in self._slots),
            rolls=self._rolls,
            killed=self._killed,
        )

    # What can be done to them

    async def reload(self) -> bool:
        """Replace all workers, one after the other, without refusing a connection.

        A new one is started, with the code and the files as they are now. When it is ready the old
        one drains, as `WorkerLimits.roll` says; when that has ended it is the next one's turn.
        Where a new one does not become ready the old one stays, and so do all that have not had
        their turn: that is logged.

        Called while one is under way, it waits and does it again. Cancelled, it leaves those that
        were replaced replaced; the old one that drains goes on draining.

        Returns whether all were replaced.

        Raises:
            RuntimeError: the workers have ended, or drain.
        """
        if self._drain_began is not None or self._ended.is_set():
            raise RuntimeError("these workers are ending")
        async with self._rolling:
            self._generation += 1
            for slot in self._slots:
                if not await slot.roll(self._generation):
                    if self._drain_began is None:
                        logger.error("worker %d was not replaced: no others are", slot.number)
                    return False
            self._rolls += 1
            return True

    async def drain(self, timeouts: DrainTimeouts | None = None) -> WorkersDrainReport:
        """End in good order: stop listening, drain all workers at the same time, wait for them.

        A worker that has not ended when the time of all phases is over has its connections cut, and
        is killed ``kill_timeout`` later. Afterwards `run_workers` returns, and no process is left.
        Called again, it waits for the first drain and returns the same report. Cancelled, the drain
        goes on without its caller.

        Parameters:
            timeouts: of the phases; those of `WorkerLimits.drain` by default.

        Raises:
            RuntimeError: the workers ended before they had drained.
        """
        if self._drain_began is None and not self._ended.is_set():
            self._drain_began = trio.current_time()
            self._timeouts = timeouts if timeouts is not None else self._limits.drain
            self._keeping.cancel(reason="the workers drain")
        await self._ended.wait()
        if self._report is None:
            raise RuntimeError("the workers ended before they had drained")
        return self._report

    def _conclude(self) -> None:
        assert self._drain_began is not None
        drained = self._drained
        self._report = WorkersDrainReport(
            connections=sum(each.connections for each in drained),
            cut=sum(each.cut_connections for each in drained),
            killed=tuple(each.pid for each in drained if each.killed),
            failed=tuple(each.pid for each in drained if each.status != 0 and not each.killed),
            seconds=trio.current_time() - self._drain_began,
        )
