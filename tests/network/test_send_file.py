"""Files that the kernel sends itself, among messages."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import (
    ClientLimits,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    LineCodec,
    LocalProtocolError,
    StalledError,
    StreamEndpoint,
    open_connection,
)
from snowtrio.testing import open_memory_pair

from ..memory.cancelling import cancelled_at
from ..serving import LIMIT, read_all
from .pairs import SMALL, tcp_streams

CONTENT = os.urandom(300_000)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """The descriptor of a file with more than the kernel's buffers hold."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@asynccontextmanager
async def connected(
    limits: ClientLimits | None = None,
) -> AsyncGenerator[tuple[Connection[bytes], trio.SocketStream], None]:
    """A connection, and its peer's socket."""
    limits = attrs.evolve(limits or ClientLimits(), linger_timeout=0)
    ours, peers = tcp_streams(buffer_size=SMALL)
    codec = LineCodec(max_message_size=100_000)
    async with peers, open_connection(codec, endpoint_of(ours), limits=limits) as connection:
        if not connection.can_send_file:
            pytest.skip("the system has no sendfile")
        yield connection, peers


def endpoint_of(stream: trio.SocketStream) -> StreamEndpoint:
    async def connect() -> trio.SocketStream:
        return stream

    return StreamEndpoint(connect)


async def read_exactly(stream: trio.SocketStream, size: int) -> bytes:
    read = b""
    with trio.fail_after(LIMIT):
        while len(read) < size and (data := await stream.receive_some(size - len(read))):
            read += data
    return read


async def test_a_file_goes_behind_what_was_accepted_and_before_what_comes(file: int) -> None:
    """S13, Z5: others who send wait, in the order in which they came."""
    async with connected() as (connection, peer):
        long = b"x" * 50_000  # Stays in the outbox for a while.
        async with trio.open_nursery() as nursery:
            await connection.send(long)
            nursery.start_soon(connection.send_file, file, 0, len(CONTENT))
            await wait_all_tasks_blocked()
            nursery.start_soon(connection.send, b"behind")
            await wait_all_tasks_blocked()
            with pytest.raises(trio.WouldBlock):
                connection.send_nowait(b"in between")
            expected = long + b"\n" + CONTENT + b"behind\n"
            assert await read_exactly(peer, len(expected)) == expected
        await connection.send_file(file, 5, 3)
        await connection.send(b"last")
        assert await read_exactly(peer, 8) == CONTENT[5:8] + b"last\n"
        sent = connection.statistics()
    assert sent.bytes_sent == len(expected) + 8


async def test_two_files_do_not_mix(file: int) -> None:
    """Z5."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        nursery.start_soon(connection.send_file, file, 0, 200_000)
        await wait_all_tasks_blocked()
        nursery.start_soon(connection.send_file, file, 200_000, 100_000)
        assert await read_exactly(peer, len(CONTENT)) == CONTENT


@pytest.mark.parametrize("read", [0, 60_000])
async def test_cancelled_in_the_middle_it_cuts_the_connection(file: int, read: int) -> None:
    """S9, Z5: nobody could tell where the file ends."""
    async with connected() as (connection, peer):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.send_file, file, 0, len(CONTENT))
                await read_exactly(peer, read)
                await wait_all_tasks_blocked()
                scope.cancel()
        with pytest.raises(ConnectionClosedError):
            await connection.send(b"more")
        rest = await read_all(peer)
    assert CONTENT[read:].startswith(rest)


async def test_cancelled_before_it_began_it_has_done_nothing(file: int) -> None:
    """S9, Z5."""
    async with connected() as (connection, peer):
        long = b"x" * 50_000
        await connection.send(long)
        for suspension in (0, 1):
            assert await cancelled_at(
                suspension, lambda: connection.send_file(file, 0, len(CONTENT))
            )
        await connection.send(b"behind")
        expected = long + b"\nbehind\n"
        assert await read_exactly(peer, len(expected)) == expected


async def test_a_peer_that_takes_nothing_is_given_up(file: int) -> None:
    """B4, Z5."""
    async with connected(ClientLimits(stall_timeout=0.05)) as (connection, _):
        with pytest.raises(StalledError):
            await connection.send_file(file, 0, len(CONTENT))
        with pytest.raises(ConnectionLostError):
            await connection.send(b"more")


async def test_a_peer_that_leaves_breaks_it(file: int) -> None:
    """P6, Z5."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ConnectionLostError):
                await connection.send_file(file, 0, len(CONTENT))

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        await peer.aclose()


async def test_our_side_that_closes_does_not_wait_for_it(file: int) -> None:
    """S14, Z5."""
    async with connected() as (connection, peer):
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.raises(ConnectionClosedError):
                    await connection.send_file(file, 0, len(CONTENT))

            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            await connection.aclose()
        with pytest.raises(ConnectionClosedError):
            await connection.send_file(file, 0, 1)
        assert len(await read_all(peer)) < len(CONTENT)


async def test_a_file_that_is_too_short_cuts_the_connection(file: int) -> None:
    """Z5."""
    async with connected() as (connection, peer):
        os.truncate(file, 100)
        with pytest.raises(OSError, match="shorter"):
            await connection.send_file(file, 0, 200)
        assert await read_all(peer) == CONTENT[:100]


async def test_a_file_that_has_nothing_there_leaves_the_connection_alone(file: int) -> None:
    """Z5."""
    async with connected() as (connection, peer):
        with pytest.raises(OSError, match="shorter"):
            await connection.send_file(file, len(CONTENT), 1)
        await connection.send_file(file, 0, 0)
        await connection.send(b"more")
        assert await read_exactly(peer, 5) == b"more\n"


async def test_other_streams_cannot(file: int) -> None:
    """Z5: nor can TLS; the caller reads and sends."""
    async with open_memory_pair(LineCodec()) as (connection, _):
        assert not connection.can_send_file
        with pytest.raises(LocalProtocolError):
            await connection.send_file(file, 0, 1)
