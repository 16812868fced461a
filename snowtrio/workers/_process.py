"""One worker process, as its parent sees it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

import trio

from .._supervisor import DrainTimeouts, open_plain_nursery
from .._transport import close_at_once
from ._child import Place
from ._control import Control, write_timeouts
from ._spawn import Recipe, describe_end, start_process, wait_ended
from ._statistics import WorkerState, WorkerStatistics, sum_of_pools

logger = logging.getLogger("snowtrio.workers")

# What a process has said before its end is there at once.
_LAST_WORDS = 1.0

_COUNTS = ("connections", "opened", "messages_received", "messages_sent")


class WorkerProcess:
    """A process from its start until it is reaped. `attend` has to run all the time.

    Parameters:
        recipe: what it runs.
        number: its place.
        generation: how often all workers have been rolled before it.
        places: where it listens; not owned.
        on_change: called when it becomes ready, leaves or ends.

    Raises:
        OSError: the system gives no process, or no descriptors; nothing is left open.
    """

    def __init__(
        self,
        recipe: Recipe,
        number: int,
        generation: int,
        places: Sequence[Place],
        on_change: Callable[[], object],
    ) -> None:
        self.number = number
        self.generation = generation
        self.limits = recipe.limits
        self.connections = self.cut_connections = 0
        """What its drains have said."""
        self.killed = False
        self.status: int | None = None
        """Its exit status, or the signal as a negative number; None while it lives."""
        self._on_change = on_change
        self._began = self._heard = trio.current_time()
        self._ready_at: float | None = None
        self._ended_at: float | None = None
        self._hung = False
        self._servers: list[Any] = []
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._leaving = trio.Event()
        self._hurry = trio.Event()
        self._heard_all = trio.Event()
        self._timeouts = recipe.limits.drain
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = start_process(recipe, number, places, theirs)
        except BaseException:
            ours.close()
            raise
        self._control = Control(ours)
        self._work = recipe.work
        self._to_say, self._said = trio.open_memory_channel[dict[str, Any]](math.inf)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __str__(self) -> str:
        return f"worker {self.number} ({self.pid})"

    # What it is now

    @property
    def ready(self) -> bool:
        """Whether it has ever been ready."""
        return self._ready_at is not None

    @property
    def ended(self) -> bool:
        """Whether it has ended and is reaped."""
        return self._ended_at is not None

    @property
    def leaving(self) -> bool:
        """Whether it is to end, or has ended."""
        return self.ended or self._leaving.is_set()

    @property
    def serves(self) -> bool:
        """Whether peers may find it."""
        return self.ready and not self.leaving

    @property
    def state(self) -> WorkerState:
        """Where it stands."""
        if self._leaving.is_set():
            return WorkerState.DRAINING
        if not self.ready:
            return WorkerState.STARTING
        return WorkerState.HUNG if self._hung else WorkerState.READY

    @property
    def ready_for(self) -> float | None:
        """How long it has been ready, or was, in seconds; None if it never was."""
        if self._ready_at is None:
            return None
        return (self._ended_at or trio.current_time()) - self._ready_at

    def statistics(self, restarts: int) -> WorkerStatistics:
        """Return the counts of this moment.

        Parameters:
            restarts: those of its place.
        """
        now = trio.current_time()
        return WorkerStatistics(
            number=self.number,
            pid=self.pid,
            state=self.state,
            seconds=now - self._began,
            silent=now - self._heard,
            restarts=restarts,
            servers=tuple(self._servers),
            **self._counts,
        )

    # Its end

    def dismiss(self, timeouts: DrainTimeouts) -> None:
        """Have it drain, and killed if it has not ended when the time is over; the first counts."""
        if not self._leaving.is_set():
            self._timeouts = timeouts
            self._leaving.set()
            self._on_change()

    def cut(self) -> None:
        """Have it end at once, but for the hooks of its connections; killed if it does not."""
        self._hurry.set()
        self.dismiss(self._timeouts)

    def kill(self, reason: str) -> None:
        """End it in the middle of whatever it does."""
        if not (self.ended or self.killed):
            logger.error("%s is killed: %s", self, reason)
            self.killed = True
            self._kill()

    def _kill(self) -> None:
        # Until it is reaped its number is nobody else's.
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    # Its life

    async def attend(self) -> None:
        """Listen to it, and see it off, until it has ended and is reaped. Cancelled, it kills."""
        try:
            async with open_plain_nursery() as nursery:
                nursery.start_soon(self._listen)
                nursery.start_soon(self._talk)
                nursery.start_soon(self._see_off)
                await wait_ended(self._process)
                with trio.move_on_after(_LAST_WORDS):
                    await self._heard_all.wait()
                nursery.cancel_scope.cancel(reason="the worker has ended")
        finally:
            await self._reap()

    async def _talk(self) -> None:
        """Say what there is to say; one that takes in nothing keeps nobody else waiting."""
        listens = await self._control.send_work(self._work)
        while listens:
            listens = await self._control.send(await self._said.receive())

    async def _listen(self) -> None:
        overdue = False
        while True:
            # A second look: where a terminal stops all, or a machine sleeps, time has passed for
            # the worker too, and it says something at once.
            look = trio.current_time() + self.limits.report_interval
            until = look if overdue else self._patience()
            with trio.move_on_at(until) as scope:
                said = await self._control.receive()
                if said is None or not self._understands(said):
                    break
            if scope.cancelled_caught and overdue:
                self._note_silence()
            overdue = scope.cancelled_caught and not overdue
        self._heard_all.set()
        # The worker has closed its end, as it does last of all.
        await trio.sleep(self.limits.kill_timeout)
        self.kill("it has nothing more to say, and does not end")

    def _patience(self) -> float:
        """Return when its silence means something."""
        if self.leaving or self.killed or self._hung:
            return float("inf")
        if not self.ready:
            return self._began + self.limits.start_timeout
        return self._heard + self.limits.hang_timeout

    def _note_silence(self) -> None:
        if self.leaving:
            return
        if not self.ready:
            self.kill(f"it is not ready after {self.limits.start_timeout:g} seconds")
            return
        self._hung = True
        if self.limits.kill_hung:
            self.kill(f"it hangs, and was not heard of for {self.limits.hang_timeout:g} seconds")
        else:
            logger.error("%s was not heard of for %g seconds", self, self.limits.hang_timeout)

    def _understands(self, said: dict[str, Any]) -> bool:
        """Note what the worker says. One that may be in the hands of a stranger ends no parent."""
        try:
            self._note(said)
        except (TypeError, ValueError, ArithmeticError, RecursionError):
            logger.error("%s says what makes no sense", self)  # noqa: TRY400 - that is all
            return False
        return True

    def _note(self, said: dict[str, Any]) -> None:
        self._heard = trio.current_time()
        if self._hung:
            self._hung = False
            logger.warning("%s is heard of again", self)
        match said.get("event"):
            case "report":
                if "servers" in said:
                    self._count(list(said["servers"]))
            case "ready":
                self._ready_at = trio.current_time()
                logger.info("%s is ready", self)
                self._on_change()
            case "draining":
                self.dismiss(self.limits.drain)
            case "drained":
                self.connections += int(said.get("connections", 0))
                self.cut_connections += int(said.get("cut", 0))
            case other:
                raise ValueError(f"no event: {other!r}")

    def _count(self, servers: list[Any]) -> None:
        counts = {name: sum_of_pools(servers, name) for name in _COUNTS}
        self._servers, self._counts = servers, counts

    async def _see_off(self) -> None:
        await self._leaving.wait()
        timeouts = self._timeouts
        if not self._hurry.is_set():
            self._say({"command": "drain", "timeouts": write_timeouts(timeouts)})
            with trio.move_on_after(timeouts.total):
                await self._hurry.wait()
        self._say({"command": "cut"})
        await trio.sleep(self.limits.kill_timeout)
        self.kill("it does not end")

    def _say(self, command: dict[str, Any]) -> None:
        self._to_say.send_nowait(command)

    async def _reap(self) -> None:
        """Wait for the end, which is there or near, and leave nothing of it."""
        if self._process.exitcode is None:
            self._kill()
            with trio.CancelScope(shield=True):
                await wait_ended(self._process)
        self.status = self._process.exitcode
        with contextlib.suppress(ValueError):  # Somebody else has reaped it.
            self._process.close()
        await close_at_once(self._control)
        self._ended_at = trio.current_time()
        expected = self._leaving.is_set() and self.status == 0
        level = logging.INFO if expected else logging.ERROR
        logger.log(level, "%s %s", self, describe_end(self.status))
        self._on_change()
