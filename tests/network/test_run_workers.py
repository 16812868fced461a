"""Workers whose parent is this process: what `run_workers` takes, reports and leaves behind."""

from __future__ import annotations

import errno
import importlib
import logging
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from snowtrio import DrainTimeouts, open_tcp_listeners, open_unix_listener
from snowtrio.testing import MemoryListener
from snowtrio.workers import (
    Worker,
    WorkerLimits,
    Workers,
    WorkerStartError,
    WorkerState,
    run_workers,
)

from ..serving import LIMIT
from .peers import Peer
from .tcp import until
from .workers import is_running

HERE = str(Path(__file__).parent)
QUICK = WorkerLimits(
    report_interval=0.05,
    kill_timeout=1.0,
    first_delay=0.01,
    drain=DrainTimeouts(goodbye=1, wait=2),
    roll=DrainTimeouts(settle=0.1, goodbye=1, wait=2),
)


@pytest.fixture(scope="module", autouse=True)
def tracker() -> None:
    """Start the process that `multiprocessing` keeps to the end; it costs a descriptor."""
    resource_tracker.ensure_running()


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The targets, by a name under which the workers find them too."""
    monkeypatch.syspath_prepend(HERE)
    # The workers would import all of pytest, as it is what runs here.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    return importlib.import_module("worker_targets")


@asynccontextmanager
async def running(
    *target: Any, quick: WorkerLimits = QUICK, **options: Any
) -> AsyncGenerator[Workers, None]:
    """Run workers for the time of a block, and drain them; nothing may be left."""
    pids: set[int] = set()
    async with trio.open_nursery() as nursery:
        workers: Workers = await nursery.start(
            partial(run_workers, limits=quick, **options), *target
        )
        yield workers
        pids = {each.pid for each in workers.statistics().workers}
        report = await workers.drain()
        assert report.clean
        assert await workers.drain(DrainTimeouts(wait=0)) is report
    assert not any(map(is_running, pids))
    with pytest.raises(RuntimeError, match="ending"):
        await workers.reload()


async def ask(workers: Workers, line: str) -> str:
    async with await trio.open_tcp_stream("127.0.0.1", workers.port) as stream:
        peer = Peer(stream)
        await peer.send(line.encode() + b"\n")
        return await peer.line()


async def test_they_serve_are_rolled_and_come_back(
    targets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: and what the parent says of them."""
    caplog.set_level(logging.INFO, "snowtrio.workers")
    listeners = await open_tcp_listeners(0)
    async with running(targets.work, "hello", listeners=listeners, workers=1) as workers:
        assert workers.addresses == [("127.0.0.1", workers.port)]
        assert await ask(workers, "hello") == "HELLO"
        await until(lambda: workers.statistics().workers[0].messages_sent == 1)
        (first,) = workers.statistics().workers
        assert (first.number, first.state, first.opened) == (0, WorkerState.READY, 1)
        assert first.servers[0]["pool"]["messages_received"] == 1
        assert await workers.reload() is True
        (second,) = workers.statistics().workers
        assert second.pid != first.pid
        assert await ask(workers, "again") == "AGAIN"
        os.kill(second.pid, signal.SIGKILL)
        await until(lambda: workers.statistics().restarts == 1)
        await until(lambda: [e.state for e in workers.statistics().workers] == [WorkerState.READY])
        assert await ask(workers, "and again") == "AND AGAIN"
        assert workers.statistics().rolls == 1
    assert f"worker 0 ({second.pid}) was killed by SIGKILL" in caplog.messages
    with pytest.raises(OSError, match="failed"):
        await ask(workers, "nobody")


async def test_a_unix_socket_is_there_until_the_end(targets: Any, tmp_path: Path) -> None:
    """W33, S26: it is the parent's to remove."""
    path = tmp_path / "socket"
    listeners = [await open_unix_listener(path)]
    async with running(targets.work, listeners=listeners, workers=1) as workers:
        with pytest.raises(LookupError):
            _ = workers.port
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(b"hello\n")
            assert await stream.receive_some() == b"HELLO\n"
        assert await workers.reload()
        assert path.exists()
    assert not path.exists()


