"""Stopping to receive, and dropping a connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from snowtrio import Cause, ConnectionClosedError, LineCodec, PoolLimits
from snowtrio.testing import FaultyStream, open_memory_pair


async def test_stop_receiving_gives_what_was_decoded_and_then_the_end() -> None:
    """B3: also the batch that the reader had in hand; and sending goes on."""
    limits = PoolLimits(max_inbox_messages=4)
    async with open_memory_pair(LineCodec(), limits=limits) as (client, server):
        await client.send_batch([b"%d" % number for number in range(4)])
        await client.flush()
        await wait_all_tasks_blocked()
        assert await server.receive() == b"0"
        await wait_all_tasks_blocked()
        server.stop_receiving()
        await client.send(b"late")
        assert [message async for message in server] == [b"1", b"2", b"3"]
        with pytest.raises(trio.EndOfChannel):
            await server.receive()
        await server.send(b"goodbye")
        assert await client.receive() == b"goodbye"


async def test_stop_receiving_wakes_a_receiver() -> None:
    async with open_memory_pair(LineCodec()) as (_, server), trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.EndOfChannel):
                await server.receive()

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        server.stop_receiving()


async def test_dropping_tells_everybody_and_purges() -> None:
    """B6: nobody takes it for the peer's end of input."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
        faulty.stall()
        client.send_nowait(b"one")
        await wait_all_tasks_blocked()
        client.send_nowait(b"two")
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(ConnectionClosedError):
                    await client.receive()

            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            client.drop()
            with pytest.raises(ConnectionClosedError):
                client.send_nowait(b"three")
        with pytest.raises(trio.EndOfChannel):
            await server.receive()
    assert client.ending is not None
    assert client.ending.cause is Cause.DROPPED
    assert (client.ending.in_doubt, client.ending.unsent) == ((b"one",), (b"two",))


async def test_dropping_from_within_a_batch_in_the_making() -> None:
    """B5: what the batch had accepted is in the account; its maker gets no foreign error."""
    async with open_memory_pair(LineCodec()) as (client, _):

        def messages() -> Iterator[bytes]:
            yield b"one"
            client.drop()
            yield b"two"

        with pytest.raises(ConnectionClosedError):
            await client.send_batch(messages())
    assert client.ending is not None
    assert client.ending.unsent == (b"one",)
