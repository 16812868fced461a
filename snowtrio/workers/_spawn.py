"""Starting worker processes, and seeing them end."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections.abc import MutableSequence, Sequence
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from typing import Any, cast

import attrs
import trio

from ._child import HELD, Place, Target, Task, run_task
from ._limits import WorkerLimits

# A fresh interpreter: what a fork copies of a running Trio, of threads and of locks is no use.
_spawn = multiprocessing.get_context("spawn")

_MOMENT = 0.005


@attrs.frozen
class Recipe:
    """What all workers are started with.

    Parameters:
        work: what they run, and the arguments for it, pickled.
        counts: what each has accepted, for those who accept from the same sockets.
        limits: theirs.
    """

    work: bytes
    counts: MutableSequence[int] | None
    limits: WorkerLimits


def pickle_work(target: Target, args: tuple[Any, ...]) -> bytes:
    """Return a target and its arguments as workers get them.

    Raises:
        TypeError: a worker cannot import its target, or be given its arguments.
    """
    innermost: Any = target
    while isinstance(innermost, partial):
        innermost = innermost.func
    if not inspect.iscoroutinefunction(innermost) and not inspect.iscoroutinefunction(
        getattr(innermost, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    ):
        raise TypeError(f"the target of workers is a coroutine function, not {target!r}")
    if getattr(innermost, "__module__", None) == "__main__" and not _has_importable_main():
        raise TypeError(
            f"workers cannot import their target {target!r}: this program is no file, or that of a "
            "whole package; put the target into a module of its own"
        )
    try:
        pickle.dumps(target)
    except Exception as error:
        raise TypeError(
            f"workers cannot import their target {target!r}: it has to stand at the top level of a "
            f"module, neither a lambda nor inside a function ({error})"
        ) from error
    try:
        return pickle.dumps((target, args))
    except Exception as error:
        raise TypeError(f"the arguments of workers cannot be pickled: {error}") from error


def _has_importable_main() -> bool:
    """Whether another process gets what is in ``__main__`` here; as `multiprocessing` does it."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return main.__spec__.name.rpartition(".")[2] != "__main__"
    return hasattr(main, "__file__")


def shared_counts(workers: int) -> MutableSequence[int]:
    """Return a number for each worker, 0 at first, in memory that all of them will share."""
    return cast("MutableSequence[int]", _spawn.RawArray("Q", workers))


def start_process(
    recipe: Recipe, number: int, places: Sequence[Place], control: socket.socket
) -> SpawnProcess:
    """Start a worker process.

    Parameters:
        recipe: what it runs.
        number: its place.
        places: where it listens; it gets duplicates of the sockets, as of `control`.
        control: its end of the line.

    Raises:
        OSError: the system gives no process, or no descriptors.
    """
    # A Ctrl-C while it imports is not the worker's: it takes its signals when it can handle them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        # A terminal that goes away sends it a SIGHUP, of which it would die. Its own first start
        # lets others through again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        size = len(recipe.work)
        task = Task(number, size, places, recipe.counts, control, recipe.limits, mask)
        process = _spawn.Process(target=run_task, args=(task,), name=f"worker {number}")
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return process


async def wait_ended(process: SpawnProcess) -> None:
    """Wait until a process has ended; it may have been reaped then."""
    assert process.pid is not None
    # The sentinel is a pipe that what the worker has started in its turn may keep open, and there
    # may be no more descriptors, or no such call here.
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):
        await trio.lowlevel.wait_readable(process.sentinel)
        # It is closed a moment before there is anything to reap.
        while process.exitcode is None and _exists(process.pid):  # noqa: ASYNC110 - nobody says so
            await trio.sleep(_MOMENT)
        return
    try:
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        trio.lowlevel.notify_closing(pidfd)
        os.close(pidfd)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def describe_end(status: int | None) -> str:
    """Return how a process ended, for the log."""
    if status is None:
        return "has ended"
    if status >= 0:
        return f"has ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
