"""TLS records as they travel: many at once, in pieces, held back, cut, and behind new keys."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from snowtrio import (
    BufferedStream,
    Cause,
    ClientLimits,
    Connection,
    ConnectionLostError,
    LineCodec,
    StalledError,
    StreamEndpoint,
    TruncatedError,
    open_connection,
)
from snowtrio._transport import as_transport

from ..memory.cancelling import cancelled_at, every_suspension
from ..serving import LIMIT
from .pairs import SMALL, buffered, start_tls, tcp_streams
from .records import RecordPeer, crowd
from .tcp import connect, serving_tcp

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
QUICK = ClientLimits(linger_timeout=0.1)
LINES = [b"%d" % number for number in range(200)]


@pytest.fixture(params=VERSIONS, ids=lambda version: str(version.name))
def contexts(
    request: pytest.FixtureRequest,
    client_ssl_context: ssl.SSLContext,
    server_ssl_context: ssl.SSLContext,
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client_ssl_context.maximum_version = request.param
    return client_ssl_context, server_ssl_context


@pytest.fixture(params=[False, True], ids=["alone", "watched"])
def watched(request: pytest.FixtureRequest) -> bool:
    """Whether there are enough sockets for a notifier."""
    wanted: bool = request.param
    return wanted


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@asynccontextmanager
async def talking(
    contexts: Contexts,
    watched: bool,
    *,
    limits: ClientLimits | None = None,
    buffer_size: int | None = None,
) -> AsyncIterator[tuple[Connection[bytes], RecordPeer]]:
    """Open a client's connection to a peer that is told what to do."""
    ours, theirs = tcp_streams(buffer_size=buffer_size)
    peer = RecordPeer(theirs, contexts[1])

    async def connect() -> trio.abc.Stream:
        return ours

    endpoint = StreamEndpoint(connect, ssl_context=contexts[0], tls_hostname="localhost")
    limits = limits or QUICK
    with trio.fail_after(LIMIT):
        async with crowd(watched), theirs, trio.open_nursery() as nursery:
            agreed = trio.Event()

            async def shake() -> None:
                await peer.shake_hands()
                agreed.set()

            nursery.start_soon(shake)
            async with open_connection(LineCodec(), endpoint, limits=limits) as connection:
                await agreed.wait()
                yield connection, peer


async def test_many_records_in_one_segment(contexts: Contexts, watched: bool) -> None:
    """S26: the socket is readable once for all of them."""
    async with talking(contexts, watched) as (connection, peer):
        for _ in range(3):
            await peer.stream.send_all(peer.records(*(line + b"\n" for line in LINES)))
            assert [await connection.receive() for _ in LINES] == LINES


async def test_records_byte_by_byte(contexts: Contexts, watched: bool) -> None:
    """S26: most of what comes is no whole record."""
    async with talking(contexts, watched) as (connection, peer):
        for byte in peer.records(b"one\ntw", b"o\n", b"three\n"):
            await peer.stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        assert [await connection.receive() for _ in range(3)] == [b"one", b"two", b"three"]


async def test_large_records_through_many_reads(contexts: Contexts, watched: bool) -> None:
    """S5: more than one read takes, and records that end in another one."""
    message = bytes(range(48, 112)) * 900
    async with talking(contexts, watched) as (connection, peer), trio.open_nursery() as nursery:
        parts = peer.records(*[message + b"\n"] * 10)
        nursery.start_soon(peer.stream.send_all, parts)
        for _ in range(10):
            assert await connection.receive() == message


async def test_an_alert_in_the_segment_of_the_last_record(
    contexts: Contexts, watched: bool
) -> None:
    """P10: the end is told though the socket never becomes readable again; replies still go."""
    async with talking(contexts, watched) as (connection, peer):
        await peer.stream.send_all(peer.records(b"one\n", b"two\n") + peer.alert())
        assert [message async for message in connection] == [b"one", b"two"]
        await connection.send(b"reply")
        assert await peer.stream.receive_some()


async def test_a_broken_record_behind_good_ones(contexts: Contexts, watched: bool) -> None:
    """P10: what came before is received, then the reason is told, and the peer hears it too."""
    async with talking(contexts, watched) as (connection, peer):
        broken = bytearray(peer.records(b"one\n", b"two\n"))
        broken[-1] ^= 1
        await peer.stream.send_all(broken)
        assert await connection.receive() == b"one"
        with pytest.raises(ConnectionLostError) as caught:
            await connection.receive()
        assert not isinstance(caught.value, TruncatedError)
        assert "BAD" in str(caught.value).upper()
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
            await peer.receive_rest()


@pytest.mark.parametrize("cut", [False, True])
async def test_what_the_peer_sees_of_an_end(contexts: Contexts, cut: bool, watched: bool) -> None:
    """P10, B6: a close is told by an alert behind all that was accepted; a cut is truncated."""
    async with talking(contexts, watched) as (connection, peer):
        connection.send_nowait(b"one")
        await connection.flush()
        async with trio.open_nursery() as nursery:

            async def end() -> None:
                if cut:
                    connection.drop()
                else:
                    connection.send_nowait(b"two")
                    await connection.aclose()

            nursery.start_soon(end)
            received = await peer.receive_rest()
        assert received == ((b"one\n", False) if cut else (b"one\ntwo\n", True))


