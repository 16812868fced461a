"""Wake-ups from tasks, threads, signal handlers and other processes, over both kinds of line."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from types import FrameType

import pytest
import trio
import trio.testing

from snowtrio import WakeUp, WakeUpPoster, _wakeup

TIMEOUT = 20


@pytest.fixture(
    params=["eventfd", "socketpair"] if sys.platform == "linux" else ["socketpair"], autouse=True
)
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of line, where there are both."""
    kind: str = request.param
    if kind == "socketpair":
        monkeypatch.setattr(_wakeup, "open_line", _wakeup.SocketLine)
    return kind


async def is_posted(wake_up: WakeUp) -> bool:
    """Say whether a wait would return; it takes the post."""
    with trio.move_on_after(0.05):
        await wake_up.wait()
        return True
    return False


async def test_a_post_before_the_wait_is_kept_and_several_are_one() -> None:
    """Row P9."""
    with WakeUp() as wake_up:
        for _ in range(1000):
            wake_up.post()
        assert await is_posted(wake_up)
        assert not await is_posted(wake_up)
        wake_up.post()
        assert await is_posted(wake_up)


async def test_a_task_wakes_a_task() -> None:
    """Row P9."""
    with WakeUp() as wake_up:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wake_up.wait)
            await trio.testing.wait_all_tasks_blocked()
            wake_up.post()
        assert not await is_posted(wake_up)


async def test_a_thread_wakes_a_task() -> None:
    """Row P9."""
    with WakeUp() as wake_up:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wake_up.wait)
            await trio.testing.wait_all_tasks_blocked()
            await trio.to_thread.run_sync(wake_up.post)


@pytest.mark.skipif(os.name == "nt", reason="there is nothing to send here")
async def test_a_signal_handler_wakes_a_task() -> None:
    """Row P9: one that another process sends while Trio sleeps."""
    with WakeUp() as wake_up:

        def post(number: int, frame: FrameType | None) -> None:
            wake_up.post()

        before = signal.signal(signal.SIGUSR1, post)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wake_up.wait)
                await trio.testing.wait_all_tasks_blocked()
                await trio.run_process(["kill", "-USR1", str(os.getpid())])
        finally:
            signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(os.name == "nt", reason="there is nothing to send here")
async def test_a_signal_handler_that_interrupts_posts_loses_nothing() -> None:
    """Row P9: a handler posts in the midst of posts, at every place that a timer finds."""
    rings = 0
    with WakeUp() as wake_up:

        def post(number: int, frame: FrameType | None) -> None:
            nonlocal rings
            rings += 1
            wake_up.post()

        before = signal.signal(signal.SIGVTALRM, post)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
        try:
            with trio.fail_after(TIMEOUT):
                while rings < 50:
                    for _ in range(100):
                        wake_up.post()
                    await wake_up.wait()
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


async def test_eight_threads_lose_no_wake_up() -> None:
    """Row P9: each counts and posts, then waits to be told that its count was seen."""
    threads, rounds = 8, 500
    counts = [0] * threads
    seen = [threading.Semaphore(0) for _ in range(threads)]
    with WakeUp() as wake_up:

        def work(index: int) -> None:
            for _ in range(rounds):
                counts[index] += 1
                wake_up.post()
                # Nobody else would wake the task for this one at the end: one lost is a hang.
                assert seen[index].acquire(timeout=TIMEOUT)

        async with trio.open_nursery() as nursery:
            for index in range(threads):
                nursery.start_soon(trio.to_thread.run_sync, work, index)
            told = [0] * threads
            with trio.fail_after(TIMEOUT * 2):
                while sum(told) < threads * rounds:
                    await wake_up.wait()
                    for index, count in enumerate(counts):
                        if count > told[index]:
                            seen[index].release(count - told[index])
                            told[index] = count
        assert counts == told == [rounds] * threads


async def test_eight_threads_at_full_speed_are_all_counted() -> None:
    """Row P9: posts that fall together are one, and what they announce is all seen."""
    threads, rounds = 8, 3000
    counts = [0] * threads
    with WakeUp() as wake_up:

        def work(index: int) -> None:
            for _ in range(rounds):
                counts[index] += 1
                wake_up.post()

        async with trio.open_nursery() as nursery:
            for index in range(threads):
                nursery.start_soon(trio.to_thread.run_sync, work, index)
            with trio.fail_after(TIMEOUT):
                while sum(counts) < threads * rounds:
                    await wake_up.wait()


async def test_all_that_wait_are_woken() -> None:
    """Row P9: several waiters; those that come later wait for the next post."""
    woken = 0

    async def wait(wake_up: WakeUp) -> None:
        nonlocal woken
        await wake_up.wait()
        woken += 1

    with WakeUp() as wake_up:
        for number in (5, 10):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(wait, wake_up)
                await trio.testing.wait_all_tasks_blocked()
                assert woken == number - 5
                wake_up.post()
            assert woken == number
        assert not await is_posted(wake_up)


