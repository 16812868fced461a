"""What a server counts."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, LineCodec, Refusal, ServerLimits
from snowtrio.testing import MemoryListener

from ..serving import ask, serving


async def test_counts_of_live_and_ended_connections(autojump_clock: MockClock) -> None:
    """B7: what an ended connection counted stays counted."""
    async with serving() as served:
        first, second = await served.connect(), await served.connect()
        for stream in (first, first, second):
            assert await ask(stream, b"four") == b"four"
        await first.aclose()
        await trio.testing.wait_all_tasks_blocked()
        statistics = served.server.statistics()
        pool = statistics.pool
        assert (statistics.accepted, pool.opened, pool.connections) == (2, 2, 1)
        assert (pool.bytes_received, pool.bytes_sent) == (15, 15)
        assert (pool.messages_received, pool.messages_sent, pool.messages_accepted) == (3, 3, 3)
        assert (pool.peak_connections, pool.outbox_peak) == (2, 1)
        assert pool.ended == {Cause.PEER_CLOSED: 1}


async def test_snapshot_stays_as_it_was(autojump_clock: MockClock) -> None:
    """B7."""
    async with serving() as served:
        before = served.server.statistics()
        await (await served.connect()).aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert (before.pool.opened, before.pool.ended, before.accepted) == (0, {}, 0)
        assert served.server.statistics().pool.opened == 1


async def test_ends_are_counted_by_cause(autojump_clock: MockClock) -> None:
    """B7."""

    async def handle(connection: Connection[bytes]) -> None:
        async for line in connection:
            if line == b"raise":
                raise LookupError
            return

    async with serving(handle, LineCodec(max_message_size=8)) as served:
        for line in (b"raise\n", b"done\n", b"done\n", b"x" * 20):
            stream = await served.connect(line)
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
        await served.connect()  # Stays, and is not counted.
        await (await served.connect()).aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {
            Cause.HANDLER_ERROR: 1,
            Cause.DONE: 2,
            Cause.PROTOCOL_ERROR: 1,
            Cause.PEER_CLOSED: 1,
        }


async def test_refusals_are_counted_by_reason(autojump_clock: MockClock) -> None:
    """B7."""
    async with serving(limits=ServerLimits(max_connections=1)) as served:
        await served.connect()
        for _ in range(3):
            await served.connect()
        statistics = served.server.statistics()
        assert statistics.refused == {reason: 3 * (reason is Refusal.FULL) for reason in Refusal}
        assert statistics.accepted == 4


async def test_memory_budget_in_use_is_counted(autojump_clock: MockClock) -> None:
    """B7, B11: held while a frame is unfinished, given back at the end."""
    async with serving(limits=ServerLimits(memory_budget=10_000)) as served:
        stream = await served.connect(b"x" * 500)
        assert served.server.statistics().memory_held == 500
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        statistics = served.server.statistics()
        assert (statistics.memory_held, statistics.memory_peak) == (0, 500)


async def test_connections_are_listed_the_oldest_first(autojump_clock: MockClock) -> None:
    """B7."""
    async with serving() as served:
        streams = [await served.connect() for _ in range(3)]
        listed = served.server.connections
        await streams[0].aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.connections == listed[1:]


async def test_memory_listener_has_no_address_and_no_port(autojump_clock: MockClock) -> None:
    """P1: what is not there is said to be not there."""
    async with serving(others=[MemoryListener()]) as served:
        assert served.server.addresses == [None, None]
        with pytest.raises(LookupError, match="no TCP port"):
            _ = served.server.port
