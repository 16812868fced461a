"""The buffered stream's helpers, and that it is a Trio stream over any other."""

from __future__ import annotations

import ssl
from functools import partial

import pytest
import trio
from trio.testing import (
    check_half_closeable_stream,
    check_two_way_stream,
    lockstep_stream_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from snowtrio import (
    BufferedStream,
    IncompleteFrameError,
    ReceiveTooLargeError,
    RemoteProtocolError,
)
from snowtrio._transport import as_transport
from snowtrio.testing import FaultyStream

from .cancelling import cancelled_at, every_suspension


def buffered_pair(
    *, chunk_size: int | None = None, lockstep: bool = False
) -> tuple[BufferedStream, BufferedStream]:
    """Return two ends; the first receives in chunks."""
    ours, theirs = (lockstep_stream_pair if lockstep else memory_stream_pair)()
    faulty = FaultyStream(ours, chunk_size=chunk_size)
    return BufferedStream(as_transport(faulty)), BufferedStream(as_transport(theirs))


@pytest.mark.parametrize("chunk_size", [None, 1, 2, 3])
async def test_reading_to_marks(chunk_size: int | None) -> None:
    """S4, Z2: peek takes nothing, shift keeps the rest, and the helpers share one buffer."""
    stream, peer = buffered_pair(chunk_size=chunk_size)
    await peer.send_all(b"GET x\r\nlast\nkey: value;12345rest")
    await peer.send_eof()
    assert await stream.peek(3) == b"GET"
    assert await stream.peek(5) == b"GET x"
    stream.shift(4)
    assert await stream.receive_line() == b"x"
    assert await stream.receive_line() == b"last"
    assert await stream.receive_until(b": ") == b"key"
    assert await stream.receive_until(b";") == b"value"
    assert await stream.receive_exactly(5) == b"12345"
    assert await stream.receive_exactly(0) == b""
    got = b""
    while data := await stream.receive_some(2):
        assert len(data) <= 2
        got += data
    assert got == b"rest"
    assert await stream.receive_some() == b""


async def test_shifting_more_than_is_there_changes_nothing() -> None:
    """S4."""
    stream, peer = buffered_pair()
    await peer.send_all(b"abc")
    await stream.peek(3)
    with pytest.raises(ValueError, match="4 bytes"):
        stream.shift(4)
    assert await stream.receive_exactly(3) == b"abc"


async def test_an_end_between_frames_differs_from_one_inside() -> None:
    """S4: the bytes of an unfinished frame stay, and can be looked at."""
    stream, peer = buffered_pair()
    await peer.send_all(b"ab")
    await peer.send_eof()
    with pytest.raises(IncompleteFrameError) as caught:
        await stream.receive_exactly(3)
    assert caught.value.partial == b"ab"
    with pytest.raises(IncompleteFrameError):
        await stream.receive_until(b"\n")
    assert await stream.receive_some() == b"ab"
    with pytest.raises(trio.EndOfChannel):
        await stream.receive_exactly(1)
    with pytest.raises(trio.EndOfChannel):
        await stream.receive_line()


@pytest.mark.parametrize(("wire", "line"), [(b"partial", b"partial"), (b"x\r\n", b"x")])
async def test_the_last_line_may_lack_its_newline_where_asked_for(wire: bytes, line: bytes) -> None:
    """Z2: otherwise it is an error."""
    stream, peer = buffered_pair(chunk_size=1)
    await peer.send_all(wire)
    await peer.send_eof()
    assert await stream.receive_line(accept_partial=True) == line
    with pytest.raises(trio.EndOfChannel):
        await stream.receive_line(accept_partial=True)


@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize("delimiter", [b"\n", b"\r\n"])
async def test_a_mark_must_come_in_time(chunk_size: int | None, delimiter: bytes) -> None:
    """Z2, S3: exactly the maximum passes, one more is refused, and no more than that is read."""
    stream, peer = buffered_pair(chunk_size=chunk_size)
    await peer.send_all(b"x" * 10 + delimiter + b"y" * 11 + delimiter)
    assert await stream.receive_until(delimiter, max_size=10) == b"x" * 10
    with pytest.raises(ReceiveTooLargeError):
        await stream.receive_until(delimiter, max_size=10)
    assert await stream.receive_until(delimiter, max_size=11) == b"y" * 11


async def test_a_mark_that_never_comes_does_not_fill_the_memory() -> None:
    """S3: reading stops when it is known to be too much."""
    stream, peer = buffered_pair(chunk_size=100)
    await peer.send_all(b"x" * 10_000)
    with pytest.raises(ReceiveTooLargeError):
        await stream.receive_line(max_size=1000)
    assert len(stream.buffer) <= 1100


@pytest.mark.parametrize("size", [-1, -100])
async def test_sizes_below_zero_are_refused(size: int) -> None:
    stream, _ = buffered_pair()
    with pytest.raises(ValueError, match="bytes"):
        await stream.peek(size)
    with pytest.raises(ValueError, match="bytes"):
        await stream.receive_exactly(size)


async def test_a_cancelled_read_loses_nothing() -> None:
    """B6: at every await of it."""

    async def strike(suspension: int) -> bool:
        stream, peer = buffered_pair(chunk_size=2)
        await peer.send_all(b"head line\nrest")
        struck = await cancelled_at(suspension, stream.receive_line)
        got = bytes(stream.buffer.peek(100))
        if struck:
            assert await stream.receive_line() == b"head line"
        assert got + b"" == got
        assert await stream.receive_exactly(4) == b"rest"
        return struck

    assert len([k async for k in every_suspension(strike)]) > 5


async def test_one_task_a_direction() -> None:
    """P7: a second reader or writer raises "busy"; one of each is fine."""
    stream, peer = buffered_pair(lockstep=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive_line)
        nursery.start_soon(stream.send_all, b"x")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.receive_some()
        with pytest.raises(trio.BusyResourceError):
            await stream.peek(1)
        with pytest.raises(trio.BusyResourceError):
            await stream.send_all(b"y")
        with pytest.raises(trio.BusyResourceError):
            await stream.send_eof()
        assert await peer.receive_exactly(1) == b"x"
        await peer.send_all(b"line\n")


async def test_plain_text_before_tls_is_refused(
    client_ssl_context: ssl.SSLContext,
) -> None:
    """S7: a command put in before the handshake must not pass for one under TLS's protection."""
    stream, peer = buffered_pair()
    await peer.send_all(b"220 ready for TLS\r\n250 injected\r\n")
    assert await stream.receive_line() == b"220 ready for TLS"
    with pytest.raises(RemoteProtocolError, match="plain text"):
        await stream.start_tls(client_ssl_context, server_side=False, server_hostname="localhost")


async def test_trios_checks_in_memory() -> None:
    """P10: over a stream that is not a socket, with one that blocks until the other end reads."""

    async def pair() -> tuple[BufferedStream, BufferedStream]:
        return buffered_pair()

    async def lockstep() -> tuple[BufferedStream, BufferedStream]:
        return buffered_pair(lockstep=True)

    await check_half_closeable_stream(pair, lockstep)
    await check_half_closeable_stream(lockstep, lockstep)


async def test_trios_checks_on_tls_that_blocks(
    client_ssl_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext
) -> None:
    """P10, P6: a blocked read and a blocked write are woken through TLS as well."""
    # Its tickets would make the first read of a client wait for the server's first write.
    server_ssl_context.num_tickets = 0

    async def tls(*, lockstep: bool = False) -> tuple[BufferedStream, BufferedStream]:
        client, server = buffered_pair(lockstep=lockstep)
        async with trio.open_nursery() as nursery:

            async def shake() -> None:
                await client.start_tls(
                    client_ssl_context, server_side=False, server_hostname="localhost"
                )

            nursery.start_soon(shake)
            await server.start_tls(server_ssl_context, server_side=True)
        return client, server

    await check_two_way_stream(tls, partial(tls, lockstep=True))
