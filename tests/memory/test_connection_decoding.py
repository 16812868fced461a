"""Decoding on a connection: errors of the peer, of the codec, and no more than is taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from trio.testing import wait_all_tasks_blocked

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LineCodec,
    PoolLimits,
    RawCodec,
    ReceiveBuffer,
    RemoteProtocolError,
)
from snowtrio.testing import open_memory_pair


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
