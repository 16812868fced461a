"""Plain sockets, driven directly: partial writes, half-closes, closes, stalls."""

from __future__ import annotations

import hashlib
import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import BufferedStream, StalledError, Transport
from snowtrio._transport import SocketTransport, as_transport

from .pairs import SMALL, buffered, stream_of, tcp_pair, transports

LARGE = hashlib.shake_256(b"snowtrio").digest(1_000_000)


async def read_all(stream: BufferedStream, chunk_size: int) -> bytes:
    got = bytearray()
    while data := await stream.receive_some(chunk_size):
        got += data
    return bytes(got)


async def test_a_large_write_arrives_byte_for_byte() -> None:
    """S5: to a slow reader, with kernel buffers that take a few kilobytes at a time."""
    one, other = buffered(buffer_size=SMALL)
    got: list[bytes] = []
    async with one, other, trio.open_nursery() as nursery:

        async def read() -> None:
            got.append(await read_all(other, 1000))

        nursery.start_soon(read)
        await one.send_all(LARGE)
        await one.send_eof()
    assert got == [LARGE]


async def test_any_buffer_is_sent_by_its_bytes() -> None:
    """S5, P10: of whatever format, when the kernel takes a part of it."""
    one, other = buffered(buffer_size=SMALL)
    async with one, other, trio.open_nursery() as nursery:
        nursery.start_soon(one.send_all, memoryview(LARGE[:100_000]).cast("I"))
        assert await other.receive_exactly(100_000) == LARGE[:100_000]


async def test_both_directions_at_once() -> None:
    """S5, P7: one reader and one writer on each end, both large."""
    one, other = buffered(buffer_size=SMALL)
    got: dict[str, bytes] = {}
    async with one, other, trio.open_nursery() as nursery:

        async def read(name: str, stream: BufferedStream) -> None:
            got[name] = await read_all(stream, 3000)

        async def write(stream: BufferedStream, data: bytes) -> None:
            await stream.send_all(data)
            await stream.send_eof()

        nursery.start_soon(read, "one", one)
        nursery.start_soon(read, "other", other)
        nursery.start_soon(write, one, LARGE)
        nursery.start_soon(write, other, LARGE[::-1])
    assert got == {"one": LARGE[::-1], "other": LARGE}


async def test_a_write_says_how_much_was_taken() -> None:
    """S5, B5: what a cancelled send had got through is known to the byte."""
    one, other = transports(buffer_size=SMALL)
    view, sent = memoryview(LARGE), 0
    with trio.move_on_after(0.1):
        while True:
            sent += await one.send_some(view[sent:])
    await one.aclose()
    got = bytearray()
    while data := await other.receive_some(65536):
        got += data
    assert bytes(got) == LARGE[:sent]
    assert one.at_risk == 0
    await other.aclose()


async def test_after_the_peers_end_we_can_still_write() -> None:
    """P5: more than one send buffer, after its end of input has been read."""
    one, other = buffered(buffer_size=SMALL)
    async with one, other, trio.open_nursery() as nursery:
        await one.send_eof()
        assert await other.receive_some() == b""

        async def write() -> None:
            await other.send_all(LARGE[:200_000])
            await other.send_eof()

        nursery.start_soon(write)
        assert await read_all(one, 5000) == LARGE[:200_000]
        with pytest.raises(trio.ClosedResourceError):
            await one.send_all(b"x")


async def send_for_ever(transport: Transport, progress: list[float] | None = None) -> None:
    while True:
        await transport.send_some(memoryview(LARGE))
        if progress is not None:
            progress.append(trio.current_time())


async def test_close_wakes_a_blocked_read_and_a_blocked_write() -> None:
    """P6: both at once, with Trio's error for it."""
    one, other = transports(buffer_size=SMALL)
    woken: list[str] = []

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some(10)
        woken.append("reader")

    async def write() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await send_for_ever(one)
        woken.append("writer")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(write)
        await wait_all_tasks_blocked(0.05)
        assert not woken
        await one.aclose()
        await wait_all_tasks_blocked()
        assert sorted(woken) == ["reader", "writer"]
    await one.aclose()
    await other.aclose()


async def check_closed(transport: Transport) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await transport.receive_some(1)
    with pytest.raises(trio.ClosedResourceError):
        await transport.send_some(memoryview(b"x"))
    with pytest.raises(trio.ClosedResourceError):
        transport.send_nowait(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await transport.send_eof()
    with pytest.raises(trio.ClosedResourceError):
        await transport.wait_send_might_not_block()


async def test_a_closed_transport_says_so() -> None:
    """P6: also when its close was cancelled, which closes all the same (B6)."""
    one, other = transports()
    await one.aclose()
    await check_closed(one)
    await trio.aclose_forcefully(BufferedStream(other))
    await check_closed(other)
    await one.finish()


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


async def test_a_reset_breaks_both_directions() -> None:
    """P10: with Trio's error, and the system's as its cause."""
    ours, theirs = tcp_pair()
    transport = SocketTransport(ours)
    reset(theirs)
    with pytest.raises(trio.BrokenResourceError) as caught:
        await transport.receive_some(1)
    assert isinstance(caught.value.__cause__, ConnectionError)
    with pytest.raises(trio.BrokenResourceError):
        await transport.send_some(memoryview(b"x"))
    with pytest.raises(trio.BrokenResourceError):
        transport.send_nowait(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await transport.send_eof()
    await transport.finish()  # A peer that is gone is a good end.
    await transport.aclose()


async def test_a_peer_that_takes_nothing_is_stalled() -> None:
    """B4: told after ``stall_timeout``, and not before."""
    one, other = transports(buffer_size=SMALL)
    one.stall_timeout = 0.2
    progress: list[float] = []
    with pytest.raises(StalledError):
        await send_for_ever(one, progress)
    assert trio.current_time() - progress[-1] >= 0.2
    await one.aclose()
    await other.aclose()


async def test_a_slow_peer_that_moves_is_not_stalled() -> None:
    """B4: though the system calls the socket writable only when much of its buffer is free.

    A Unix socket is not until three quarters are, which a peer that sips needs long for.
    """
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    one, other = SocketTransport(ours), as_transport(stream_of(theirs))
    one.stall_timeout = 0.5
    view, sent, taken = memoryview(LARGE), 0, 0
    async with trio.open_nursery() as nursery:

        async def sip() -> None:
            nonlocal taken
            while True:
                await trio.sleep(0.05)
                taken += len(await other.receive_some(4096))

        nursery.start_soon(sip)
        with trio.move_on_after(1.2):
            while True:
                sent += await one.send_some(view[sent : sent + 4096])
        nursery.cancel_scope.cancel()
    assert sent > taken > 10 * 4096
    await one.aclose()
    await other.aclose()


async def test_half_a_close_through_the_stream_helpers() -> None:
    """P5: ``send_eof`` mirrors it, idempotent."""
    one, other = buffered()
    async with one, other:
        await one.send_all(b"question\n")
        await one.send_eof()
        await one.send_eof()
        assert await other.receive_line() == b"question"
        assert await other.receive_some() == b""
        await other.send_all(b"answer\n")
        assert await one.receive_line() == b"answer"


async def test_addresses() -> None:
    """S26: both are known."""
    ours, theirs = tcp_pair()
    transport = SocketTransport(ours)
    assert transport.peer_address == theirs.getsockname()
    assert transport.local_address == theirs.getpeername()
    await transport.aclose()
    theirs.close()
