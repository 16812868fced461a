"""Closing: who is told, what is still sent, and what a second closer gets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    LineCodec,
    PoolLimits,
    StreamEndpoint,
    open_connection,
    serve_listeners,
)
from snowtrio.testing import FaultyStream, MemoryListener, open_memory_pair

QUICK = PoolLimits(linger_timeout=0)


async def test_close_sends_what_was_accepted() -> None:
    """B5: then the peer sees the end of input."""
    async with open_memory_pair(LineCodec()) as (client, server):
        for number in range(100):
            client.send_nowait(b"%d" % number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            assert [message async for message in server] == [b"%d" % n for n in range(100)]
            nursery.start_soon(server.aclose)
    assert client.ending is not None
    assert (client.ending.cause, client.ending.unsent) == (Cause.CLOSED, ())


async def test_close_wakes_a_receiver_and_a_sender_at_once() -> None:
    """P6: both raise, though the peer takes nothing and the close itself has to wait."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    limits = PoolLimits(max_outbox_messages=1, linger_timeout=0)
    async with open_memory_pair(LineCodec(), client_limits=limits, streams=(faulty, theirs)) as (
        client,
        _,
    ):
        faulty.stall()
        client.send_nowait(b"fills the outbox")
        woken: list[str] = []

        async def receive() -> None:
            with pytest.raises(ConnectionClosedError):
                await client.receive()
            woken.append("receiver")

        async def send() -> None:
            with pytest.raises(ConnectionClosedError):
                await client.send(b"waits")
            woken.append("sender")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            nursery.start_soon(client.aclose)
            await wait_all_tasks_blocked()
            assert sorted(woken) == ["receiver", "sender"]
            faulty.resume()


async def test_after_close_everything_says_so() -> None:
    """P6: also what had been received and not been looked at is gone."""
    async with open_memory_pair(LineCodec(), client_limits=QUICK, limits=QUICK) as (client, server):
        await server.send_batch([b"one", b"two", b"three"])
        assert await client.receive() == b"one"
        await client.aclose()
        with pytest.raises(ConnectionClosedError):
            await client.receive()
        with pytest.raises(ConnectionClosedError):
            await client.receive_batch()
        with pytest.raises(ConnectionClosedError):
            await client.send(b"x")
        with pytest.raises(ConnectionClosedError):
            client.send_nowait(b"x")
        with pytest.raises(ConnectionClosedError):
            await client.send_batch([b"x"])
        with pytest.raises(ConnectionClosedError):
            await client.send_eof()
        await client.flush()  # Nothing is left to flush.
        await client.aclose()
        assert "closed" in repr(client) or client.ending is None


async def test_a_second_closer_waits_for_the_first() -> None:
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), client_limits=QUICK, streams=(faulty, theirs)) as (
        client,
        server,
    ):
        faulty.stall()
        client.send_nowait(b"one")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            nursery.start_soon(client.aclose)
            await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 2
            faulty.resume()
        assert await server.receive() == b"one"


async def test_a_cancelled_second_closer_ends_the_first_ones_wait(
    autojump_clock: MockClock,
) -> None:
    """B6: in a cancelled scope a close is at once, whoever began it."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, _):
        faulty.stall()
        client.send_nowait(b"stays")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            await wait_all_tasks_blocked()
            began = trio.current_time()
            await trio.aclose_forcefully(client)
        assert trio.current_time() == began
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(b"x")
    assert client.ending is not None
    assert client.ending.unsent + client.ending.in_doubt == (b"stays",)


async def test_a_peer_that_takes_nothing_is_waited_for_to_the_deadline(
    autojump_clock: MockClock,
) -> None:
    """S13: ``drain_timeout`` bounds the close, and what was not sent is in the account."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    limits = PoolLimits(drain_timeout=7)
    async with open_memory_pair(LineCodec(), client_limits=limits, streams=(faulty, theirs)) as (
        client,
        _,
    ):
        faulty.stall()
        client.send_nowait(b"one")
        client.send_nowait(b"two")
        began = trio.current_time()
        await client.aclose()
        assert trio.current_time() - began == pytest.approx(7)
    assert client.ending is not None
    assert client.ending.in_doubt + client.ending.unsent == (b"one", b"two")


