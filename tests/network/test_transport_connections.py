"""Connections over plain sockets: the short way, gathered writes, last words."""

from __future__ import annotations

import hashlib
import socket
import struct
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import (
    Cause,
    Connection,
    ConnectionLostError,
    LengthPrefixCodec,
    LineCodec,
    PoolLimits,
    RawCodec,
    StalledError,
    open_tcp_connection,
    serve_tcp,
)
from snowtrio.testing import open_memory_pair

from .pairs import SMALL, stream_of, tcp_pair, tcp_streams

pytestmark = pytest.mark.usefixtures("readiness")

LARGE = hashlib.shake_256(b"snowtrio").digest(1_000_000)


async def send_for_ever(connection: Connection[bytes], message: bytes) -> None:
    while True:
        await connection.send(message)
        await connection.flush()


async def test_large_messages_between_small_buffers() -> None:
    """S5: partial writes on every message, both ways at once, and not a byte lost or twice."""
    messages = [LARGE[: size * 7919] for size in range(1, 40)]
    codec = LengthPrefixCodec(max_message_size=1 << 20)
    got: dict[str, list[bytes]] = {"client": [], "server": []}
    async with open_memory_pair(codec, streams=tcp_streams(buffer_size=SMALL)) as (client, server):

        async def receive(name: str, connection: Connection[bytes]) -> None:
            got[name] += [message async for message in connection]

        async def send(connection: Connection[bytes]) -> None:
            for message in messages:
                await connection.send(message)
            await connection.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, "client", client)
            nursery.start_soon(receive, "server", server)
            nursery.start_soon(send, client)
            nursery.start_soon(send, server)
        statistics = client.statistics()
        assert statistics.messages_sent == statistics.messages_accepted == len(messages)
        assert statistics.bytes_sent == sum(4 + len(message) for message in messages)
        assert statistics.writes > len(messages)
    assert got == {"client": messages, "server": messages}


async def test_a_single_answer_goes_at_once() -> None:
    """S12: with nothing else to do the kernel has it before ``send`` returns."""
    async with open_memory_pair(LineCodec(), streams=tcp_streams()) as (client, server):
        for number in range(3):
            await client.send(b"%d" % number)
            assert client.pending == 0
            assert await server.receive() == b"%d" % number
            await server.send(b"answer")
            assert server.pending == 0
            assert await client.receive() == b"answer"
        assert client.statistics().writes == server.statistics().writes == 3


async def test_answers_to_a_batch_leave_together() -> None:
    """S12, B1: a handler that takes and answers one by one still makes one write of a batch."""
    async with open_memory_pair(LineCodec(), streams=tcp_streams()) as (client, server):
        await client.send_batch([b"%d" % number for number in range(50)])
        for number in range(50):
            assert await server.receive() == b"%d" % number
            await server.send(b"answer %d" % number)
        await server.flush()
        assert server.statistics().writes <= 2
        assert [await client.receive() for _ in range(50)] == [b"answer %d" % n for n in range(50)]


async def test_what_gathers_while_the_kernel_is_full_leaves_in_one_write() -> None:
    """S12: k messages that were queued while the writer was busy."""
    ours, theirs = tcp_pair(buffer_size=SMALL)
    limits = PoolLimits(max_outbox_bytes=10_000_000)
    peer = stream_of(theirs.dup())
    streams = (stream_of(ours), stream_of(theirs))
    async with open_memory_pair(RawCodec(), client_limits=limits, streams=streams) as pair:
        client, server = pair
        server.stop_receiving()
        await client.send(LARGE)
        await wait_all_tasks_blocked(0.02)
        assert client.pending == 1
        for _ in range(1000):
            await client.send(b"x")
        assert client.pending == 1001
        before = client.statistics()
        while client.pending:
            await peer.receive_some(1000)
            if client.pending > 1000:
                before = client.statistics()
        # What was left of the large one, and the thousand.
        assert client.statistics().writes - before.writes <= 4
        await peer.aclose()


