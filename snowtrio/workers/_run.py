"""The verb."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from .._server import AnyListener
from .._transport import Listener, SocketListener, as_listener, close_at_once
from ._child import Place, Target
from ._limits import WorkerLimits
from ._spawn import Recipe, pickle_work, shared_counts
from ._workers import Workers


async def run_workers(
    target: Target,
    *args: Any,
    listeners: Sequence[AnyListener] | Callable[[int], Awaitable[Sequence[AnyListener]]] = (),
    workers: int | None = None,
    limits: WorkerLimits | None = None,
    task_status: trio.TaskStatus[Workers] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a target in worker processes until they are drained, or this is cancelled.

    Each process is a fresh interpreter that imports the target: the script that calls this
    needs its ``if __name__ == "__main__":``, and what is set up there, as logging may be, is not
    set up in the workers. What ends unasked is replaced, after a delay that grows while it goes on
    (`WorkerLimits`).

    Workers leave Ctrl-C and SIGHUP to the parent, for a terminal sends them to all; a SIGTERM of
    its own drains a worker, and another one takes its place. They notice when the parent is gone,
    drain, and end. `snowtrio.run_service` has signals drain and roll all of them.

    Parameters:
        target: a coroutine function at the top level of a module. It is called with a `Worker` and
            the arguments, and returns when the worker has drained.
        args: for the target; they are pickled.
        listeners: where the workers listen: TCP and Unix sockets, owned and closed by this. All
            workers accept from the same sockets, so that a worker which is busy, or gone, leaves
            peers to the others; peers that wait are never lost with a worker. A coroutine function
            is called with the number of each worker, here and not in the worker, and returns
            listeners for that place alone, such as those of one port with ``reuse_port``. The
            worker that comes after another one gets the same, and peers that wait there wait for
            it.
        workers: how many; by default as many as there are processors that this process may use.
        limits: the bounds of workers.
        task_status: for ``nursery.start``, which returns the `Workers` when each of them is ready,
            or has ended before it was and one serves.

    Cancelled, it has connections cut and hooks run; what has not ended ``kill_timeout`` later is
    killed. No process is left in any case.

    Raises:
        TypeError: the target cannot be imported by its name, the arguments cannot be pickled, or a
            listener has no socket that could be handed on. Nothing was started.
        ValueError: there are to be no workers.
        OSError: the system gives no process.
        WorkerStartError: workers end before they are ready, again and again, and none serves.
    """
    count = workers if workers is not None else available_processors()
    async with contextlib.AsyncExitStack() as stack:
        own = _Listeners(stack)
        shared = [] if callable(listeners) else await own.take(listeners)
        if count < 1:
            raise ValueError(f"there is one worker at least, not {count}")
        work = pickle_work(target, args)
        places = [
            await own.take(await listeners(number)) if callable(listeners) else shared
            for number in range(count)
        ]
        bounds = limits if limits is not None else WorkerLimits()
        counts = shared_counts(count) if count > 1 and not callable(listeners) else None
        recipe = Recipe(work, counts, bounds)
        await Workers(recipe, places, own.aclose).run(task_status=task_status)


class _Listeners:
    """Listeners that stay open here, so that what waits there outlives a worker.

    Parameters:
        stack: closes them at the end.
    """

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self._listeners: list[Listener] = []

    async def take(self, listeners: Sequence[AnyListener]) -> list[Place]:
        """Take listeners over, and return their sockets for the workers.

        Raises:
            TypeError: one has no socket that could be handed on. All are owned all the same.
        """
        taken = [as_listener(listener) for listener in listeners]
        self._listeners += taken
        for listener in taken:
            self._stack.push_async_callback(close_at_once, listener)
        return [_place_of(listener) for listener in taken]

    async def aclose(self) -> None:
        """Stop listening here; workers that have the sockets go on."""
        for listener in self._listeners:
            await close_at_once(listener)


def _place_of(listener: Listener) -> Place:
    if not isinstance(listener, SocketListener):
        raise TypeError(
            f"workers listen on TCP or Unix sockets, not on {listener!r}: what wraps a listener "
            "has to do so in the worker, around worker.listeners"
        )
    return Place(listener.socket, listener.options)


def available_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
