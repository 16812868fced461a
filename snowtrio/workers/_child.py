"""The worker process: its signals, its parent's commands, and the target."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
from collections.abc import Awaitable, Callable, Collection, MutableSequence, Sequence
from typing import Any, TypeAlias

import attrs
import trio

from .._supervisor import open_plain_nursery
from .._transport import Listener, SocketListener, SocketOptions
from ._control import Control, read_timeouts, receive_work
from ._limits import WorkerLimits
from ._sharing import SharedListener, Turns
from ._worker import Worker

Target: TypeAlias = Callable[..., Awaitable[object]]
"""A coroutine function; called with the `Worker` first."""

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a process holds back from before its first moment until it can take them."""

# The last words of a worker fit into what the kernel buffers.
_FAREWELL = 1.0

logger = logging.getLogger("snowtrio.workers")


@attrs.frozen
class Place:
    """Where a worker listens.

    Parameters:
        sock: bound and listening.
        options: what it was opened with, for connections to have what they do not inherit.
    """

    sock: socket.socket
    options: SocketOptions | None


@attrs.frozen
class Task:
    """What a worker process is started with; pickled as `multiprocessing` does it.

    Parameters:
        number: its place.
        size: of what it runs, the pickled target and its arguments, in bytes: they come first on
            the line. Here they would have to be taken at once, which a worker that does not get so
            far never does, and the parent would wait for it with all else at a stand.
        places: where it listens.
        counts: what each worker has accepted, where others accept from the same sockets.
        control: its end of the line.
        limits: those of all workers.
        mask: the signals that are held back in its parent otherwise.
    """

    number: int
    size: int
    places: Sequence[Place]
    counts: MutableSequence[int] | None
    control: socket.socket
    limits: WorkerLimits
    mask: Collection[int]


def run_task(task: Task) -> None:
    """Be a worker: what a process is started with."""
    for sock in (*(place.sock for place in task.places), task.control):
        # What this process starts in its turn must not keep the port, or the line, open.
        sock.set_inheritable(False)
    # A terminal sends these to parent and workers alike; the parent says what becomes of them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pickled = receive_work(task.control, task.size)
    if pickled is not None:
        target, args = pickle.loads(pickled)  # noqa: S301 - the parent's
        trio.run(run_worker, task, target, args, strict_exception_groups=True)


async def run_worker(task: Task, target: Target, args: tuple[Any, ...]) -> None:
    """Run the target until it returns: drained, most of the time, or cut on command."""
    control = Control(task.control)
    listeners = open_listeners(task)
    worker = Worker(task.number, listeners, control, task.limits.report_interval)
    try:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            signal.pthread_sigmask(signal.SIG_SETMASK, task.mask)
            async with open_plain_nursery() as nursery:
                nursery.start_soon(worker.report)
                nursery.start_soon(_drain_on_signal, signals, worker, task.limits)
                with trio.CancelScope() as scope:
                    nursery.start_soon(_obey, control, worker, task.limits, scope)
                    await target(worker, *args)
                nursery.cancel_scope.cancel(reason="the target has returned")
            with trio.move_on_after(_FAREWELL):
                await worker.tell_waiting()
    finally:
        for listener in listeners:
            await listener.aclose()
        await control.aclose()


def open_listeners(task: Task) -> list[Listener]:
    """Return listeners for the places; those that others have too are accepted from in turn."""
    listeners = [SocketListener(place.sock, options=place.options) for place in task.places]
    if task.counts is None:
        return [*listeners]
    turns = Turns(task.number, task.counts)
    return [SharedListener(listener, turns) for listener in listeners]


async def _drain_on_signal(signals: Any, worker: Worker, limits: WorkerLimits) -> None:
    """Drain on a SIGTERM of our own: one worker is to be replaced, or all processes got it."""
    async for _ in signals:
        worker.begin_drain(limits.drain)


async def _obey(
    control: Control, worker: Worker, limits: WorkerLimits, scope: trio.CancelScope
) -> None:
    """Do what the parent says; without it, drain and end."""
    while (said := await control.receive()) is not None:
        if said["command"] == "cut":
            scope.cancel(reason="the parent cuts this worker")
        else:
            worker.begin_drain(read_timeouts(said["timeouts"]))
    logger.warning("worker %d (%d) has lost its parent: draining", worker.number, os.getpid())
    worker.begin_drain(limits.drain)
    # There is nobody who would kill it.
    await trio.sleep(limits.drain.total + limits.kill_timeout)
    scope.cancel(reason="the parent is gone")
