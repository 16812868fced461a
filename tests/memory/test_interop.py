"""To anyio and back: connections as object streams, anyio's streams as transports."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest
import trio
import trio.testing
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from anyio.streams.stapled import StapledByteStream, StapledObjectStream
from trio.testing import MockClock

from snowtrio import Cause, Connection, LineCodec, ServerLimits
from snowtrio.interop import ConnectionStream, from_anyio_stream
from snowtrio.testing import MemoryListener

from ..serving import FaultyListener, ask, echo, read_all, read_line, serving


@asynccontextmanager
async def connection_stream(
    listener: MemoryListener | None = None, limits: ServerLimits | None = None
) -> AsyncGenerator[tuple[ConnectionStream[bytes], trio.StapledStream], None]:  # type: ignore[type-arg]
    """Give a server's connection as anyio sees it, and its peer."""
    connections: list[Connection[bytes]] = []

    async def hold(connection: Connection[bytes]) -> None:
        connections.append(connection)
        await trio.sleep_forever()

    async with serving(hold, listener=listener, limits=limits) as served:
        peer = await served.connect()
        assert isinstance(peer, trio.StapledStream)
        yield ConnectionStream(connections[0]), peer


async def test_connection_is_an_object_stream(autojump_clock: MockClock) -> None:
    """S26: messages in both directions, iteration that ends with the input."""
    async with connection_stream() as (stream, peer):
        assert isinstance(stream, anyio.abc.ObjectStream)
        await peer.send_all(b"one\ntwo\nthree\n")
        assert await stream.receive() == b"one"
        await stream.send(b"ONE")
        assert await read_line(peer) == b"ONE\n"
        await peer.send_eof()
        assert [line async for line in stream] == [b"two", b"three"]
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_object_stream_closes_in_order(autojump_clock: MockClock) -> None:
    """S10: closing it closes the connection, and what was accepted is sent."""
    async with connection_stream() as (stream, peer):
        await stream.send(b"last")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.aclose)
            assert await read_all(peer) == b"last\n"
            await peer.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"too late")
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()


async def test_object_stream_that_broke_says_so(autojump_clock: MockClock) -> None:
    """P4: in anyio's errors, with ours as the cause."""
    listener = FaultyListener()
    async with connection_stream(listener) as (stream, peer):
        listener.accepted[0].break_now()
        await peer.send_all(b"x")
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, trio.BrokenResourceError)


async def test_object_stream_has_one_receiver(autojump_clock: MockClock) -> None:
    """P7."""
    async with connection_stream() as (stream, peer), trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await stream.receive()
        await peer.send_all(b"done\n")


async def test_object_stream_ends_one_direction(autojump_clock: MockClock) -> None:
    """P5."""
    async with connection_stream() as (stream, peer):
        await stream.send(b"last")
        await stream.send_eof()
        assert await read_all(peer) == b"last\n"
        await peer.send_all(b"answer\n")
        assert await stream.receive() == b"answer"


async def test_every_call_is_a_checkpoint(autojump_clock: MockClock) -> None:
    """B6: as anyio's contract asks, cancellable even where nothing has to be waited for."""
    async with connection_stream() as (stream, peer):
        await peer.send_all(b"kept\n")
        await trio.testing.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.send(b"never")
        assert await stream.receive() == b"kept"
        await stream.send(b"sent")
        assert await read_line(peer) == b"sent\n"


async def test_memory_connection_has_no_address(autojump_clock: MockClock) -> None:
    """S26."""
    async with connection_stream() as (stream, _):
        with pytest.raises(anyio.TypedAttributeLookupError):
            stream.extra(anyio.abc.SocketAttribute.remote_address)


class Bytes(StapledByteStream):
    """One end of an anyio byte stream in memory."""


class Sending(anyio.abc.ByteSendStream):
    """Bytes into an anyio memory stream."""

    def __init__(self, stream: MemoryObjectSendStream[bytes]) -> None:
        self._stream = stream

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def aclose(self) -> None:
        await self._stream.aclose()


class Receiving(anyio.abc.ByteReceiveStream):
    """Bytes out of an anyio memory stream."""

    def __init__(self, stream: MemoryObjectReceiveStream[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = self._rest or await self._stream.receive()
        self._rest = data[max_bytes:]
        return data[:max_bytes]

    async def aclose(self) -> None:
        await self._stream.aclose()


def anyio_pair() -> tuple[Bytes, Bytes]:
    there = anyio.create_memory_object_stream[bytes](100)
    back = anyio.create_memory_object_stream[bytes](100)
    return (
        Bytes(Sending(there[0]), Receiving(back[1])),
        Bytes(Sending(back[0]), Receiving(there[1])),
    )


async def test_anyio_stream_can_be_served(autojump_clock: MockClock) -> None:
    """S26: any byte stream of anyio's carries connections."""
    ours, theirs = anyio_pair()

    class Listener(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            await super().accept()
            return from_anyio_stream(ours)

    async with serving(echo, listener=Listener()) as served:
        await served.connect()
        await theirs.send(b"one\ntw")
        assert await theirs.receive() == b"one\n"
        await theirs.send(b"o\n")
        assert await theirs.receive() == b"two\n"
        await theirs.aclose()
        await trio.sleep(5)
        assert served.server.statistics().pool.ended == {Cause.PEER_CLOSED: 1}


async def test_anyio_stream_is_a_trio_stream(autojump_clock: MockClock) -> None:
    """P10: end of input, end of one direction, and the errors are Trio's."""
    ours, theirs = anyio_pair()
    stream = from_anyio_stream(ours)
    assert isinstance(stream, trio.abc.HalfCloseableStream)
    await stream.send_all(bytearray(b"x"))
    await stream.wait_send_all_might_not_block()
    assert await theirs.receive() == b"x"
    await theirs.send(b"abc")
    assert await stream.receive_some(2) == b"ab"
    assert await stream.receive_some() == b"c"
    await stream.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await theirs.receive()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"after the end")
    await theirs.send_eof()
    assert await stream.receive_some() == b""
    await theirs.aclose()
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_anyio_stream_that_broke_raises_trios_error(autojump_clock: MockClock) -> None:
    """P4."""
    ours, theirs = anyio_pair()
    stream = from_anyio_stream(ours)
    await theirs.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")
    await stream.aclose()


async def test_object_stream_through_a_chain_of_both(autojump_clock: MockClock) -> None:
    """S25, S26: an anyio stream under a connection, and an anyio stream over it."""
    ours, theirs = anyio_pair()
    streams: list[ConnectionStream[bytes]] = []

    async def hold(connection: Connection[bytes]) -> None:
        streams.append(ConnectionStream(connection))
        await trio.sleep_forever()

    class Listener(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            await super().accept()
            return from_anyio_stream(ours)

    async with serving(hold, LineCodec(), listener=Listener()) as served:
        await served.connect()
        stapled = StapledObjectStream(streams[0], streams[0])
        await stapled.send(b"out")
        assert await theirs.receive() == b"out\n"
        await theirs.send(b"in\n")
        assert await stapled.receive() == b"in"
        await theirs.aclose()
    async with serving() as served:
        assert await ask(await served.connect(), b"x") == b"x"
