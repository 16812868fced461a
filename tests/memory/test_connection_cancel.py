"""Cancelled at every await in turn, a connection keeps its promises."""

from __future__ import annotations

import contextlib

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from snowtrio import (
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    LineCodec,
    PoolLimits,
    RawCodec,
)
from snowtrio.testing import FaultyStream, open_memory_pair

from .cancelling import cancelled_at, every_suspension

SMALL = PoolLimits(max_outbox_messages=2)
ALL = [b"a", b"b", b"c", b"d", b"e", b"f"]


@pytest.mark.parametrize("kind", ["send", "send_batch"])
async def test_a_cancelled_send_has_accepted_nothing_or_all_of_it(kind: str) -> None:
    """B6: at every await, what it accepted is what the counts say, and all of that arrives."""

    async def strike(suspension: int) -> bool:
        ours, theirs = memory_stream_pair()
        faulty = FaultyStream(ours, chunk_size=2)
        async with open_memory_pair(LineCodec(), client_limits=SMALL, streams=(faulty, theirs)) as (
            client,
            server,
        ):
            faulty.stall()
            client.send_nowait(b"a")
            client.send_nowait(b"b")

            async def send() -> None:
                if kind == "send":
                    await client.send(b"c")
                else:
                    await client.send_batch([b"c", b"d", b"e", b"f"])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(resume, faulty)
                struck = await cancelled_at(suspension, send)
            accepted = client.statistics().messages_accepted
            await client.send(b"last")
            await client.flush()
            await client.send_eof()
            got = [message async for message in server]
            assert got == [*ALL[:accepted], b"last"]
            if kind == "send":
                assert accepted == (2 if struck else 3)
        return struck

    assert len([k async for k in every_suspension(strike)]) >= (1 if kind == "send" else 3)


async def resume(faulty: FaultyStream) -> None:
    await wait_all_tasks_blocked()
    faulty.resume()


@pytest.mark.parametrize("kind", ["receive", "receive_batch"])
async def test_a_cancelled_receive_loses_nothing(kind: str) -> None:
    """B6, W28: at every await, on the way to a message that is cut in two."""

    async def strike(suspension: int) -> bool:
        async with open_memory_pair(RawCodec(), server_protocol=LineCodec()) as (client, server):

            async def receive() -> None:
                if kind == "receive":
                    got.append(await server.receive())
                else:
                    got.extend(await server.receive_batch())

            async def feed() -> None:
                await client.send(b"on")
                await wait_all_tasks_blocked()
                await client.send(b"e\ntwo\n")
                await client.send_eof()

            got: list[bytes] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(feed)
                struck = await cancelled_at(suspension, receive)
            got += [message async for message in server]
            assert got == [b"one", b"two"]
        return struck

    assert [k async for k in every_suspension(strike)]


async def test_a_cancelled_flush_changes_nothing() -> None:
    """B6, B10."""

    async def strike(suspension: int) -> bool:
        ours, theirs = memory_stream_pair()
        faulty = FaultyStream(ours, chunk_size=1)
        async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
            client.send_nowait(b"one")
            client.send_nowait(b"two")
            struck = await cancelled_at(suspension, client.flush)
            await client.flush()
            assert faulty.sent == 8
            assert [await server.receive(), await server.receive()] == [b"one", b"two"]
        return struck

    assert len([k async for k in every_suspension(strike)]) >= 2


async def test_a_cancelled_send_eof_can_be_called_again() -> None:
    """B6, P5: what was accepted goes first, whenever it was cancelled."""

    async def strike(suspension: int) -> bool:
        ours, theirs = memory_stream_pair()
        faulty = FaultyStream(ours, chunk_size=1)
        async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
            client.send_nowait(b"one")
            struck = await cancelled_at(suspension, client.send_eof)
            await client.send_eof()
            assert [message async for message in server] == [b"one"]
        return struck

    assert len([k async for k in every_suspension(strike)]) >= 2


@pytest.mark.parametrize("stalled", [False, True])
def test_a_cancelled_close_still_closes(stalled: bool) -> None:
    """B6: at every await of it the stream ends up closed and the account is made."""

    async def strike(suspension: int) -> bool:
        ours, theirs = memory_stream_pair()
        faulty = FaultyStream(ours, chunk_size=1)
        async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
            if stalled:
                faulty.stall()
            for message in (b"one", b"two"):
                client.send_nowait(message)
            struck = await cancelled_at(suspension, client.aclose)
            with pytest.raises(trio.ClosedResourceError):
                await ours.send_all(b"x")
            with pytest.raises(ConnectionClosedError):
                await client.send(b"three")
            with pytest.raises(ConnectionClosedError):
                await client.receive()
            await client.aclose()
            got = await all_of(server)
        assert client.ending is not None
        account = [*got, *client.ending.in_doubt, *client.ending.unsent]
        assert account[: len(got)] == [b"one", b"two"][: len(got)]
        assert set(account) == {b"one", b"two"}
        return struck

    async def main() -> None:
        assert len([k async for k in every_suspension(strike)]) >= 2

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def all_of(connection: Connection[bytes]) -> list[bytes]:
    got: list[bytes] = []
    with contextlib.suppress(ConnectionLostError):  # It may be cut in the midst of a frame.
        async for message in connection:
            got.append(message)
    return got


def test_a_connection_cancelled_from_outside_closes_and_accounts() -> None:
    """B6: wherever the whole story is cancelled, both ends are closed and nothing is in limbo."""

    async def strike(suspension: int) -> bool:
        ours, theirs = memory_stream_pair()
        connections: list[Connection[bytes]] = []

        async def story() -> None:
            async with open_memory_pair(LineCodec(), streams=(ours, theirs)) as pair:
                connections.extend(pair)
                client, server = pair
                await client.send(b"one")
                await server.send(await server.receive())
                await client.receive()
                await client.send_eof()
                await server.aclose()

        struck = await cancelled_at(suspension, story)
        for stream in (ours, theirs):
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some(1)
        for connection in connections:
            assert connection.ending is not None
            with pytest.raises(ConnectionClosedError):
                await connection.send(b"into the void")
            with pytest.raises(ConnectionClosedError):
                await connection.receive()
            with pytest.raises((ConnectionClosedError, ConnectionLostError)):
                connection.send_nowait(b"into the void")
            await connection.aclose()
        return struck

    async def main() -> None:
        assert len([k async for k in every_suspension(strike)]) >= 5

    trio.run(main, clock=MockClock(autojump_threshold=0))
