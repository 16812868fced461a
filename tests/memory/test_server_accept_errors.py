"""Accepting when the system has nothing left to accept with."""

from __future__ import annotations

import errno
import logging
import os
from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import LineCodec, ServerLimits, serve_listeners
from snowtrio.testing import MemoryListener

from ..serving import ask, echo, lines_of, serving


class Exhausted(MemoryListener):
    """Raises on command, and notes when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.errno: int | None = None
        self.asked: list[float] = []

    async def accept(self) -> trio.abc.Stream:
        stream = await super().accept()
        while self.errno is not None:
            self._offer.send_nowait(stream)
            self.asked.append(trio.current_time())
            raise OSError(self.errno, os.strerror(self.errno))
        return stream


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_backs_off_logs_once_and_recovers(
    number: int, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S21: those who are connected are served meanwhile."""
    caplog.set_level(logging.WARNING)
    listener = Exhausted()
    async with serving(listener=listener) as served:
        before = await served.connect()
        listener.errno = number
        late = await listener.connect()
        await late.send_all(b"late\n")
        await trio.sleep(10)
        assert await ask(before, b"x") == b"x"
        pauses = [round(b - a, 3) for a, b in zip(listener.asked, listener.asked[1:], strict=False)]
        assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
        assert set(pauses[6:]) == {1.0}
        assert served.server.statistics().accept_errors == len(listener.asked)
        listener.errno = None
        assert await late.receive_some() == b"late\n"
    assert len(lines_of(caplog, logging.ERROR)) == 1
    assert os.strerror(number) in lines_of(caplog, logging.ERROR)[0]
    assert len(lines_of(caplog, logging.WARNING)) == 1


async def test_next_shortage_is_logged_again_and_starts_small(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S21."""
    listener = Exhausted()
    async with serving(listener=listener) as served:
        for _ in range(2):
            listener.errno = errno.EMFILE
            stream = await listener.connect()
            await trio.sleep(5)
            listener.errno = None
            assert await ask(stream, b"x") == b"x"
        assert served.server.statistics().accept_errors > 10
    assert len(lines_of(caplog, logging.ERROR)) == 2


async def test_shortage_does_not_hold_a_drain_up(autojump_clock: MockClock) -> None:
    """S21, S23."""
    listener = Exhausted()
    async with serving(listener=listener) as served:
        listener.errno = errno.EMFILE
        await listener.connect()
        await trio.sleep(5.1)
        before = trio.current_time()
        await served.server.drain()
        assert trio.current_time() == before


async def test_broken_listener_ends_the_server_and_leaves_nothing_open(
    autojump_clock: MockClock,
) -> None:
    """S21: what does not pass is no reason to go on; it comes out as it is."""
    broken, other = Exhausted(), MemoryListener()
    broken.errno = errno.EBADF
    ended: list[OSError] = []

    async def serve(task_status: trio.TaskStatus[object]) -> None:
        try:
            await serve_listeners(echo, LineCodec(), [other, broken], task_status=task_status)
        except OSError as error:
            ended.append(error)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        served = await other.connect()
        assert await ask(served, b"x") == b"x"
        await broken.connect()
    assert [error.errno for error in ended] == [errno.EBADF]
    assert await served.receive_some() == b""
    for listener in (broken, other):
        with pytest.raises(ConnectionRefusedError):
            await listener.connect()


@pytest.mark.parametrize("cancelled", [True, False])
async def test_every_listener_is_closed_even_if_one_cannot_be(
    cancelled: bool, autojump_clock: MockClock
) -> None:
    """S23, B6: cancelled or drained, in a scope that is cancelled or not."""

    class Stuck(MemoryListener):
        async def aclose(self) -> None:
            self._offered.close()
            raise RuntimeError("cannot close")

    listeners = [MemoryListener(), Stuck(), MemoryListener()]

    async def provoke() -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(serve_listeners, echo, LineCodec(), listeners)
            server = await nursery.start(serve)
            await trio.testing.wait_all_tasks_blocked()
            if cancelled:
                nursery.cancel_scope.cancel()
            else:
                await server.drain()

    with pytest.raises(ExceptionGroup) as caught:
        await provoke()
    assert caught.group_contains(RuntimeError, match="cannot close")
    for listener in listeners:
        with pytest.raises(ConnectionRefusedError):
            await listener.connect()


async def test_start_fails_before_it_reports(autojump_clock: MockClock) -> None:
    """S23: ``nursery.start`` raises what was wrong, and the nursery lives on."""
    async with trio.open_nursery() as nursery:
        with pytest.raises(TypeError):
            await nursery.start(partial(serve_listeners, None, LineCodec(), [MemoryListener()]))
        with pytest.raises(ValueError, match="max_connections"):
            ServerLimits(max_connections=0)
        assert not nursery.child_tasks
