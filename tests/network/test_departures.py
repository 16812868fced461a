"""Replies that gathered leave by the next pass of the run loop, whoever sees to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import Connection, LineCodec, PoolLimits, Server, serve_tcp
from snowtrio.testing import open_memory_pair

from ..serving import LIMIT
from .pairs import SMALL, tcp_streams

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]

Pair = tuple[Connection[bytes], Connection[bytes]]

QUICK = PoolLimits(linger_timeout=0, drain_timeout=0.1)


@asynccontextmanager
async def asked(count: int, *, buffer_size: int | None = None) -> AsyncIterator[list[Pair]]:
    """Open connections whose servers have taken the first of two questions.

    So a reply waits for the other one's.
    """
    async with AsyncExitStack() as stack:
        pairs: list[Pair] = []
        for _ in range(count):
            pair = open_memory_pair(
                LineCodec(),
                streams=tcp_streams(buffer_size=buffer_size),
                limits=QUICK,
                client_limits=QUICK,
            )
            pairs.append(await stack.enter_async_context(pair))
        for client, server in pairs:
            await client.send_batch([b"one", b"two"])
            assert await server.receive() == b"one"
        await wait_all_tasks_blocked()
        yield pairs


async def receive(connection: Connection[bytes]) -> bytes:
    with trio.fail_after(LIMIT):
        return await connection.receive()


async def test_a_handler_that_turns_to_something_else() -> None:
    """S12: its reply does not wait for the one that never comes."""
    async with asked(5) as pairs:
        for number, (_, server) in enumerate(pairs):
            server.send_nowait(b"%d" % number)
            assert server.pending == 1
        for number, (client, _) in enumerate(pairs):
            assert await receive(client) == b"%d" % number


@pytest.mark.parametrize("dropped", [0, 1, 4])
async def test_one_of_them_is_cut_in_that_moment(dropped: int) -> None:
    """S12: the one that was to see to it for all among them."""
    async with asked(5) as pairs:
        for number, (_, server) in enumerate(pairs):
            server.send_nowait(b"%d" % number)
        pairs[dropped][1].drop()
        for number, (client, server) in enumerate(pairs):
            if number != dropped:
                assert await receive(client) == b"%d" % number
                assert await receive(server) == b"two"
                await server.send(b"more")
                assert await receive(client) == b"more"


@pytest.mark.parametrize("first", [True, False])
async def test_one_of_them_is_stalled(first: bool) -> None:
    """S12: its peer takes nothing; those of the others do."""
    async with asked(3, buffer_size=SMALL) as pairs:
        stalled = pairs[0 if first else 2]
        for _ in range(8):
            stalled[1].send_nowait(b"x" * 60_000)
            for client, server in pairs:
                if server is not stalled[1]:
                    server.send_nowait(b"reply")
                    assert await receive(client) == b"reply"
        assert stalled[1].pending
        stalled[1].drop()


@pytest.mark.parametrize("closed", [0, 1])
async def test_one_of_them_was_closed_behind_our_back(closed: int) -> None:
    """S22: that ends its connection only."""
    async with asked(3) as pairs:
        for number, (_, server) in enumerate(pairs):
            server.send_nowait(b"%d" % number)
        await pairs[closed][1]._life.transport.aclose()
        for number, (client, server) in enumerate(pairs):
            if number != closed:
                assert await receive(client) == b"%d" % number
                assert await receive(server) == b"two"
                await server.send(b"more")
                assert await receive(client) == b"more"


async def test_many_end_while_many_send_on_one() -> None:
    """S12, S13: that there is no room is said only where there is none."""
    for _ in range(5):
        async with asked(25) as pairs:
            (client, server), *others = pairs
            start = trio.Event()

            async def send(start: trio.Event = start, server: Connection[bytes] = server) -> None:
                await start.wait()
                server.send_nowait(b"x")
                server.send_nowait(b"y")

            async with trio.open_nursery() as nursery:
                for _ in range(25):
                    nursery.start_soon(send)
                await wait_all_tasks_blocked()
                start.set()
                for _, other in others:
                    other.drop()
            got = [await receive(client) for _ in range(50)]
            assert sorted(got) == [b"x"] * 25 + [b"y"] * 25


async def test_last_words_of_one_that_was_cancelled() -> None:
    """S12: its task has ended before, and sees to nothing for the others."""
    began = trio.Event()

    async def say_late(connection: Connection[bytes]) -> None:
        began.set()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()
            connection.send_nowait(b"two")
            connection.send_nowait(b"three")

    async with asked(1) as [(client, server)]:
        async with trio.open_nursery() as nursery:
            serve = partial(serve_tcp, say_late, LineCodec(), 0, host="127.0.0.1")
            cancelled: Server[bytes, bytes, None] = await nursery.start(serve)
            stream = await trio.open_tcp_stream("127.0.0.1", cancelled.port)
            await began.wait()
            nursery.cancel_scope.cancel()
        await stream.aclose()
        server.send_nowait(b"answer")
        assert await receive(client) == b"answer"
