"""Peers that behave badly: each ends in a named error, and nobody else notices."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
import trio

from snowtrio import (
    BufferedStream,
    Cause,
    Connection,
    IncompleteFrameError,
    LengthPrefixCodec,
    LineCodec,
    Protocol,
    ReceiveTooLargeError,
    Server,
    ServerLimits,
    Side,
)

from ..conftest import open_descriptors
from ..serving import ask, echo, errors_in, lines_of, read_all
from .tcp import connect, living_tasks, reset, serving_tcp, until

pytestmark = pytest.mark.usefixtures("readiness")

Server_: TypeAlias = Server[Any, Any, Any]


@asynccontextmanager
async def watched_server(
    protocol: Any = None, handler: Any = None, **limits: Any
) -> AsyncGenerator[tuple[Server_, trio.SocketStream], None]:
    """Serve with a well-behaved peer beside: it is answered before and after.

    At the end nobody but that peer may have left a task, a place or a descriptor.
    """
    quick = {"linger_timeout": 0.2, "drain_timeout": 0.2} | limits
    codec = protocol or LineCodec(max_message_size=1000)
    async with serving_tcp(handler, codec, limits=ServerLimits(**quick)) as server:
        good = await connect(server)
        if isinstance(protocol, Protocol):
            await good.send_all(b"good\n")
        assert await ask(good, b"before") == b"before"
        tasks = living_tasks()
        descriptors = len(open_descriptors())
        yield server, good
        await until(lambda: len(server.connections) == 1)
        await until(lambda: server.statistics().pool.handshaking == 0)
        assert await ask(good, b"after") == b"after"
        await until(lambda: living_tasks() == tasks)
        assert len(open_descriptors()) == descriptors
        await good.aclose()


def raises(expected: type[Exception]) -> tuple[list[Exception], Callable[..., Awaitable[None]]]:
    """Return a handler that echoes, and the list to which it adds what ended its input."""
    caught: list[Exception] = []

    async def handle(connection: Connection[bytes]) -> None:
        try:
            await echo(connection)
        except expected as error:
            caught.append(error)

    return caught, handle


@pytest.mark.parametrize("reads", [True, False])
async def test_frame_that_is_too_long(reads: bool, caplog: pytest.LogCaptureFixture) -> None:
    """S3, S22: a named error, or a line in the log where the handler does not care."""
    caplog.set_level(logging.INFO)
    caught, handler = raises(ReceiveTooLargeError)
    async with watched_server(handler=handler if reads else None) as (server, _):
        async with await connect(server) as bad:
            with contextlib.suppress(trio.BrokenResourceError):
                await bad.send_all(b"x" * 200_000)
                await read_all(bad)
        await until(lambda: server.statistics().pool.ended)
        assert server.statistics().pool.bytes_received < 150_000
        if not reads:
            assert server.statistics().pool.ended == {Cause.PROTOCOL_ERROR: 1}
    assert len(caught) == reads
    assert len(lines_of(caplog, logging.INFO)) == (not reads)
    assert errors_in(caplog) == []


async def test_frame_that_is_cut_by_the_end_of_input() -> None:
    """S4, Z2."""
    caught, handler = raises(IncompleteFrameError)
    async with watched_server(handler=handler) as (server, _):
        async with await connect(server) as bad:
            await bad.send_all(b"whole\nhalf")
            await bad.send_eof()
            assert await read_all(bad) == b"whole\n"
        await until(lambda: caught)
    (error,) = caught
    assert isinstance(error, IncompleteFrameError)
    assert error.partial == b"half"


async def test_length_prefix_of_two_to_the_63() -> None:
    """S3: judged from the prefix; nothing is waited for, nothing is allocated."""
    codec = LengthPrefixCodec(8)
    async with serving_tcp(echo, codec) as server:
        async with await connect(server) as bad:
            await bad.send_all((2**63).to_bytes(8, "big") + b"x" * 100)
            assert await read_all(bad) == b""
        await until(lambda: server.statistics().pool.ended == {Cause.PROTOCOL_ERROR: 1})
        async with await connect(server) as good:
            await good.send_all((1).to_bytes(8, "big") + b"x")
            assert await good.receive_some() == (1).to_bytes(8, "big") + b"x"


class Named(Protocol[bytes, bytes, bytes]):
    """The peer begins with a line that is its name."""

    codec = LineCodec()

    async def handshake(self, side: Side, stream: BufferedStream) -> bytes:
        return await stream.receive_line(max_size=1000)


async def test_peers_that_never_shake_hands() -> None:
    """S9: cut in time, while others come in."""
    async with watched_server(
        Named(), max_connections=16, max_handshakes=8, handshake_timeout=0.3
    ) as (server, _):
        silent = [await connect(server) for _ in range(7)]
        async with await connect(server) as quick:
            await quick.send_all(b"quick\n")
            assert await ask(quick, b"x") == b"x"
        for stream in silent:
            assert await read_all(stream) == b""
            await stream.aclose()
        await until(lambda: server.statistics().pool.handshakes_timed_out == 7)


async def test_peer_that_drips_its_handshake() -> None:
    """S9: bytes that keep coming buy no time."""
    async with watched_server(Named(), handshake_timeout=0.3) as (server, _):
        async with await connect(server) as drip:
            with contextlib.suppress(trio.BrokenResourceError):
                while not server.statistics().pool.handshakes_timed_out:
                    await drip.send_all(b"x")
                    await trio.sleep(0.01)
        assert server.statistics().pool.handshakes_timed_out == 1


async def test_peer_that_drips_its_messages() -> None:
    """S1: each byte a segment of its own, and the message is whole."""
    async with watched_server() as (server, _), await connect(server) as drip:
        for byte in b"hello\n":
            await drip.send_all(bytes([byte]))
            await trio.sleep(0.001)
        assert await drip.receive_some() == b"hello\n"


async def test_peer_that_never_reads() -> None:
    """B4, S13: cut when it has taken nothing for a while; its memory is bounded till then."""
    async with watched_server(stall_timeout=0.3, max_outbox_bytes=10_000) as (server, _):
        async with await connect(server) as bad:
            sent = 0
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await bad.send_all((b"x" * 999 + b"\n") * 100)
                    sent += 1
        await until(lambda: server.statistics().pool.ended == {Cause.STALLED: 1})
        assert server.statistics().pool.outbox_peak <= 11
        assert sent > 0


async def test_reset_in_mid_frame() -> None:
    """P4: a loss, and no error of the handler's."""
    async with watched_server() as (server, _):
        for _ in range(10):
            bad = await connect(server)
            await bad.send_all(b"whole\nhalf")
            assert await bad.receive_some() == b"whole\n"
            reset(bad)
        await until(lambda: server.statistics().pool.ended == {Cause.LOST: 10})


