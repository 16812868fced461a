"""A full outbox: who waits, in what order, and what cancelling or closing does to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from snowtrio import (
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    LineCodec,
    LocalProtocolError,
    PoolLimits,
)
from snowtrio.testing import FaultyStream, open_memory_pair

THREE = PoolLimits(max_outbox_messages=3, drain_timeout=0.01, linger_timeout=0)


@asynccontextmanager
async def stalled(
    limits: PoolLimits,
) -> AsyncIterator[tuple[Connection[bytes], Connection[bytes], FaultyStream]]:
    """Open a pair whose client cannot get anything out until its stream is resumed."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), client_limits=limits, streams=(faulty, theirs)) as (
        client,
        server,
    ):
        faulty.stall()
        try:
            yield client, server, faulty
        finally:
            faulty.resume()


async def fill(client: Connection[bytes]) -> list[bytes]:
    """Fill the outbox and return what it took."""
    sent: list[bytes] = []
    while True:
        try:
            client.send_nowait(b"early %d" % len(sent))
        except trio.WouldBlock:
            return sent
        sent.append(b"early %d" % len(sent))


async def test_the_bound_in_messages_is_exact() -> None:
    """S13: n messages fit, the (n+1)th does not."""
    async with stalled(THREE) as (client, _, _):
        assert len(await fill(client)) == 3
        assert client.pending == 3


async def test_the_bound_in_bytes_counts_the_message_that_crosses_it() -> None:
    """S13: at most one message above the bound is held, however small the number of messages."""
    limits = PoolLimits(max_outbox_bytes=100, drain_timeout=0, linger_timeout=0)
    async with stalled(limits) as (client, _, _):
        client.send_nowait(b"x" * 98)  # One byte below the bound, its newline included.
        client.send_nowait(b"y" * 5000)
        with pytest.raises(trio.WouldBlock):
            client.send_nowait(b"z")
        assert client.statistics().outbox_bytes == 99 + 5001


async def test_senders_wait_in_line_and_go_on_in_order() -> None:
    """S13: the (n+1)th sender waits and goes on when there is room; first come, first served."""
    async with stalled(THREE) as (client, server, faulty), trio.open_nursery() as nursery:
        early = await fill(client)
        for number in range(5):
            nursery.start_soon(client.send, b"late %d" % number)
            await wait_all_tasks_blocked()
        assert client.statistics().sends_waited == 5
        with pytest.raises(trio.WouldBlock):
            client.send_nowait(b"past the line")
        faulty.resume()
        late = [b"late %d" % number for number in range(5)]
        assert [await server.receive() for _ in range(8)] == early + late


async def test_nobody_overtakes_the_line_in_the_moment_of_room() -> None:
    """S13: room that somebody waits for is not there for others, who first runs is chance."""
    one = PoolLimits(max_outbox_messages=1)
    async with stalled(one) as (client, server, faulty):
        for _ in range(20):
            faulty.stall()
            client.send_nowait(b"early")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, b"in line")
                await wait_all_tasks_blocked()
                nursery.start_soon(push_in, client)
                faulty.resume()
            got = [await server.receive() for _ in range(3)]
            assert got == [b"early", b"in line", b"pushed in"]


async def push_in(client: Connection[bytes]) -> None:
    """Try to send whenever the scheduler allows."""
    while True:
        try:
            client.send_nowait(b"pushed in")
        except trio.WouldBlock:
            await trio.lowlevel.checkpoint()
        else:
            return


async def test_cancelling_a_sender_leaves_the_queue_as_it_was() -> None:
    """S13, B6: what was cancelled is never sent, and the others keep their places."""
    async with stalled(THREE) as (client, server, faulty), trio.open_nursery() as nursery:
        early = await fill(client)
        scopes = [trio.CancelScope() for _ in range(3)]

        async def send(number: int) -> None:
            with scopes[number]:
                await client.send(b"late %d" % number)

        for number in range(3):
            nursery.start_soon(send, number)
            await wait_all_tasks_blocked()
        scopes[1].cancel()
        await wait_all_tasks_blocked()
        assert client.pending == 3
        scopes[0].cancel()  # The one at the head of the line.
        await wait_all_tasks_blocked()
        assert client.statistics().messages_accepted == 3
        faulty.resume()
        await client.flush()
        await wait_all_tasks_blocked()
        assert [await server.receive() for _ in range(4)] == [*early, b"late 2"]