async def test_a_flood_of_sends_lets_others_run() -> None:
    """A task that only sends comes to a checkpoint, though the kernel takes all at once."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    async with open_memory_pair(LineCodec(), streams=(stream_of(ours), stream_of(theirs))) as pair:
        client, _ = pair

        async def send_batch(message: bytes) -> None:
            await client.send_batch([message])

        for send in (client.send, send_batch):
            rested = False

            async def rest() -> None:
                nonlocal rested
                rested = True

            async with trio.open_nursery() as nursery:
                nursery.start_soon(rest)
                for _ in range(3000):
                    await send(b"x")
                    if rested:
                        break
                assert rested
        client.drop()


async def test_a_message_cut_in_two_is_in_doubt_and_the_rest_unsent() -> None:
    """B5: on a socket at most one message is in doubt."""
    limits = PoolLimits(stall_timeout=0.1, linger_timeout=0)
    streams = tcp_streams(buffer_size=SMALL)
    async with open_memory_pair(
        RawCodec(), client_limits=limits, limits=limits, streams=streams
    ) as (client, server):
        server.stop_receiving()
        for message in (LARGE, b"two", b"three"):
            client.send_nowait(message)
        with pytest.raises(StalledError):
            await client.flush()
    assert client.ending is not None
    assert client.ending.cause is Cause.STALLED
    assert client.ending.in_doubt == (LARGE,)
    assert client.ending.unsent == (b"two", b"three")


async def test_a_reset_reaches_reader_and_writer() -> None:
    """P10, B5: what the kernel had not taken is in the account."""
    ours, theirs = tcp_pair(buffer_size=SMALL)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def talk(connection: Connection[bytes]) -> None:
        with pytest.raises(ConnectionLostError):
            await send_for_ever(connection, LARGE)

    async def listen(connection: Connection[bytes]) -> None:
        with pytest.raises(ConnectionLostError):
            await connection.receive()

    pair = open_memory_pair(RawCodec(), streams=(stream_of(ours), stream_of(theirs)))
    async with pair as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(talk, client)
        nursery.start_soon(listen, client)
        await wait_all_tasks_blocked(0.01)
        server.drop()
    assert client.ending is not None
    assert client.ending.cause is Cause.LOST
    assert client.ending.in_doubt == (LARGE,)


async def test_last_words_reach_a_peer_that_is_still_sending() -> None:
    """B9: closing over its unread bytes would send a reset that overtakes them."""

    async def refuse(connection: Connection[bytes]) -> None:
        await connection.receive()
        await connection.send(b"413 too much")

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_tcp, refuse, LineCodec(), 0))
        for _ in range(20):
            async with open_tcp_connection(LineCodec(), "127.0.0.1", server.port) as client:
                await client.send_batch([b"x" * 1000] * 200)
                await wait_all_tasks_blocked()
                assert await client.receive() == b"413 too much"
                with pytest.raises(trio.EndOfChannel):
                    await client.receive()
        report = await server.drain()
        assert report.clean


async def test_without_lingering_they_do_not() -> None:
    """B9: what the row is for; ``linger_timeout=0`` closes at once."""
    ours, theirs = tcp_pair()
    limits = PoolLimits(linger_timeout=0, receive_size=10)
    peer = stream_of(theirs)
    async with open_memory_pair(
        RawCodec(), client_limits=limits, streams=(stream_of(ours), peer)
    ) as (client, server):
        await server.send(b"x" * 50_000)
        await client.receive()
        await client.send(b"last words")
        await client.aclose()
        with pytest.raises(ConnectionLostError):
            await send_for_ever(server, b"x")


async def test_after_the_peers_end_its_replies_are_sent() -> None:
    """P5: more than one send buffer, to a peer that has nothing more to say."""
    async with open_memory_pair(RawCodec(), streams=tcp_streams(buffer_size=SMALL)) as pair:
        client, server = pair
        await client.send(b"question")
        await client.send_eof()
        assert b"".join([message async for message in server]) == b"question"
        async with trio.open_nursery() as nursery:

            async def answer() -> None:
                await server.send(LARGE)
                await server.send_eof()

            nursery.start_soon(answer)
            assert b"".join([message async for message in client]) == LARGE