async def test_half_close_after_a_request() -> None:
    """P5: it still gets all its replies."""
    async with watched_server() as (server, _):
        async with await connect(server) as half:
            await half.send_all(b"one\ntwo\nthree\n")
            await half.send_eof()
            assert await read_all(half) == b"one\ntwo\nthree\n"
        await until(lambda: server.statistics().pool.ended == {Cause.PEER_CLOSED: 1})


@pytest.mark.parametrize("handshake", [False, True])
async def test_connect_and_vanish_by_the_hundred(handshake: bool) -> None:
    """S9, S10: with an end of input, with a reset, with half a word before."""
    async with watched_server(Named() if handshake else None, max_connections=500) as (server, _):
        for number in range(300):
            bad = await connect(server)
            if number % 3:
                await bad.send_all(b"ha")
            if number % 2:
                reset(bad)
            else:
                await bad.aclose()
        await until(lambda: server.statistics().accepted == 301)
        await until(lambda: sum(server.statistics().pool.ended.values()) + failed(server) == 300)
        if handshake:
            assert failed(server) == 300


def failed(server: Server_) -> int:
    return server.statistics().pool.handshakes_failed


async def test_peers_that_fill_the_server() -> None:
    """S20: those above the bound are refused; who is served is served as before."""
    async with watched_server(max_connections=10) as (server, good):
        crowd = [await connect(server) for _ in range(100)]
        await until(lambda: server.statistics().accepted == 101)
        assert len(server.connections) == 10
        assert await ask(good, b"during") == b"during"
        for stream in crowd:
            await stream.aclose()
        await until(lambda: len(server.connections) == 1)
        async with await connect(server) as late:
            assert await ask(late, b"late") == b"late"


async def slow_drip(server: Server_) -> None:
    async with await connect(server) as bad:
        for _ in range(20):
            await bad.send_all(b"x")
            await trio.sleep(0.005)


async def too_long(server: Server_) -> None:
    async with await connect(server) as bad:
        await bad.send_all(b"x" * 100_000)


async def resets(server: Server_) -> None:
    for _ in range(10):
        bad = await connect(server)
        await bad.send_all(b"one\ntwo")
        reset(bad)


async def raises_there(server: Server_) -> None:
    async with await connect(server) as bad:
        await bad.send_all(b"raise\n")
        await read_all(bad)


async def cut_frame(server: Server_) -> None:
    async with await connect(server) as bad:
        await bad.send_all(b"half")


async def raise_on_command(connection: Connection[bytes]) -> None:
    async for line in connection:
        if line == b"raise":
            raise LookupError("on command")
        await connection.send(line)


async def test_all_of_them_at_once() -> None:
    """S22: a well-behaved peer is answered all the while."""
    async with watched_server(handler=raise_on_command, stall_timeout=0.3) as (server, good):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                for abuse in (slow_drip, too_long, resets, raises_there, cut_frame):
                    nursery.start_soon(ignoring_loss, abuse, server)
            for number in range(100):
                assert await ask(good, b"%d" % number) == b"%d" % number
        await until(lambda: len(server.connections) == 1)
        assert server.statistics().pool.ended[Cause.HANDLER_ERROR] == 5


async def ignoring_loss(abuse: Callable[[Server_], Awaitable[None]], server: Server_) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        await abuse(server)
