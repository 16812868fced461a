"""Peers that take nothing, on streams that are not plain sockets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from snowtrio import Cause, LineCodec, PoolLimits, RawCodec, StalledError
from snowtrio.testing import FaultyStream, open_memory_pair

FIVE = PoolLimits(stall_timeout=5, drain_timeout=1000, linger_timeout=0)


async def test_a_peer_that_stops_taking_is_cut(autojump_clock: MockClock) -> None:
    """B4: after ``stall_timeout`` without progress, told to whoever sends or waits."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), client_limits=FIVE, streams=(faulty, theirs)) as (
        client,
        _,
    ):
        faulty.stall()
        began = trio.current_time()
        await client.send(b"one")
        with pytest.raises(StalledError):
            await client.flush()
        assert trio.current_time() - began == pytest.approx(5)
        with pytest.raises(StalledError):
            await client.send(b"two")
        with pytest.raises(StalledError):
            await client.receive()
    assert client.ending is not None
    assert client.ending.cause is Cause.STALLED
    assert client.ending.in_doubt == (b"one",)


async def test_a_slow_peer_that_moves_is_not_cut(autojump_clock: MockClock) -> None:
    """B4: however long it takes in all, as long as each slice (16 KiB) gets through in time."""
    data = bytes(range(256)) * 400
    ours, theirs = lockstep_stream_pair()
    async with open_memory_pair(
        RawCodec(), client_limits=FIVE, streams=(ours, FaultyStream(theirs, chunk_size=8192))
    ) as (client, server):
        got = b""

        async def sip() -> None:
            nonlocal got
            while len(got) < len(data):
                await trio.sleep(2)
                got += await server.receive()

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sip)
            await client.send(data)
            await client.flush()
        assert got == data
        assert trio.current_time() - began > 4 * 5


async def test_silence_is_no_stall(autojump_clock: MockClock) -> None:
    """B4: a peer that has nothing to take may be quiet for ever."""
    async with open_memory_pair(LineCodec(), client_limits=FIVE) as (client, server):
        await trio.sleep(1000)
        await client.send(b"one")
        assert await server.receive() == b"one"
