"""Messages over a connection: one by one, in batches, under timeouts, refused and accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked
from typing_extensions import Buffer

from snowtrio import (
    Connection,
    LineCodec,
    LocalProtocolError,
    NetstringCodec,
    PoolLimits,
    RawCodec,
    SendTooLargeError,
    SkippedMessageError,
)
from snowtrio.testing import FaultyStream, open_memory_pair

NUMBERS = [b"%d" % number for number in range(2500)]


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Connection[bytes], Connection[bytes]]]:
    async with open_memory_pair(LineCodec(max_message_size=100)) as connections:
        yield connections


Pair = tuple[Connection[bytes], Connection[bytes]]


async def test_messages_come_in_order_in_both_directions(pair: Pair) -> None:
    """S25: a connection is a send channel and a receive channel."""
    client, server = pair
    await client.send(b"one")
    await client.send(b"two")
    await server.send(b"three")
    assert [await server.receive(), await server.receive()] == [b"one", b"two"]
    assert await client.receive() == b"three"


async def test_a_batch_of_nothing_is_not_encoded() -> None:
    """B1: a codec is asked for at least one message at a time."""

    class AtLeastOne(LineCodec):
        def encode_batch(self, messages: Sequence[Buffer]) -> bytes | None:
            assert messages
            return super().encode_batch(messages)

    async with open_memory_pair(AtLeastOne()) as (client, server):
        await client.send_batch([])
        await client.send_batch([b"one", b"two"])
        assert await server.receive_batch() == [b"one", b"two"]
        assert client.statistics().messages_sent == 2


async def test_iterating_ends_with_the_peers_end_of_input(pair: Pair) -> None:
    client, server = pair
    await client.send(b"one")
    await client.send_eof()
    assert [message async for message in server] == [b"one"]
    with pytest.raises(trio.EndOfChannel):
        await server.receive()


async def test_a_message_that_cannot_be_sent_is_its_senders_trouble(pair: Pair) -> None:
    """S6: the sender gets the error, and later messages on the connection still work."""
    client, server = pair
    with pytest.raises(LocalProtocolError):
        await client.send(b"two\nlines")
    with pytest.raises(SendTooLargeError):
        client.send_nowait(b"x" * 101)
    await client.send(b"fine")
    assert await server.receive() == b"fine"
    assert client.statistics().messages_accepted == 1


async def test_a_batch_with_a_bad_message_sends_what_is_before_it(pair: Pair) -> None:
    """S6, B1: those before it are accepted and leave, those behind it are not."""
    client, server = pair
    with pytest.raises(LocalProtocolError):
        await client.send_batch([b"one", b"two", b"not\nthis", b"nor this"])
    await client.send(b"three")
    assert [await server.receive() for _ in range(3)] == [b"one", b"two", b"three"]
    assert client.pending == 0


async def test_a_batch_whose_making_fails_sends_what_is_before_it(pair: Pair) -> None:
    client, server = pair

    def make() -> list[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.send_batch(part for parts in ([b"one"], None) for part in parts or make())
    assert await server.receive() == b"one"


async def test_batches_both_ways(pair: Pair) -> None:
    """B1: whole batches are taken and sent; order and number stay, whatever the bounds split."""
    client, server = pair
    got: list[bytes] = []

    async def answer() -> None:
        async for batch in server.batches():
            await server.send_batch(batch)
        await server.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)

        async def send() -> None:
            await client.send_batch(NUMBERS)
            await client.send_eof()

        nursery.start_soon(send)
        async for batch in client.batches():
            assert len(batch) <= 1024
            got += batch
    assert got == NUMBERS


async def test_an_empty_batch_is_nothing(pair: Pair) -> None:
    client, server = pair
    await client.send_batch([])
    await client.flush()
    assert client.statistics().writes == 0
    assert server.statistics().reads == 0


async def test_frames_of_one_segment_are_one_batch(pair: Pair) -> None:
    """S12: k frames in one segment are decoded in one step, for one-by-one receivers too (B1)."""
    client, server = pair
    await client.send_batch(NUMBERS[:100])
    assert [await server.receive() for _ in range(100)] == NUMBERS[:100]
    assert server.statistics().batches_received == 1


async def test_what_gathers_leaves_in_one_write() -> None:
    """S12: messages queued while the writer is busy leave in one write, in their order."""
    ours, theirs = trio.testing.memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
        faulty.stall()
        await client.send(b"busy")
        await wait_all_tasks_blocked()
        for number in NUMBERS[:50]:
            client.send_nowait(number)
        await wait_all_tasks_blocked()
        assert client.pending == 51
        faulty.resume()
        assert [await server.receive() for _ in range(51)] == [b"busy", *NUMBERS[:50]]
        assert client.statistics().writes == 2


async def test_a_timeout_on_receive_loses_nothing(pair: Pair) -> None:
    """W28, B6: however a receive is cancelled, the next one goes on with the next message."""
    client, server = pair
    got: list[bytes] = []
    for number in NUMBERS[:20]:
        with trio.move_on_after(0):
            got.append(await server.receive())
        await client.send(number)
    while len(got) < 20:
        got.append(await server.receive())
    assert got == NUMBERS[:20]


async def test_messages_without_bytes_cost_nothing_and_hold_up_nobody() -> None:
    """B5: an empty message of a codec without frames is done when those before it are."""
    async with open_memory_pair(RawCodec()) as (client, server):
        await client.send(b"")
        await client.send(b"")  # For the writer alone, and nothing to write.
        await client.flush()
        for message in (b"", b"", b"one", b"", b"two", b""):
            await client.send(message)
        await client.send_batch([b"", b""])
        await client.send_batch([b"", b"three", b""])
        await client.flush()
        assert client.pending == 0
        assert client.statistics().messages_sent == 13
        await client.send_eof()
        assert b"".join([message async for message in server]) == b"onetwothree"


async def test_a_skipped_message_is_reported_in_its_place() -> None:
    """S3: the receiver hears of it once, between what came before and after."""
    codec = LineCodec(max_message_size=10, resync=True)
    async with open_memory_pair(RawCodec(), server_protocol=codec) as (client, server):
        await client.send(b"one\n" + b"x" * 50 + b"\ntwo\n")
        assert await server.receive() == b"one"
        with pytest.raises(SkippedMessageError):
            await server.receive()
        assert await server.receive() == b"two"
        assert server.statistics().messages_skipped == 1


async def test_one_receiver_at_a_time(pair: Pair) -> None:
    """P7: a second receiver raises "busy"; receiving and sending go on together."""
    client, server = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await server.receive()
        with pytest.raises(trio.BusyResourceError):
            await server.receive_batch()
        await server.send(b"still fine")
        assert await client.receive() == b"still fine"
        await client.send(b"for the first")


async def test_any_number_of_senders() -> None:
    """P7: frames of many tasks never mix, and each task's own stay in order."""
    limits = PoolLimits(max_outbox_messages=3)
    async with open_memory_pair(NetstringCodec(), lockstep=True, client_limits=limits) as pair:
        client, server = pair

        async def send(name: int) -> None:
            for number in range(20):
                await client.send(b"%d %d" % (name, number))

        async with trio.open_nursery() as nursery:
            for name in range(10):
                nursery.start_soon(send, name)
            got = [await server.receive() for _ in range(200)]
    for name in range(10):
        own = [message for message in got if message.startswith(b"%d " % name)]
        assert own == [b"%d %d" % (name, number) for number in range(20)]


async def test_what_connections_say_of_themselves(pair: Pair) -> None:
    """B7: the counts of both ends agree."""
    client, server = pair
    await client.send_batch([b"one", b"two"])
    await server.receive_batch()
    ours, theirs = client.statistics(), server.statistics()
    assert (ours.messages_accepted, ours.messages_sent, ours.bytes_sent) == (2, 2, 8)
    assert (theirs.messages_received, theirs.bytes_received, theirs.reads) == (2, 8, 1)
    assert (ours.writes, ours.outbox_messages, ours.outbox_bytes) == (1, 0, 0)
    assert "client" in repr(client)
    assert "open" in repr(client)
