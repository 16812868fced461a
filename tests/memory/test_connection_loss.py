"""Connections that break: what each side is told, and that nobody else is harmed."""

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
    Protocol,
    StreamEndpoint,
    open_connection,
    serve_listeners,
)
from snowtrio.testing import FaultyStream, MemoryListener, open_memory_pair


async def test_a_reset_is_told_to_all_with_its_cause() -> None:
    """B5: receivers, senders and flushers get a loss, again and again, with what was behind it."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, _):
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(ConnectionLostError):
                    await client.receive()

            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            faulty.break_now()
        for _ in range(2):
            with pytest.raises(ConnectionLostError) as caught:
                await client.receive()
            assert isinstance(caught.value.__cause__, trio.BrokenResourceError)
            assert isinstance(caught.value, trio.BrokenResourceError)
        with pytest.raises(ConnectionLostError):
            await client.send(b"x")
    assert client.ending is not None
    assert client.ending.cause is Cause.LOST


async def test_what_was_received_before_the_loss_is_delivered() -> None:
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    async with open_memory_pair(LineCodec(), streams=(faulty, theirs)) as (client, server):
        await server.send_batch([b"one", b"two"])
        await wait_all_tasks_blocked()
        faulty.break_now()
        await wait_all_tasks_blocked()
        assert [await client.receive(), await client.receive()] == [b"one", b"two"]
        with pytest.raises(ConnectionLostError):
            await client.receive()


async def test_a_read_that_breaks_ends_a_write_that_hangs(autojump_clock: MockClock) -> None:
    """P6: the writer does not wait for a peer that the reader knows to be gone."""

    class DeafStream(FaultyStream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await trio.sleep_forever()

    ours, theirs = memory_stream_pair()
    deaf = DeafStream(ours)
    async with open_memory_pair(LineCodec(), streams=(deaf, theirs)) as (client, _):
        await client.send(b"one")
        await wait_all_tasks_blocked()
        await client.send(b"two")
        began = trio.current_time()
        deaf.break_now()
        with pytest.raises(ConnectionLostError):
            await client.flush()
        assert trio.current_time() == began
    assert client.ending is not None
    assert (client.ending.in_doubt, client.ending.unsent) == ((b"one",), (b"two",))


async def test_a_shielded_handler_is_told_though_the_write_hangs(
    autojump_clock: MockClock,
) -> None:
    """B10: who flushes does not wait for a peer that the reader knows to be gone."""

    class DeafStream(FaultyStream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await trio.sleep_forever()

    listener = MemoryListener()
    streams: list[FaultyStream] = []
    waited: list[float] = []

    class DeafListener(trio.abc.Listener[trio.abc.Stream]):
        async def accept(self) -> trio.abc.Stream:
            streams.append(DeafStream(await listener.accept()))
            return streams[0]

        async def aclose(self) -> None:
            await listener.aclose()

    async def handler(connection: Connection[bytes]) -> None:
        with trio.CancelScope(shield=True):
            await connection.send(b"one")
            began = trio.current_time()
            for call in (connection.flush, connection.send_eof):
                with pytest.raises(ConnectionLostError):
                    await call()
            waited.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_listeners(handler, LineCodec(), [DeafListener()], task_status=task_status)

        server = await nursery.start(serve)
        async with open_connection(LineCodec(), StreamEndpoint(listener.connect)):
            await wait_all_tasks_blocked()
            streams[0].break_now()
            await wait_all_tasks_blocked()
            assert waited == [0]
        await server.drain()


async def test_a_stream_closed_behind_our_back_is_lost() -> None:
    """B5: also when the reader does not look; a flush does not pass for done."""
    ours, theirs = memory_stream_pair()
    limits = PoolLimits(max_inbox_messages=2)
    async with open_memory_pair(LineCodec(), client_limits=limits, streams=(ours, theirs)) as pair:
        client, server = pair
        await server.send_batch([b"1", b"2", b"3"])
        await wait_all_tasks_blocked()  # The reader waits for somebody to take the first.
        await ours.aclose()
        await client.send(b"one")
        with pytest.raises((ConnectionClosedError, ConnectionLostError)):
            await client.flush()
        with pytest.raises((ConnectionClosedError, ConnectionLostError)):
            await client.send(b"two")
    assert client.ending is not None
    assert client.ending.unsent + client.ending.in_doubt == (b"one",)


async def receive_for_ever(connection: Connection[bytes]) -> None:
    while True:
        await connection.receive()


async def send_for_ever(connection: Connection[bytes]) -> None:
    while True:
        await connection.send(b"x")
        await connection.flush()


async def test_loss_cancels_a_handler_unless_it_is_shielded() -> None:
    """B6: a shielded handler finishes, hears of the loss, and the end is still in order."""
    listener = MemoryListener()
    heard: list[str] = []
    streams: list[FaultyStream] = []

    async def connect() -> trio.abc.Stream:
        streams.append(FaultyStream(await listener.connect()))
        return streams[0]

    async def handler(connection: Connection[bytes]) -> None:
        with trio.CancelScope(shield=True):
            await connection.receive()
            with pytest.raises((trio.EndOfChannel, ConnectionLostError)):
                await receive_for_ever(connection)
            with pytest.raises((ConnectionLostError, ConnectionClosedError)):
                await send_for_ever(connection)
            heard.append("shielded")
        await trio.lowlevel.checkpoint()
        heard.append("never")

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_listeners(handler, LineCodec(), [listener], task_status=task_status)

        server = await nursery.start(serve)
        async with open_connection(LineCodec(), StreamEndpoint(connect)) as client:
            await client.send(b"one")
            await client.flush()
            streams[0].break_now()
            with pytest.raises(ConnectionLostError):
                await client.receive()
        await wait_all_tasks_blocked()
        report = await server.drain()
        assert report.cut == 0
    assert heard == ["shielded"]


class UnreliableStream(FaultyStream):
    """Breaks the rules of streams: fails in a way of its own, and cannot be closed."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        raise OSError("no such luck")

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("not even that")


async def test_a_stream_that_breaks_the_rules_breaks_its_connection_only() -> None:
    """S22: it is a loss like others, and the account is made."""
    ours, theirs = memory_stream_pair()
    streams = (UnreliableStream(ours), theirs)
    async with open_memory_pair(LineCodec(), streams=streams) as (client, server):
        await client.send(b"one")
        with pytest.raises(ConnectionLostError) as caught:
            await client.flush()
        assert isinstance(caught.value.__cause__, OSError)
        with pytest.raises(trio.EndOfChannel):
            await server.receive()
    assert client.ending is not None
    assert client.ending.in_doubt == (b"one",)


class Departing(Protocol[bytes]):
    """Has no use for a peer that says no more."""

    codec = LineCodec()
    eof_is_departure = True


async def test_an_end_of_input_can_count_as_departure() -> None:
    """P5: then it cancels the handler; what came before it is still there for a receiver."""
    protocol = Departing()
    async with open_memory_pair(LineCodec(), server_protocol=protocol) as (client, server):
        await client.send_batch([b"one", b"two"])
        assert await server.receive() == b"one"
        await client.send_eof()
        await wait_all_tasks_blocked()
        assert server.ending is not None
        assert server.ending.cause is Cause.PEER_CLOSED
        assert await server.receive() == b"two"
        with pytest.raises(trio.EndOfChannel):
            await server.receive()
        with pytest.raises(ConnectionClosedError):
            await server.send(b"x")
