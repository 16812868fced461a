"""One place among the workers, and who is in it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence

import trio

from ._backoff import Backoff
from ._child import Place
from ._errors import WorkerStartError
from ._process import WorkerProcess
from ._spawn import Recipe
from ._statistics import WorkerStatistics

logger = logging.getLogger("snowtrio.workers")


class Slot:
    """Keeps a worker in its place: the next one comes when it ends, or before it is rolled.

    Parameters:
        recipe: what the workers run.
        number: the place.
        places: where its workers listen; not owned.
        attend: has a process attended for as long as it lives.
        changed: where everybody waits who waits for a change of any process.
        any_serves: says whether any worker serves.
    """

    def __init__(
        self,
        recipe: Recipe,
        number: int,
        places: Sequence[Place],
        *,
        attend: Callable[[WorkerProcess], None],
        changed: trio.lowlevel.ParkingLot,
        any_serves: Callable[[], bool],
    ) -> None:
        self.number = number
        self.restarts = 0
        self.failed_starts = 0
        self.generation = 0
        self._places = places
        self._closed = False
        self._recipe = recipe
        self._attend = attend
        self._changed = changed
        self._any_serves = any_serves
        self._backoff = Backoff(recipe.limits)
        self._current: WorkerProcess | None = None
        self._processes: list[WorkerProcess] = []
        self._changing = trio.Lock()
        self._no_delay = trio.Event()

    @property
    def processes(self) -> list[WorkerProcess]:
        """Those that have not ended, the oldest first."""
        self._processes = [each for each in self._processes if not each.ended]
        return list(self._processes)

    @property
    def tried(self) -> bool:
        """Whether the first process has become ready, or something else has become of it."""
        return self._current is not None and (self._current.ready or self._current.leaving)

    def statistics(self) -> list[WorkerStatistics]:
        """Return the counts of its processes."""
        return [process.statistics(self.restarts) for process in self.processes]

    async def keep(self) -> None:
        """Keep a worker in place until cancelled.

        Raises:
            OSError: the system gives no process for the first worker.
            WorkerStartError: none becomes ready, here or elsewhere.
        """
        self._current = self._start()
        while True:
            current = self._current
            await self._wait_for(lambda: current.leaving)  # noqa: B023 - called in this round alone
            async with self._changing:
                if self._current is current:
                    await self._replace(current)

    async def roll(self, generation: int) -> bool:
        """Replace the worker by another one, and see the old one off.

        Parameters:
            generation: of the new one; where there is one already that has replaced a crashed one,
                that will do.

        Returns whether one of that generation serves.
        """
        self.generation = generation
        self._no_delay.set()
        async with self._changing:
            old = self._current
            assert old is not None
            if old.generation == generation:
                await self._wait_for(lambda: old.ready or old.leaving)
                return old.serves
            if self._closed or not await self._succeed(old):
                return False
        await self._wait_for(lambda: old.ended)
        return True

    def close(self) -> None:
        """Start no more workers; those that there are stay."""
        self._closed = True

    async def _succeed(self, old: WorkerProcess) -> bool:
        """Start another worker and dismiss the old one for it; say whether it became ready."""
        try:
            new = self._start()
        except OSError as error:
            logger.error("no other worker %d can be started: %s", self.number, error)  # noqa: TRY400
            return False
        try:
            await self._wait_for(lambda: new.ready or new.leaving)
            if new.serves:
                self._current = new
                old.dismiss(self._recipe.limits.roll)
            elif not self._closed:
                self.failed_starts += 1
        finally:
            if self._current is not new:
                new.dismiss(self._recipe.limits.drain)
        return self._current is new

    async def _replace(self, left: WorkerProcess) -> None:
        """Put another worker in the place of one that ends unasked; by and by if it has ended."""
        healthy_after = self._recipe.limits.healthy_after
        while True:
            if left.ended:
                await self._back_off(left.ready_for)
            elif left.ready_for is None or left.ready_for < healthy_after:
                # It was asked to, but if that goes on there are ever more that drain.
                await self._pause(self._backoff.next_delay(left.ready_for))
            try:
                self._current = self._start()
                return
            except OSError as error:
                logger.error("worker %d cannot be started: %s", self.number, error)  # noqa: TRY400
                await self._back_off(None)

    async def _back_off(self, ready_for: float | None) -> None:
        delay = self._backoff.next_delay(ready_for)
        self.restarts += 1
        self.failed_starts += ready_for is None
        failed, limit = self._backoff.failed_starts, self._recipe.limits.max_failed_starts
        if failed:
            logger.error(
                "worker %d ended before it was ready, %d times in a row", self.number, failed
            )
        if limit is not None and failed >= limit and not self._any_serves():
            raise WorkerStartError(
                f"worker {self.number} ended before it was ready, {failed} times in a row, and no "
                "other worker serves. What it said on its standard error tells why; a script must "
                'not start workers outside of its if __name__ == "__main__", for they import it'
            )
        await self._pause(delay)

    async def _pause(self, delay: float) -> None:
        logger.info("another worker %d is started in %g seconds", self.number, delay)
        self._no_delay = trio.Event()
        with trio.move_on_after(delay):
            await self._no_delay.wait()

    def _start(self) -> WorkerProcess:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "no more workers are started")
        process = WorkerProcess(
            self._recipe, self.number, self.generation, self._places, self._changed.unpark_all
        )
        self._processes.append(process)
        self._attend(process)
        return process

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.park()