async def test_a_peer_that_does_not_end_is_lingered_for(autojump_clock: MockClock) -> None:
    """B9: reading and discarding goes on for ``linger_timeout``, and no longer."""
    limits = PoolLimits(linger_timeout=3)
    async with open_memory_pair(LineCodec(), client_limits=limits) as (client, server):
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            await wait_all_tasks_blocked()
            await server.send(b"still talking")
            await server.flush()
        assert trio.current_time() - began == pytest.approx(3)


async def test_a_handler_goes_on_after_it_has_closed() -> None:
    """Closing over a batch that nobody took is not the peer's departure: nothing is cancelled."""
    listener = MemoryListener()
    went_on: list[str] = []

    async def handler(connection: Connection[bytes]) -> None:
        await connection.receive()
        await wait_all_tasks_blocked()  # The next batch waits to be taken.
        await connection.aclose()
        await trio.lowlevel.checkpoint()
        went_on.append("yes")

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_listeners(handler, LineCodec(), [listener], task_status=task_status)

        server = await nursery.start(serve)
        async with open_connection(LineCodec(), StreamEndpoint(listener.connect)) as client:
            await client.send(b"one")
            await client.flush()
            await client.send(b"two")
            with pytest.raises((trio.EndOfChannel, ConnectionLostError)):
                await client.receive()
        report = await server.drain()
    assert went_on == ["yes"]
    assert report.clean


async def test_closing_over_messages_that_nobody_took_still_sends() -> None:
    """B5: the reader that cannot hand over any more does not take the writer with it."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), client_limits=QUICK, streams=(faulty, theirs)) as (
        client,
        server,
    ):
        await server.send(b"one")
        await server.flush()
        await server.send(b"two")
        await wait_all_tasks_blocked()
        faulty.stall()
        client.send_nowait(b"last word")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            await wait_all_tasks_blocked()
            faulty.resume()
        assert await server.receive() == b"last word"
    assert client.ending is not None
    assert (client.ending.cause, client.ending.unsent) == (Cause.CLOSED, ())


async def test_a_loss_while_closing_ends_the_close_and_not_the_closer() -> None:
    """P6: a handler that closes goes on afterwards, whatever becomes of the peer."""
    listener = MemoryListener()
    streams: list[FaultyStream] = []
    went_on: list[str] = []

    class Faulty(trio.abc.Listener[trio.abc.Stream]):
        async def accept(self) -> trio.abc.Stream:
            streams.append(FaultyStream(await listener.accept()))
            return streams[0]

        async def aclose(self) -> None:
            await listener.aclose()

    async def handler(connection: Connection[bytes]) -> None:
        streams[0].stall()
        await connection.send(b"never")
        await connection.aclose()
        await trio.lowlevel.checkpoint()
        went_on.append("yes")

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_listeners(handler, LineCodec(), [Faulty()], task_status=task_status)

        server = await nursery.start(serve)
        async with open_connection(LineCodec(), StreamEndpoint(listener.connect)):
            await wait_all_tasks_blocked()
            assert not went_on
            streams[0].break_now()
            await wait_all_tasks_blocked()
            assert went_on == ["yes"]
        await server.drain()


async def test_a_receiver_elsewhere_does_not_take_a_cancellation_for_the_end() -> None:
    """B6: the scope around the connection is cancelled, the receiver's is not."""
    opened: list[Connection[bytes]] = []
    cancelled = trio.CancelScope()

    async def hold() -> None:
        with cancelled:
            async with open_memory_pair(LineCodec()) as (client, _):
                opened.append(client)
                await trio.sleep_forever()

    async def receive() -> None:
        with pytest.raises(ConnectionClosedError):
            await opened[0].receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await wait_all_tasks_blocked()
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        cancelled.cancel()
    ending = opened[0].ending
    assert ending is not None
    assert ending.cause is Cause.CANCELLED
