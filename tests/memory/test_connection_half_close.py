"""Ending one direction of a connection."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    ConnectionClosedError,
    ConnectionLostError,
    LineCodec,
    LocalProtocolError,
    PoolLimits,
)
from snowtrio.testing import FaultyStream, open_memory_pair

QUICK = PoolLimits(linger_timeout=0)


async def test_send_eof_ends_one_direction() -> None:
    """P5: everything accepted goes before it, nothing after it, and receiving goes on."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours, chunk_size=1)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
        async with trio.open_nursery() as nursery:
            faulty.stall()
            client.send_nowait(b"one")
            await wait_all_tasks_blocked()
            client.send_nowait(b"two")
            nursery.start_soon(client.send_eof)
            nursery.start_soon(client.send_eof)
            await wait_all_tasks_blocked()
            with pytest.raises(ConnectionClosedError, match="end of input"):
                await client.send(b"three")
            faulty.resume()
            assert [message async for message in server] == [b"one", b"two"]
        await client.send_eof()
        await server.send(b"still here")
        assert await client.receive() == b"still here"
    assert server.ending is not None
    assert server.ending.cause is Cause.PEER_CLOSED


async def test_send_eof_tells_what_broke() -> None:
    """P5: a connection that breaks on the way to it raises the loss."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours, break_after_sent=2)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, _):
        client.send_nowait(b"one")
        with pytest.raises(ConnectionLostError):
            await client.send_eof()


async def test_a_transport_without_half_close_says_so() -> None:
    """P5: nothing has changed then."""
    ours, theirs = memory_stream_pair()
    async with open_memory_pair(
        LineCodec(), client_limits=QUICK, streams=(Whole(ours), theirs)
    ) as (client, server):
        with pytest.raises(LocalProtocolError, match="one direction"):
            await client.send_eof()
        await client.send(b"goes on")
        assert await server.receive() == b"goes on"


class Whole(trio.abc.Stream):
    """A stream that cannot end one direction alone."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
