"""The stream that misbehaves on command does so, and only then."""

from __future__ import annotations

import pytest
import trio
from trio.testing import (
    MockClock,
    check_half_closeable_stream,
    check_two_way_stream,
    lockstep_stream_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from snowtrio.testing import FaultyStream

from .cancelling import cancelled_at, every_suspension


def faulty_pair(chunk_size: int | None = None) -> tuple[FaultyStream, trio.abc.Stream]:
    ours, theirs = memory_stream_pair()
    return FaultyStream(ours, chunk_size=chunk_size), theirs


async def test_unprovoked_it_is_a_stream_like_others() -> None:
    """P10."""

    async def pair() -> tuple[FaultyStream, FaultyStream]:
        one, other = memory_stream_pair()
        return FaultyStream(one), FaultyStream(other, chunk_size=1000)

    async def lockstep() -> tuple[FaultyStream, FaultyStream]:
        one, other = lockstep_stream_pair()
        return FaultyStream(one), FaultyStream(other)

    await check_two_way_stream(pair, lockstep)
    await check_half_closeable_stream(pair, None)


async def test_it_splits_both_ways() -> None:
    stream, peer = faulty_pair(chunk_size=3)
    await peer.send_all(b"abcdefgh")
    assert [await stream.receive_some() for _ in range(3)] == [b"abc", b"def", b"gh"]
    await stream.send_all(b"abcdefgh")
    assert await peer.receive_some() == b"abcdefgh"
    assert (stream.received, stream.sent) == (8, 8)


async def test_it_delays_each_chunk(autojump_clock: MockClock) -> None:
    stream, _ = faulty_pair(chunk_size=1)
    stream.delay = 2
    began = trio.current_time()
    await stream.send_all(b"abc")
    assert trio.current_time() - began == pytest.approx(6)


async def test_it_breaks_after_so_many_bytes_sent() -> None:
    """What is before the bound is sent, then it is broken for good, both ways."""
    stream, peer = faulty_pair()
    stream.break_after_sent = 5
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"abcdefgh")
    assert await peer.receive_some() == b"abcde"
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()


async def test_it_breaks_after_so_many_bytes_received() -> None:
    stream, peer = faulty_pair()
    stream.break_after_received = 5
    await peer.send_all(b"abcdefgh")
    assert await stream.receive_some() == b"abcde"
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")


async def test_breaking_wakes_whoever_waits() -> None:
    """As a reset does."""
    ours, _ = lockstep_stream_pair()
    stream = FaultyStream(ours)
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()

        async def send() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")

        nursery.start_soon(receive)
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        stream.break_now()
    with pytest.raises(trio.BrokenResourceError):
        await stream.wait_send_all_might_not_block()
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_eof()


async def test_stalled_it_passes_nothing_until_it_is_resumed() -> None:
    stream, peer = faulty_pair()
    stream.stall()
    stream.stall()
    got: list[bytes] = []
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            got.append(await stream.receive_some())

        nursery.start_soon(receive)
        nursery.start_soon(stream.send_all, b"out")
        await peer.send_all(b"in")
        await wait_all_tasks_blocked()
        assert (got, stream.sent) == ([], 0)
        stream.resume()
    assert got == [b"in"]
    assert await peer.receive_some() == b"out"


async def test_a_cancelled_receive_loses_nothing() -> None:
    """B6: also one that was stalled when the bytes had come already."""

    async def strike(suspension: int) -> bool:
        stream, peer = faulty_pair()

        async def interfere() -> None:
            await wait_all_tasks_blocked()
            stream.stall()
            await peer.send_all(b"abc")
            await wait_all_tasks_blocked()
            stream.resume()

        async def receive() -> None:
            got.append(await stream.receive_some())

        got: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interfere)
            struck = await cancelled_at(suspension, receive)
        if not got:
            await receive()
        assert got == [b"abc"]
        return struck

    assert len([k async for k in every_suspension(strike)]) >= 2


async def test_closing_closes_what_is_below_even_when_stalled() -> None:
    stream, peer = faulty_pair()
    stream.stall()
    await stream.aclose()
    assert await peer.receive_some() == b""