async def test_one_that_returns_unasked_is_replaced(targets: Any) -> None:
    """W33: with exit status 0, too."""
    async with running(targets.forget, workers=1) as workers:
        await until(lambda: workers.statistics().restarts >= 1)
        assert workers.statistics().failed_starts == 0


async def test_cancelled_it_leaves_no_process(targets: Any) -> None:
    """W33: connections are cut, and it does not wait for the drain."""
    async with trio.open_nursery() as nursery:
        listeners = await open_tcp_listeners(0)
        run = partial(run_workers, listeners=listeners, workers=1)
        workers: Workers = await nursery.start(run, targets.work)
        (worker,) = workers.statistics().workers
        stream = await trio.open_tcp_stream("127.0.0.1", workers.port)
        nursery.cancel_scope.cancel()
    assert not is_running(worker.pid)
    await trio.aclose_forcefully(stream)
    with pytest.raises(RuntimeError, match="before they had drained"):
        await workers.drain()


async def test_cancelled_before_it_begins_it_starts_nothing(targets: Any) -> None:
    """W33: nor does it wait for anything."""
    listeners = await open_tcp_listeners(0)
    with trio.fail_after(LIMIT), trio.CancelScope() as scope:
        scope.cancel()
        await run_workers(targets.work, listeners=listeners, workers=1)
    assert scope.cancelled_caught
    assert listeners[0].socket is not None
    assert listeners[0].socket.fileno() == -1


async def test_a_drain_without_an_end_is_told_as_one(targets: Any) -> None:
    """W33: ``math.inf`` is no bound, and JSON has no form for it."""
    endless = DrainTimeouts(wait=math.inf)
    limits = attrs.evolve(QUICK, drain=endless)
    async with trio.open_nursery() as nursery:
        workers: Workers = await nursery.start(
            partial(run_workers, workers=1, limits=limits), targets.work, "x" * 1_000_000
        )
        assert (await workers.drain(endless)).clean


async def test_arguments_that_nobody_takes_stop_nothing(
    targets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W33: a program that no longer can be imported, and more than a pipe has room for."""
    main = Path(HERE, "worker_program.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(main), raising=False)
    monkeypatch.setenv("WORKERS_FAIL", HERE)
    limits = attrs.evolve(QUICK, max_failed_starts=1)
    with trio.fail_after(LIMIT), pytest.raises(WorkerStartError):
        await run_workers(targets.work, "x" * 1_000_000, workers=1, limits=limits)


async def test_stopped_together_nobody_is_taken_for_hung(targets: Any) -> None:
    """W33: by Ctrl-Z for example, and then they go on."""
    limits = attrs.evolve(QUICK, report_interval=0.4, hang_timeout=0.8, kill_hung=True)
    async with running(targets.work, workers=1, quick=limits) as workers:
        (worker,) = workers.statistics().workers
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(1.0)  # noqa: ASYNC251 - the parent is stopped too
        os.kill(worker.pid, signal.SIGCONT)
        await until(lambda: workers.statistics().workers[0].silent < 0.1)
        assert workers.statistics().killed == 0


async def test_without_a_descriptor_to_watch_its_end_is_seen(
    targets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W33: the process is there, and has to be looked after all the same."""

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.EMFILE, "no more descriptors")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    async with running(targets.forget, workers=1) as workers:
        await until(lambda: workers.statistics().restarts > 0)