async def test_a_bad_message_in_the_line_leaves_the_room_to_the_next() -> None:
    """S6, S13: it raises at its author when its turn comes."""
    async with stalled(THREE) as (client, server, faulty), trio.open_nursery() as nursery:
        early = await fill(client)

        async def send_bad() -> None:
            with pytest.raises(LocalProtocolError):
                await client.send(b"not\nthis")

        nursery.start_soon(send_bad)
        await wait_all_tasks_blocked()
        nursery.start_soon(client.send, b"good")
        await wait_all_tasks_blocked()
        faulty.resume()
        assert [await server.receive() for _ in range(4)] == [*early, b"good"]


async def test_a_large_batch_passes_a_small_outbox_piece_by_piece() -> None:
    """S13, B1: a batch keeps to the bounds, and another sender gets its turn in between."""
    async with stalled(THREE) as (client, server, faulty), trio.open_nursery() as nursery:
        batch = [b"%d" % number for number in range(20)]
        nursery.start_soon(client.send_batch, batch)
        await wait_all_tasks_blocked()
        assert client.pending == 3
        nursery.start_soon(client.send, b"other")
        await wait_all_tasks_blocked()
        faulty.resume()
        got = [await server.receive() for _ in range(21)]
        assert [message for message in got if message != b"other"] == batch
        assert got.index(b"other") < 20
        assert client.statistics().outbox_peak == 3


async def test_closing_tells_those_who_wait_at_once() -> None:
    """S13, P6: they raise while what was accepted before is still being sent."""
    async with stalled(THREE) as (client, server, faulty), trio.open_nursery() as nursery:
        early = await fill(client)
        told: list[bytes] = []

        async def send(message: bytes) -> None:
            with pytest.raises(ConnectionClosedError):
                await client.send(message)
            told.append(message)

        nursery.start_soon(send, b"one")
        nursery.start_soon(send, b"two")
        await wait_all_tasks_blocked()
        with trio.CancelScope() as closing:
            nursery.start_soon(client.aclose)
            await wait_all_tasks_blocked()
            assert sorted(told) == [b"one", b"two"]
            faulty.resume()
            assert [await server.receive() for _ in range(3)] == early
            closing.cancel()


async def test_a_loss_tells_those_who_wait_at_once() -> None:
    """S13: the same when the world ends it; and nothing of theirs was accepted."""
    async with stalled(THREE) as (client, _, faulty), trio.open_nursery() as nursery:
        await fill(client)

        async def send() -> None:
            with pytest.raises(ConnectionLostError):
                await client.send(b"late")

        nursery.start_soon(send)
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        faulty.break_now()
    assert client.ending is not None
    assert b"late" not in client.ending.unsent + client.ending.in_doubt


async def test_flush_waits_for_what_was_accepted_and_no_more() -> None:
    """B10: it returns when the kernel has everything accepted so far, whatever comes later."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours, chunk_size=1)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
        faulty.stall()
        client.send_nowait(b"one")
        await wait_all_tasks_blocked()
        flushed = trio.Event()

        async def flush() -> None:
            await client.flush()
            assert faulty.sent >= 4
            flushed.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flush)
            await wait_all_tasks_blocked()
            client.send_nowait(b"two")
            assert not flushed.is_set()
            faulty.resume()
            await flushed.wait()
            await client.flush()
            assert faulty.sent == 8
            assert [await server.receive(), await server.receive()] == [b"one", b"two"]


async def test_flush_raises_what_kept_the_messages_back() -> None:
    """B10: a flush that cannot come true does not wait for ever."""
    async with stalled(THREE) as (client, _, faulty), trio.open_nursery() as nursery:
        await fill(client)

        async def flush() -> None:
            with pytest.raises(ConnectionLostError):
                await client.flush()

        nursery.start_soon(flush)
        await wait_all_tasks_blocked()
        faulty.break_now()
    with pytest.raises(ConnectionLostError):
        await client.flush()


async def test_a_flood_of_sends_lets_others_run() -> None:
    """A task that only sends comes to a checkpoint, single messages and batches alike."""
    async with open_memory_pair(LineCodec()) as (client, server):
        for send in (client.send, lambda message: client.send_batch([message])):
            beats = 0

            async def beat() -> None:
                nonlocal beats
                while True:
                    await trio.lowlevel.checkpoint()
                    beats += 1

            async def drink() -> None:
                while True:
                    await server.receive_batch()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(beat)
                nursery.start_soon(drink)
                for _ in range(5000):
                    await send(b"x")
                assert beats > 3
                nursery.cancel_scope.cancel()