async def test_one_that_is_cancelled_leaves_the_others_waiting_and_takes_no_post() -> None:
    """Rows P9 and B6: each of three is cancelled in turn, the first of which held the place."""
    for strike in range(3):
        with WakeUp() as wake_up:
            scopes = [trio.CancelScope() for _ in range(3)]
            woken: list[int] = []

            async def wait(
                number: int, scopes: list[trio.CancelScope], wake_up: WakeUp, woken: list[int]
            ) -> None:
                with scopes[number]:
                    await wake_up.wait()
                    woken.append(number)

            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(wait, number, scopes, wake_up, woken)
                    await trio.testing.wait_all_tasks_blocked()
                scopes[strike].cancel()
                await trio.testing.wait_all_tasks_blocked()
                wake_up.post()
            assert sorted(woken) == [each for each in range(3) if each != strike]

            wake_up.post()
            with trio.CancelScope() as cancelled:
                cancelled.cancel()
                await wake_up.wait()
            assert cancelled.cancelled_caught
            assert await is_posted(wake_up)


async def test_a_wait_for_what_is_there_is_a_checkpoint() -> None:
    """Row P9: a task that is always woken leaves time for others."""
    with WakeUp() as wake_up:
        wake_up.post()
        with trio.testing.assert_checkpoints():
            await wake_up.wait()


async def test_closing_wakes_all_and_posts_do_nothing_then() -> None:
    """Rows P6 and P9."""
    ends: list[type[Exception]] = []

    async def wait(wake_up: WakeUp) -> None:
        try:
            await wake_up.wait()
        except trio.ClosedResourceError as error:
            ends.append(type(error))

    with WakeUp() as wake_up:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait, wake_up)
            await trio.testing.wait_all_tasks_blocked()
            wake_up.close()
        assert ends == [trio.ClosedResourceError] * 3
    wake_up.post()
    assert wake_up.fileno() == -1
    with pytest.raises(trio.ClosedResourceError):
        await wake_up.wait()
    wake_up.close()


def test_a_post_in_flight_writes_to_no_other_file() -> None:
    """Row P9: closed in the midst of a post, its descriptor is not another file's before the end.

    A post holds the line, as this test does; there is no way to stop it between the two.
    """
    wake_up = WakeUp()
    line = wake_up._line
    assert line is not None
    number = line.writing
    wake_up.close()
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(each) for each in socket.socketpair()]
        assert number not in [each.fileno() for each in others]
        line.write()
        for each in others:
            each.setblocking(False)
            with pytest.raises(BlockingIOError):
                each.recv(1)


def test_without_descriptors_it_fails_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row P9: with the system's error."""

    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "eventfd", fail, raising=False)
    monkeypatch.setattr(socket, "socketpair", fail)
    with pytest.raises(OSError, match="too many"):
        WakeUp()


def test_it_needs_no_run_and_outlives_several() -> None:
    """Row P9: posted before the first, and between two."""
    with WakeUp() as wake_up:
        for _ in range(3):
            wake_up.post()
            trio.run(wake_up.wait)
        wake_up.post()


CHILD = """
import sys
from snowtrio import WakeUpPoster
with WakeUpPoster(int(sys.argv[1])) as poster:
    poster.post()
    input()
    for _ in range(100_000):
        poster.post()
poster.post()
"""


@pytest.mark.skipif(os.name == "nt", reason="descriptors are not inherited there")
async def test_another_process_posts_and_is_never_held_up() -> None:
    """Row P9: through an inherited descriptor; far more posts than a buffer holds."""
    with WakeUp() as wake_up:
        command = [sys.executable, "-W", "error", "-c", CHILD, str(wake_up.fileno())]
        process = await trio.lowlevel.open_process(command, stdin=-1, pass_fds=[wake_up.fileno()])
        with trio.fail_after(TIMEOUT):
            await wake_up.wait()
            assert process.stdin is not None
            async with process.stdin:
                await process.stdin.send_all(b"\n")
                assert await process.wait() == 0
            await wake_up.wait()
        assert not await is_posted(wake_up)


FORKS = """
import os, sys, trio
from snowtrio import WakeUp, _wakeup
if sys.argv[1] == "socketpair":
    _wakeup.open_line = _wakeup.SocketLine
with WakeUp() as wake_up:
    child = os.fork()
    if child == 0:
        wake_up.post()
        os._exit(0)
    trio.run(wake_up.wait)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_child_posts(line: str) -> None:
    """Row P9: in a program without threads, which forks are for."""
    with trio.fail_after(TIMEOUT):
        await trio.run_process([sys.executable, "-W", "error", "-c", FORKS, line])


@pytest.mark.skipif(os.name == "nt", reason="descriptors are not inherited there")
def test_a_poster_to_nobody_is_harmless() -> None:
    """Row P9: the other side is closed, or there never was one."""
    with WakeUp() as wake_up:
        poster = WakeUpPoster(os.dup(wake_up.fileno()))
    poster.post()
    poster.close()
    poster.post()
    with pytest.raises(OSError):  # noqa: PT011
        WakeUpPoster(10_000)