async def test_drained_in_the_middle_of_rolls_they_end(
    targets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: the rolls end with them, one that waited for its turn too, and nothing is wrong."""
    replaced: list[bool] = []

    async def roll(workers: Workers) -> None:
        replaced.append(await workers.reload())

    async with trio.open_nursery() as nursery, running(targets.work, workers=1) as workers:
        nursery.start_soon(roll, workers)
        nursery.start_soon(roll, workers)
        await until(lambda: len(workers.statistics().workers) == 2)
    assert replaced == [False, False]
    assert not caplog.messages


async def test_those_that_never_start_are_told(
    targets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: with how many have been tried."""
    limits = WorkerLimits(first_delay=0.001, max_failed_starts=2)
    with pytest.raises(WorkerStartError, match=r"^worker 0 ended .*, 2 times in a row"):
        await run_workers(targets.fail, workers=1, limits=limits)
    assert [m.partition(") ")[2] for m in caplog.messages if "status" in m] == [
        "has ended with exit status 4"
    ] * 2


async def test_those_that_leave_as_soon_as_they_serve_are_replaced_by_and_by(
    targets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: or new ones would come as fast as they start, while the others are still draining."""
    caplog.set_level(logging.INFO, "snowtrio.workers")
    limits = attrs.evolve(QUICK, longest_delay=0.02)
    async with running(targets.leave, quick=limits, workers=1):
        await until(lambda: "another worker 0 is started in 0.02 seconds" in caplog.messages)


@pytest.mark.parametrize("target", ["babble", "exaggerate"])
async def test_one_that_makes_no_sense_is_ended_and_nothing_else(
    target: str, targets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: a parent may have rights that a worker has not; it believes in no numbers."""
    limits = WorkerLimits(first_delay=0.001, kill_timeout=0.01, max_failed_starts=1)
    with pytest.raises(WorkerStartError):
        await run_workers(getattr(targets, target), workers=1, limits=limits)
    assert [m.partition(") ")[2] for m in caplog.messages][:2] == [
        "says what makes no sense",
        "is killed: it has nothing more to say, and does not end",
    ]


async def test_one_that_takes_too_long_to_start_is_killed(targets: Any) -> None:
    """W33."""
    limits = WorkerLimits(start_timeout=0.01, report_interval=0.01, max_failed_starts=1)
    with pytest.raises(WorkerStartError):
        await run_workers(targets.work, workers=1, limits=limits)


# What it refuses, before anything is started


def nested() -> Any:
    async def work(worker: Worker) -> None:
        raise AssertionError("nobody can import this")

    return work


async def test_a_target_that_cannot_be_imported_is_refused() -> None:
    """W33: the listeners are closed."""
    (listener,) = await open_tcp_listeners(0)
    assert listener.address is not None
    with pytest.raises(TypeError, match=r"cannot import .* top level"):
        await run_workers(nested(), listeners=[listener])
    host, port = listener.address[0], listener.address[1]
    assert isinstance(port, int)
    for again in await open_tcp_listeners(port, host=str(host)):
        await again.aclose()
    with pytest.raises(TypeError, match="cannot import"):
        await run_workers(partial(nested()))


@pytest.mark.parametrize("name", [None, "__main__", "package.__main__"])
async def test_a_target_of_a_program_that_nobody_imports_is_refused(
    name: str | None, targets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W33: typed in, in an archive, or in a package's main module."""
    main = sys.modules["__main__"]
    if name is not None:
        monkeypatch.setattr(main, "__spec__", ModuleSpec(name, None))
    monkeypatch.setattr(targets.work, "__module__", "__main__")
    with pytest.raises(TypeError, match=r"cannot import .* a module of its own"):
        await run_workers(targets.work, workers=1)


async def test_what_is_no_coroutine_function_is_refused(targets: Any) -> None:
    """W33: a lambda is none."""
    wrong: list[Any] = [targets.no_coroutine, lambda worker: None, "work"]
    for target in wrong:
        with pytest.raises(TypeError, match="is a coroutine function, not"):
            await run_workers(target)


async def test_arguments_that_cannot_be_pickled_are_refused(targets: Any) -> None:
    """W33."""
    for argument in (lambda: None, multiprocessing.Lock()):
        with pytest.raises(TypeError, match="cannot be pickled"):
            await run_workers(targets.work, argument)


async def test_listeners_without_a_socket_are_refused(targets: Any) -> None:
    """W33: they are closed too."""
    listener = MemoryListener()
    with pytest.raises(TypeError, match="TCP or Unix sockets"):
        await run_workers(targets.work, listeners=[listener])
    with pytest.raises(ConnectionRefusedError):
        await listener.connect()


async def test_no_workers_are_refused(targets: Any) -> None:
    """W33."""
    with pytest.raises(ValueError, match="at least"):
        await run_workers(targets.work, workers=0)
