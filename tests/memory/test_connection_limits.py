"""Rates and the memory budget, on connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Connection,
    ConnectionLostError,
    LineCodec,
    PoolLimits,
    RawCodec,
    RemoteProtocolError,
    Server,
    ServerLimits,
    StreamEndpoint,
    open_connection,
    serve_listeners,
)
from snowtrio.testing import MemoryListener, open_memory_pair


async def test_a_fast_peer_is_read_at_its_rate(autojump_clock: MockClock) -> None:
    """B11: on average ``max_receive_rate``; what has been read is not held back meanwhile."""
    limits = PoolLimits(max_receive_rate=1000, receive_size=500)
    async with open_memory_pair(RawCodec(), limits=limits) as (client, server):
        began = trio.current_time()
        await client.send(bytes(10_000))
        got: list[tuple[float, int]] = []
        while sum(size for _, size in got) < 10_000:
            message = await server.receive()
            got.append((trio.current_time() - began, len(message)))
        total = 0
        for when, size in got:
            total += size
            assert total <= 1000 * (when + 1) + 500
        assert got[-1][0] == pytest.approx(8.5, abs=0.6)
        assert server.statistics().rate_limited > 10


async def test_a_slow_peer_meets_no_limit(autojump_clock: MockClock) -> None:
    """B11: below the rate there are no pauses."""
    limits = PoolLimits(max_receive_rate=1000)
    async with open_memory_pair(LineCodec(), limits=limits) as (client, server):
        for _ in range(20):
            await client.send(b"x" * 99)
            await server.receive()
            await trio.sleep(0.1)
        assert server.statistics().rate_limited == 0


@asynccontextmanager
async def serving(
    limits: ServerLimits, number: int
) -> AsyncIterator[tuple[Server[bytes], list[Connection[bytes]]]]:
    """Serve lines that nobody answers, to so many clients that send raw bytes."""
    listener = MemoryListener()

    async def swallow(connection: Connection[bytes]) -> None:
        async for _ in connection:
            pass

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[Server[bytes]]) -> None:
            await serve_listeners(
                swallow,
                LineCodec(max_message_size=100_000),
                [listener],
                limits=limits,
                task_status=task_status,
            )

        server = await nursery.start(serve)
        async with AsyncExitStack() as stack:
            endpoint = StreamEndpoint(listener.connect)
            clients = [
                await stack.enter_async_context(open_connection(RawCodec(), endpoint))
                for _ in range(number)
            ]
            yield server, clients
        await server.drain()
        assert server.statistics().memory_held == 0


async def test_half_frames_of_many_stay_within_the_budget(autojump_clock: MockClock) -> None:
    """B11: the sum over all connections has a bound, a read a connection above it at most."""
    limits = ServerLimits(memory_budget=40_000, receive_size=1000, stall_timeout=30)
    async with serving(limits, 10) as (server, clients):
        for client in clients:
            await client.send(b"x" * 20_000)  # No end of line: it cannot be let go.
        await wait_all_tasks_blocked()
        statistics = server.statistics()
        assert 20_000 <= statistics.memory_held <= 40_000
        assert statistics.memory_peak <= 40_000 + 10 * 1000


async def test_a_hog_does_not_starve_the_others(autojump_clock: MockClock) -> None:
    """B11: while one holds all that it may, others are served; in the end the hog is cut."""
    limits = ServerLimits(memory_budget=20_000, receive_size=1000, stall_timeout=30)
    async with serving(limits, 2) as (server, (hog, small)):
        await hog.send(b"x" * 50_000)
        await wait_all_tasks_blocked()
        for _ in range(20):
            await small.send(b"y" * 800 + b"\n")
        await small.flush()
        await wait_all_tasks_blocked()
        received = [each.statistics().messages_received for each in server.connections]
        assert received == [0, 20]
        await trio.sleep(31)
        assert len(server.connections) == 1
        with pytest.raises((trio.EndOfChannel, ConnectionLostError)):
            await hog.receive()


@pytest.mark.parametrize("end", ["clean", "inside a frame", "bad frame", "dropped", "cut"])
async def test_the_budget_is_given_back_however_a_connection_ends(
    end: str, autojump_clock: MockClock
) -> None:
    """B11, B6: `serving` checks that nothing is held when all have gone."""
    limits = ServerLimits(memory_budget=300_000, linger_timeout=0)
    async with serving(limits, 1) as (server, (client,)):
        await client.send(b"one\ntwo\nhalf")
        await client.flush()
        await wait_all_tasks_blocked()
        assert server.statistics().memory_held == 4
        if end == "clean":
            await client.send(b" line\n")
        elif end == "bad frame":
            await client.send(b"x" * 150_000)
        elif end == "dropped":
            client.drop()
        elif end == "cut":
            server.close_all()
        await client.aclose()
        await wait_all_tasks_blocked()
        assert server.statistics().memory_held == 0


async def receive_for_ever(connection: Connection[bytes]) -> None:
    while True:
        await connection.receive()


async def test_outboxes_count_in_the_budget() -> None:
    """B11: what waits to be sent is held too, and goes when it is sent."""
    listener = MemoryListener(lockstep=True)
    limits = ServerLimits(memory_budget=20_000)

    async def push(connection: Connection[bytes]) -> None:
        while True:
            await connection.send(b"x" * 999)

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[Server[bytes]]) -> None:
            await serve_listeners(
                push, LineCodec(), [listener], limits=limits, task_status=task_status
            )

        server = await nursery.start(serve)
        async with open_connection(LineCodec(), StreamEndpoint(listener.connect)) as client:
            await wait_all_tasks_blocked()
            assert 10_000 <= server.statistics().memory_held <= 11_000
            for _ in range(100):
                await client.receive()
            assert server.statistics().memory_peak <= 11_000
            server.close_all()
            with pytest.raises((trio.EndOfChannel, ConnectionLostError)):
                await receive_for_ever(client)
        await server.drain()
    assert server.statistics().memory_held == 0


async def test_an_endless_frame_is_refused_at_its_limit() -> None:
    """S3: memory stays within the cap plus one read."""
    limits = PoolLimits(receive_size=1000)
    codec = LineCodec(max_message_size=5000)
    async with open_memory_pair(RawCodec(), server_protocol=codec, limits=limits) as (a, server):
        await a.send(b"x" * 100_000)
        with pytest.raises(RemoteProtocolError):
            await server.receive()
        assert server.statistics().bytes_received <= 6001
