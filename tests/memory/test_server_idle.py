"""The idle timeout of a server."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, ServerLimits

from ..serving import Stopwatch, ask, read_all, serving


async def test_connection_on_which_nothing_moves_is_ended(autojump_clock: MockClock) -> None:
    """S27: not before the timeout, and at most a quarter of it late."""
    async with serving(limits=ServerLimits(idle_timeout=40)) as served:
        await trio.sleep(7)
        stream = await served.connect()
        watch = Stopwatch()
        assert await wait_for_end(stream) == b""
        assert 40 <= watch.seconds <= 50
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {Cause.IDLE: 1}


async def wait_for_end(stream: trio.abc.Stream) -> bytes:
    return b"".join([data async for data in stream])


@pytest.mark.parametrize("inward", [True, False])
async def test_bytes_in_either_direction_keep_it(inward: bool, autojump_clock: MockClock) -> None:
    """S27."""

    async def push(connection: Connection[bytes]) -> None:
        while True:
            await trio.sleep(30)
            if not inward:
                await connection.send(b"news")

    async with serving(push, limits=ServerLimits(idle_timeout=40)) as served:
        stream = await served.connect()
        for _ in range(20):
            await trio.sleep(30)
            if inward:
                await stream.send_all(b"x")
        assert served.counts == (1, 0)
        await trio.sleep(0 if not inward else 60)
        assert served.counts == ((0, 0) if inward else (1, 0))


async def test_what_was_accepted_before_is_still_sent(autojump_clock: MockClock) -> None:
    """S27, S10: it is an end in order."""

    async def farewell(connection: Connection[bytes]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            connection.send_nowait(b"too quiet")

    async with serving(farewell, limits=ServerLimits(idle_timeout=4)) as served:
        assert await read_all(await served.connect()) == b"too quiet\n"


async def test_timeout_set_changed_and_taken_back_while_running(
    autojump_clock: MockClock,
) -> None:
    """S27, B2."""
    async with serving() as served:
        stream = await served.connect()
        await trio.sleep(1000)
        assert await ask(stream, b"still here") == b"still here"
        served.server.limits = ServerLimits(idle_timeout=40)
        await trio.sleep(20)
        served.server.limits = ServerLimits()
        await trio.sleep(1000)
        assert served.counts == (1, 0)
        served.server.limits = ServerLimits(idle_timeout=10)
        watch = Stopwatch()
        assert await wait_for_end(stream) == b""
        assert watch.seconds <= 13


async def test_no_timeout_no_wake_up(mock_clock: MockClock) -> None:
    """B7: a server that nobody uses does nothing at all."""
    async with serving():
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == float("inf")
