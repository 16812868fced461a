"""A message of which the kernel takes a part at once, whatever was in the outbox before."""

from __future__ import annotations

import hashlib

import pytest
import trio

from snowtrio import LineCodec, LocalProtocolError, PoolLimits, RawCodec
from snowtrio.testing import open_memory_pair

from ..serving import LIMIT
from .pairs import SMALL, tcp_streams

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]

LARGE = hashlib.shake_256(b"snowtrio").hexdigest(30_000).encode()


async def test_after_room_was_made_for_one_that_could_not_be_encoded() -> None:
    """S5, S13: what the kernel has of it is not sent again."""
    limits = PoolLimits(max_outbox_messages=4)
    streams = tcp_streams(buffer_size=SMALL)
    async with open_memory_pair(LineCodec(), limits=limits, streams=streams) as (client, server):
        await client.send_batch([b"one", b"two"])
        assert await server.receive() == b"one"
        for number in range(4):
            server.send_nowait(b"%d" % number)
        with pytest.raises(LocalProtocolError):  # There was room, once the kernel had the others.
            server.send_nowait(b"not\none line")
        assert server.pending == 0
        assert await server.receive() == b"two"
        server.send_nowait(LARGE)
        assert server.pending == 1
        server.send_nowait(b"last")
        with trio.fail_after(LIMIT):
            got = [await client.receive() for _ in range(6)]
        assert got == [b"0", b"1", b"2", b"3", LARGE, b"last"]
        statistics = server.statistics()
        assert statistics.bytes_sent == sum(len(line) + 1 for line in got)
        assert statistics.messages_sent == statistics.messages_accepted == 6


async def test_a_batch_is_accounted_for_to_the_byte() -> None:
    """B5: accepted is what arrived, one in doubt, and those unsent; and none of them twice."""
    limits = PoolLimits(linger_timeout=0)
    streams = tcp_streams(buffer_size=SMALL)
    async with open_memory_pair(
        LineCodec(), limits=limits, client_limits=limits, streams=streams
    ) as (client, server):
        client.stop_receiving()
        lines = [b"%d %s" % (number, LARGE[: number * 4]) for number in range(500)]
        await server.send_batch(lines)
        sent = server.statistics().messages_sent
        assert 0 < sent < 500
        server.drop()
    assert server.ending is not None
    in_doubt, unsent = server.ending.in_doubt, server.ending.unsent
    assert lines[:sent] + list(in_doubt) + list(unsent) == lines
    assert len(in_doubt) <= 1


async def test_a_batch_that_is_taken_in_parts_arrives_once() -> None:
    """S5, B1."""
    streams = tcp_streams(buffer_size=SMALL)
    async with open_memory_pair(RawCodec(), streams=streams) as (client, server):
        parts = [LARGE[number * 97 : number * 97 + 97] for number in range(600)]

        async def send() -> None:
            for first in range(0, 600, 60):
                await server.send_batch(parts[first : first + 60])
            await server.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            got = b"".join([message async for message in client])
    assert got == b"".join(parts)