async def send_for_ever(connection: Connection[bytes], size: int, sent: list[bytes]) -> None:
    while True:
        message = b"%d " % len(sent) + b"x" * size
        await connection.send(message)
        sent.append(message)
        if len(sent) % 7 == 0:
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("size", [10, 3000, 20_000, 60_000])
async def test_exact_account_of_a_peer_that_reads_nothing(
    contexts: Contexts, size: int, watched: bool
) -> None:
    """B4, B5: sent is what the peer can read whole, and the rest is told in order, once."""
    limits = ClientLimits(stall_timeout=0.2, linger_timeout=0, max_outbox_messages=16)
    accepted: list[bytes] = []
    async with talking(contexts, watched, limits=limits, buffer_size=SMALL) as (connection, peer):
        with pytest.raises(StalledError):
            await send_for_ever(connection, size, accepted)
        with pytest.raises(StalledError):
            await connection.receive()
        await connection.aclose()
        received, told = await peer.receive_rest()
    ending = connection.ending
    assert ending is not None
    assert ending.cause is Cause.STALLED
    assert not told
    count = connection.statistics().messages_sent
    assert [*accepted[:count], *ending.in_doubt, *ending.unsent] == accepted
    lines = received.split(b"\n")
    assert lines[:-1] == accepted[:count]
    # Of the record that went in part the peer can read nothing: the rest of the doubt is a line
    # that other records have begun.
    assert len(b"".join(ending.in_doubt)) <= 16 * 1024 + 2 * len(accepted[-1])
    assert not lines[-1] or ending.in_doubt[0].startswith(lines[-1])


async def test_a_send_that_was_cancelled_leaves_whole_records(contexts: Contexts) -> None:
    """B6: what is sent after it is not taken for the rest of it."""
    ours, theirs = tcp_streams(buffer_size=SMALL)
    stream, peer = BufferedStream(as_transport(ours)), RecordPeer(theirs, contexts[1])
    async with stream, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake_hands)
            await stream.start_tls(contexts[0], server_side=False, server_hostname="localhost")
        large = bytes(range(1, 251)) * 20_000
        with trio.move_on_after(0.1) as scope:
            await stream.send_all(large)
        assert scope.cancelled_caught
        assert stream.transport.at_risk <= 16 * 1024
        async with trio.open_nursery() as nursery:

            async def go_on() -> None:
                await stream.send_all(b"\0and more")
                await stream.transport.finish()

            nursery.start_soon(go_on)
            received, told = await peer.receive_rest()
            await theirs.send_eof()
    begun, _, after = received.partition(b"\0")
    assert large.startswith(begun)
    assert (after, told) == (b"and more", True)


async def test_a_handshake_cancelled_at_every_await(contexts: Contexts) -> None:
    """B6, S9: nothing of it is left; whoever waits at the other end is told."""

    async def strike(suspension: int) -> bool:
        ours, theirs = tcp_streams()
        stream, peer = BufferedStream(as_transport(ours)), RecordPeer(theirs, contexts[1])

        async def answer() -> None:
            with contextlib.suppress(ssl.SSLError, trio.BrokenResourceError):
                await peer.shake_hands()

        async def shake() -> None:
            await stream.start_tls(contexts[0], server_side=False, server_hostname="localhost")

        async with theirs, trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            struck = await cancelled_at(suspension, shake)
            await stream.aclose()
        return struck

    with trio.fail_after(LIMIT):
        strikes = [suspension async for suspension in every_suspension(strike)]
    assert strikes


async def test_tls_in_tls(contexts: Contexts) -> None:
    """S7, P10: each layer has its own ends, and the inner one's end is one alone."""
    one, other = buffered()
    await start_tls(one, other, *contexts)
    await start_tls(one, other, *contexts)
    assert one.peer_certificate() is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.send_all, bytes(300_000))
        assert await other.receive_exactly(300_000) == bytes(300_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.transport.finish)
        assert await other.receive_some() == b""
        await other.aclose()
    await one.aclose()


async def test_over_a_stream_that_cannot_be_asked(contexts: Contexts) -> None:
    """S26: memory streams take the general path, TLS and all that it accepts."""
    one, other = trio.testing.memory_stream_pair()
    client, server = BufferedStream(as_transport(one)), BufferedStream(as_transport(other))
    await start_tls(client, server, *contexts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, bytes(100_000) + b"\n")
        assert await server.receive_until(b"\n", max_size=200_000) == bytes(100_000)
        nursery.start_soon(client.aclose)
        assert await server.receive_some() == b""
    await server.aclose()


async def test_much_comes_in_the_segment_that_ends_the_handshake(
    contexts: Contexts, watched: bool
) -> None:
    """P5: what the handshake has read behind its end comes before what is read after it."""
    client_context, server_context = contexts
    lines = [b"%d" % number * 500 for number in range(400)]
    sent = b"".join(line + b"\n" for line in lines)
    parts = [sent[start : start + 16_384] for start in range(0, len(sent), 16_384)]
    async with crowd(watched), serving_tcp(ssl_context=server_context) as server:
        peer = RecordPeer(await connect(server), client_context, "localhost")
        async with peer.stream, trio.open_nursery() as nursery:
            with trio.fail_after(LIMIT):
                await peer.agree()
                nursery.start_soon(peer.stream.send_all, peer.records(*parts))
                assert await peer.receive_exactly(len(sent)) == sent
