"""Connections that break: what each side is told, and that nobody else is harmed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    Codec,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    IncompleteFrameError,
    LineCodec,
    PoolLimits,
    Protocol,
    RawCodec,
    ReceiveBuffer,
    RemoteProtocolError,
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


async def test_an_end_inside_a_frame_is_its_own_error() -> None:
    """S4: with what had come; and after it everything is over."""
    async with open_memory_pair(RawCodec(), server_protocol=LineCodec()) as (client, server):
        await client.send(b"one\nhalf")
        await client.send_eof()
        assert await server.receive() == b"one"
        for _ in range(2):
            with pytest.raises(IncompleteFrameError) as caught:
                await server.receive()
            assert caught.value.partial == b"half"
        await server.send(b"goodbye")  # Half a close: our direction is open.
        assert await client.receive() == b"goodbye\n"


async def test_a_protocol_error_leaves_the_last_word() -> None:
    """S3: messages before it are delivered, and a reply can still be sent."""
    codec = LineCodec(max_message_size=10)
    async with open_memory_pair(RawCodec(), server_protocol=codec) as (client, server):
        await client.send(b"one\n" + b"x" * 30)
        assert await server.receive() == b"one"
        with pytest.raises(RemoteProtocolError):
            await server.receive()
        await server.send(b"too long")
        assert await client.receive() == b"too long\n"


class OwnError(RemoteProtocolError):
    """An error that cannot be copied, as its constructor wants other arguments than it has."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class FailingCodec(Codec[bytes]):
    """Fails on the second frame in the way that it was told to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def encode(self, message: bytes) -> bytes:
        return message

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        yield buffer.take(1)
        raise self._error


async def test_errors_of_a_users_own_come_through() -> None:
    codec = FailingCodec(OwnError(1, 2))
    async with open_memory_pair(RawCodec(), server_protocol=codec) as (client, server):
        await client.send(b"ab")
        assert await server.receive() == b"a"
        for _ in range(2):
            with pytest.raises(OwnError, match="1 and 2"):
                await server.receive()


async def test_a_codecs_mistake_ends_its_connection_with_that_error() -> None:
    """S22: the receiver gets it, with the traceback into the codec."""
    codec = FailingCodec(ZeroDivisionError("oops"))
    async with open_memory_pair(RawCodec(), server_protocol=codec) as (client, server):
        await client.send(b"ab")
        assert await server.receive() == b"a"
        with pytest.raises(ZeroDivisionError) as caught:
            await server.receive()
        assert caught.traceback[-1].name == "decode"


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


async def test_a_full_inbox_stops_the_reading() -> None:
    """S13: messages that nobody takes are bounded, and the rest stays with the peer."""
    limits = PoolLimits(max_inbox_messages=10, receive_size=100)
    async with open_memory_pair(LineCodec(), limits=limits) as (client, server):
        await client.send_batch([b"0123456789"] * 1000)
        await wait_all_tasks_blocked()
        statistics = server.statistics()
        assert statistics.messages_received <= 10
        assert statistics.bytes_received <= 200
        assert [await server.receive() for _ in range(1000)] == [b"0123456789"] * 1000


class Lazy(Codec[bytes]):
    """One byte a message, and counts how many it made."""

    def __init__(self) -> None:
        self.made = 0

    def encode(self, message: bytes) -> bytes:
        return message

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer:
            self.made += 1
            yield buffer.take(1)


async def test_a_decoder_is_not_run_ahead_of_its_receiver() -> None:
    """S13: a read of many small frames is decoded as they are taken, not all at once."""
    codec = Lazy()
    limits = PoolLimits(max_inbox_messages=10)
    async with open_memory_pair(RawCodec(), server_protocol=codec, limits=limits) as (client, one):
        await client.send(bytes(1000))
        await wait_all_tasks_blocked()
        assert codec.made <= 10
        assert b"".join([await one.receive() for _ in range(1000)]) == bytes(1000)


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
