"""A subscriber that comes back: breaks, refusals, silence, and what its consumer is told."""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    BufferedStream,
    Cause,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    ConnectRefusedError,
    Gap,
    HandshakeError,
    IncompleteFrameError,
    LineCodec,
    Side,
    Subscriber,
    SubscriberLimits,
    SubscriberStatistics,
    WhenSlow,
)

from .client_peers import LIMIT, Peers, Recording

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "nobody there")


def subscriber_of(
    *peers: Peers,
    protocol: Any = None,
    subscribe: Any = None,
    keepalive: Any = None,
    when_slow: WhenSlow = WhenSlow.WAIT,
    connect_first: bool = False,
    **limits: Any,
) -> Subscriber[bytes]:
    """Return a subscriber to these peers that speaks lines and does not linger."""
    return Subscriber(
        protocol or LineCodec(),
        [each.endpoint for each in peers],
        subscribe=subscribe,
        keepalive=keepalive,
        when_slow=when_slow,
        connect_first=connect_first,
        limits=SubscriberLimits(**{"linger_timeout": 0, **limits}),
    )


async def subscribe(connection: Connection[bytes]) -> None:
    """Ask, and wait for the confirmation."""
    await connection.send(b"subscribe")
    assert await connection.receive() == b"ok"


async def confirm(peers: Peers, index: int, data: bytes = b"") -> None:
    """Confirm a subscription on a connection, and say more in the same breath."""
    while len(peers.streams) <= index:
        await trio.sleep(0.01)
    assert await peers.read_lines(index, 1) == [b"subscribe"]
    await peers.say(index, b"ok\n" + data)


async def take(messages: Subscriber[bytes], number: int) -> list[bytes | Gap]:
    with trio.fail_after(LIMIT):
        return [await messages.receive() for _ in range(number)]


def brief(items: list[bytes | Gap]) -> list[object]:
    """Return the messages, and of each gap the type of its error and its counts."""
    return [
        item if isinstance(item, bytes) else (type(item.error), item.attempts, item.dropped)
        for item in items
    ]


async def test_messages_come_after_the_subscription(autojump_clock: MockClock) -> None:
    """S7: what `subscribe` received is not delivered, what came behind it in one read is."""
    peers, protocol = Peers(), Recording()
    async with subscriber_of(peers, protocol=protocol, subscribe=subscribe) as messages:
        assert messages.connection is None
        await confirm(peers, 0, b"a\nb\n")
        assert await take(messages, 2) == [b"a", b"b"]
        assert messages.connection is not None
        await messages.connection.send(b"more")
        assert await peers.read_lines(0, 1) == [b"more"]
        connection = messages.connection
    assert messages.connection is None
    assert protocol.closed == [connection]
    assert connection.ending is not None
    assert connection.ending.cause is Cause.DONE
    assert peers.connected == 0
    with pytest.raises(ConnectionClosedError):
        await messages.receive()


async def test_it_can_be_iterated(autojump_clock: MockClock) -> None:
    """And without a `subscribe`."""
    peers, got = Peers(), []
    async with subscriber_of(peers) as messages:
        await wait_all_tasks_blocked()
        await peers.say(0, b"a\nb\nc\n")
        async for message in messages:
            got.append(message)
            if message == b"c":
                break
    assert got == [b"a", b"b", b"c"]


async def end(stream: trio.abc.HalfCloseableStream, peers: Peers) -> None:
    await stream.send_eof()


async def reset(stream: trio.abc.Stream, peers: Peers) -> None:
    peers.theirs[0].break_now()


async def cut_short(stream: trio.abc.HalfCloseableStream, peers: Peers) -> None:
    await stream.send_all(b"unfinished")
    await stream.send_eof()


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (end, trio.EndOfChannel),
        (reset, ConnectionLostError),
        (cut_short, IncompleteFrameError),
    ],
)
async def test_it_comes_back(
    autojump_clock: MockClock, part: Callable[..., Awaitable[None]], error: type[Exception]
) -> None:
    """B5: what came before the break first, then a gap that says why, then the new connection's.

    S10: the hooks of the old connection have run before there is a new one.
    """
    peers, protocol = Peers(), Recording()
    async with subscriber_of(peers, protocol=protocol, subscribe=subscribe) as messages:
        await confirm(peers, 0, b"a\nb\n")
        await wait_all_tasks_blocked()
        await part(peers.streams[0], peers)
        await confirm(peers, 1, b"c\n")
        assert len(protocol.closed) == 1
        assert brief(await take(messages, 4)) == [b"a", b"b", (error, 1, 0), b"c"]
        found = messages.statistics()
    assert found.subscriptions == 2
    assert found.gaps == 1
    assert found.attempts_failed == 0
    assert isinstance(found.last_error, error)
    assert found.messages_delivered == 3
    assert peers.peak == 1
    assert len(protocol.closed) == 2


class Slow(Recording):
    """Takes its time to note that a connection has ended."""

    async def close(self, connection: Connection[bytes]) -> None:
        await trio.sleep(3)
        await super().close(connection)


async def test_the_next_connection_comes_when_the_last_is_gone(autojump_clock: MockClock) -> None:
    """S10: its hooks among it."""
    peers, protocol = Peers(), Slow()
    async with subscriber_of(peers, protocol=protocol) as messages:
        await wait_all_tasks_blocked()
        began = trio.current_time()
        await peers.streams[0].aclose()
        await take(messages, 1)
        assert len(protocol.closed) == 1
        assert peers.attempts[1] - began >= 3


async def test_pauses_grow_and_the_gap_counts_attempts(autojump_clock: MockClock) -> None:
    """S17: with jitter, to a bound; several breaks with nothing between them are one gap."""
    peers = Peers()
    async with subscriber_of(
        peers, subscribe=subscribe, backoff=1.0, max_backoff=8.0, connect_timeout=1.0
    ) as messages:
        await confirm(peers, 0, b"a\n")
        assert await take(messages, 1) == [b"a"]
        peers.failures.extend([REFUSED] * 5)
        await peers.streams[0].aclose()
        while len(peers.streams) < 2:
            await trio.sleep(0.1)
        pauses = [b - a for a, b in zip(peers.attempts[1:], peers.attempts[2:], strict=False)]
        for pause, most in zip(pauses, [2, 4, 8, 8, 8], strict=True):
            assert most / 2 <= pause <= most
        found = messages.statistics()
        assert (found.failed_in_a_row, found.attempts_failed) == (5, 5)
        assert isinstance(found.last_error, ConnectRefusedError)
        await confirm(peers, 1)
        await peers.streams[1].aclose()
        await confirm(peers, 2, b"b\n")
        await wait_all_tasks_blocked()
        assert brief(await take(messages, 2)) == [(trio.EndOfChannel, 7, 0), b"b"]
        assert messages.statistics().failed_in_a_row == 0


async def test_the_pause_starts_again_behind_a_connection_that_lasted(
    autojump_clock: MockClock,
) -> None:
    """S17: one that ended soon is no success."""
    peers = Peers()
    async with subscriber_of(peers, backoff=1.0, max_backoff=100.0) as messages:
        for index in range(6):
            while len(peers.streams) <= index:
                await trio.sleep(0.01)
            await peers.streams[index].aclose()
        assert peers.attempts[5] - peers.attempts[4] >= 8
        while len(peers.streams) <= 6:
            await trio.sleep(0.01)
        await trio.sleep(101)
        await peers.streams[6].aclose()
        began = trio.current_time()
        while len(peers.streams) <= 7:
            await trio.sleep(0.01)
        assert trio.current_time() - began <= 1.1
        assert brief(await take(messages, 1)) == [(trio.EndOfChannel, 7, 0)]


async def test_a_server_that_never_was_there(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S17: is tried for ever; the statistics and the log tell of it, and no gap."""
    caplog.set_level(logging.INFO, "snowtrio.subscriber")
    peers = Peers()
    peers.always = REFUSED
    async with subscriber_of(peers) as messages:
        with trio.move_on_after(1000):
            await messages.receive()
        found = messages.statistics()
        assert isinstance(found.last_error, ConnectRefusedError)
        assert found.attempts_failed > 100
        assert not found.subscribed
        assert "no subscription to peers" in caplog.text
        peers.always = None
        while not peers.streams:
            await trio.sleep(0.1)
        await peers.say(0, b"a\n")
        assert await take(messages, 1) == [b"a"]


async def test_a_number_of_attempts(autojump_clock: MockClock) -> None:
    """S17: in a row; the consumer gets what it has not taken, then the last error, every time."""
    peers = Peers()
    peers.failures.extend([REFUSED] * 2)
    async with subscriber_of(peers, max_attempts=3) as messages:
        while not peers.streams:
            await trio.sleep(0.01)
        await peers.say(0, b"a\n")
        await wait_all_tasks_blocked()
        peers.always = REFUSED
        await peers.streams[0].aclose()
        await trio.sleep(60)
        assert await take(messages, 1) == [b"a"]
        for _ in range(2):
            with pytest.raises(ConnectRefusedError):
                await messages.receive()
    assert len(peers.attempts) == 6
    assert isinstance(messages.statistics().last_error, ConnectRefusedError)


async def test_the_first_attempt_can_be_waited_for(autojump_clock: MockClock) -> None:
    """P4: then the block is entered subscribed, or not at all, with the plain error."""
    peers = Peers()
    peers.failures.append(REFUSED)
    with pytest.raises(ConnectRefusedError):
        async with subscriber_of(peers, connect_first=True):
            raise AssertionError("the block was entered")
    assert len(peers.attempts) == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(confirm, peers, 0, b"a\n")
        async with subscriber_of(peers, subscribe=subscribe, connect_first=True) as messages:
            assert messages.connection is not None
            assert await take(messages, 1) == [b"a"]


@pytest.mark.parametrize("error", [ValueError("no"), ConnectionLostError("gone")], ids=repr)
async def test_the_first_subscription_fails(autojump_clock: MockClock, error: Exception) -> None:
    """S8: also with what is tried again later on; nothing is left open."""

    async def fail(connection: Connection[bytes]) -> None:
        raise error

    peers, protocol = Peers(), Recording()
    messages = subscriber_of(peers, protocol=protocol, subscribe=fail, connect_first=True)
    with pytest.raises(type(error)) as caught:
        async with messages:
            raise AssertionError("the block was entered")
    assert str(caught.value) == str(error)
    assert peers.connected == 0
    assert len(protocol.closed) == 1
    assert messages.statistics().pool.connections == 0


class Refusing(Recording):
    """Lets the peer in so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        super().__init__()
        self.times = times
        self.error = error

    async def handshake(self, side: Side, stream: BufferedStream) -> None:
        self.times -= 1
        if self.times < 0:
            raise self.error


async def test_a_refused_login_is_final(autojump_clock: MockClock) -> None:
    """S8: it would only be refused again. What came before is delivered first."""
    peers, protocol = Peers(), Refusing(1, PermissionError("wrong password"))
    async with subscriber_of(peers, protocol=protocol) as messages:
        await wait_all_tasks_blocked()
        await peers.say(0, b"a\n")
        await peers.streams[0].aclose()
        await trio.sleep(60)
        assert await take(messages, 1) == [b"a"]
        with pytest.raises(HandshakeError, match="wrong password"):
            await messages.receive()
    assert len(peers.attempts) == 2


async def test_a_handshake_that_is_cut_is_tried_again(autojump_clock: MockClock) -> None:
    """S9: and the consumer is told of one gap."""
    peers, protocol = Peers(), Refusing(1, trio.BrokenResourceError("reset"))
    async with subscriber_of(peers, protocol=protocol) as messages:
        await wait_all_tasks_blocked()
        await peers.streams[0].aclose()
        await trio.sleep(60)
        protocol.times = 1
        assert brief(await take(messages, 1))[0][0] is trio.EndOfChannel  # type: ignore[index]
    assert messages.statistics().pool.handshakes_failed > 3


async def test_one_of_several_endpoints_is_enough(autojump_clock: MockClock) -> None:
    """B13: and each of them is tried before that is a failure."""
    there, away = Peers(), Peers()
    away.always = REFUSED
    async with subscriber_of(away, there) as messages:
        await wait_all_tasks_blocked()
        await there.say(0, b"a\n")
        assert await take(messages, 1) == [b"a"]
        there.always, away.always = REFUSED, None
        await there.streams[0].aclose()
        while not away.streams:
            await trio.sleep(0.01)
        await away.say(0, b"b\n")
        assert brief(await take(messages, 2)) == [(trio.EndOfChannel, 1, 0), b"b"]
    assert messages.statistics().attempts_failed == 0


async def test_an_error_of_subscribe_is_final(autojump_clock: MockClock) -> None:
    """S22: it is the caller's own; the connection is closed in order."""

    async def fail(connection: Connection[bytes]) -> None:
        await connection.send(b"bye")
        raise LookupError("no such channel")

    peers = Peers()
    async with subscriber_of(peers, subscribe=fail) as messages:
        with pytest.raises(LookupError, match="no such channel"):
            await messages.receive()
        assert await peers.read_rest(0) == b"bye\n"
    assert len(peers.attempts) == 1


async def test_a_server_that_leaves_during_subscribe(autojump_clock: MockClock) -> None:
    """S17: is tried again."""
    peers = Peers()
    async with subscriber_of(peers, subscribe=subscribe) as messages:
        await wait_all_tasks_blocked()
        await peers.streams[0].aclose()
        await confirm(peers, 1, b"a\n")
        assert await take(messages, 1) == [b"a"]
    assert messages.statistics().attempts_failed == 1


async def test_a_server_that_never_confirms(autojump_clock: MockClock) -> None:
    """S9: is cut in time, though it does not even take what it is asked."""
    peers = Peers(lockstep=True)
    async with subscriber_of(peers, subscribe=subscribe, subscribe_timeout=3.0) as messages:
        await wait_all_tasks_blocked()
        began = trio.current_time()
        while len(peers.streams) < 2:
            await trio.sleep(0.01)
        assert 3 <= trio.current_time() - began <= 3.2
        assert "longer than 3 seconds" in str(messages.statistics().last_error)
        assert peers.theirs[0].closed


async def test_silence(autojump_clock: MockClock) -> None:
    """B4: the connection is given up in time, and not while messages come, or parts of them."""
    peers = Peers()
    async with subscriber_of(peers, silence_timeout=10.0) as messages:
        await wait_all_tasks_blocked()
        for pause, piece in ((9, b"a\n"), (9, b"b"), (9, b"b"), (4, b"b"), (9, b"\n")):
            await trio.sleep(pause)
            await peers.say(0, piece)
        assert await take(messages, 2) == [b"a", b"bbb"]
        began = trio.current_time()
        (gap,) = await take(messages, 1)
        assert 10 <= trio.current_time() - began <= 10.2
        assert isinstance(gap, Gap)
        assert "nothing came for 10 seconds" in str(gap.error)
        found = messages.statistics()
        assert (found.silences, found.subscriptions) == (1, 2)
        assert found.pool.ended == {Cause.DROPPED: 1}


async def test_keepalive(autojump_clock: MockClock) -> None:
    """B4: is called after half of the time; an answer keeps the connection, also one it takes."""
    times: list[float] = []

    async def ping(connection: Connection[bytes]) -> None:
        times.append(trio.current_time())
        await connection.send(b"ping")
        if len(times) == 2:
            assert await connection.receive() == b"pong"

    peers = Peers()
    async with subscriber_of(peers, silence_timeout=10.0, keepalive=ping) as messages:
        await wait_all_tasks_blocked()
        began = trio.current_time()
        for _ in range(2):
            assert await peers.read_lines(0, 1) == [b"ping"]
            await peers.say(0, b"pong\n")
        assert await take(messages, 1) == [b"pong"]
        assert await peers.read_lines(0, 1) == [b"ping"]
        (gap,) = await take(messages, 1)
        assert isinstance(gap, Gap)
    assert [round(time - began) for time in times[:2]] == [5, 10]
    assert len(times) == 3


async def test_keepalive_where_something_came(autojump_clock: MockClock) -> None:
    """B4: is not called, though no message was whole."""

    async def ping(connection: Connection[bytes]) -> None:
        raise AssertionError("it was called")

    peers = Peers()
    async with subscriber_of(peers, silence_timeout=10.0, keepalive=ping) as messages:
        await wait_all_tasks_blocked()
        for _ in range(5):
            await trio.sleep(4)
            await peers.say(0, b"a")
        await peers.say(0, b"\n")
        assert await take(messages, 1) == [b"aaaaa"]


async def test_keepalive_that_fails(autojump_clock: MockClock) -> None:
    """S22: is the caller's own error, and final."""

    async def fail(connection: Connection[bytes]) -> None:
        raise LookupError("no ping")

    peers = Peers()
    async with subscriber_of(peers, silence_timeout=10.0, keepalive=fail) as messages:
        with pytest.raises(LookupError, match="no ping"):
            await messages.receive()


async def test_keepalive_needs_a_timeout() -> None:
    with pytest.raises(TypeError, match="silence_timeout"):
        subscriber_of(Peers(), keepalive=subscribe)


async def test_a_connection_that_its_user_drops(autojump_clock: MockClock) -> None:
    """S24: another one is opened."""
    peers = Peers()
    async with subscriber_of(peers) as messages:
        await wait_all_tasks_blocked()
        assert messages.connection is not None
        messages.connection.drop()
        assert brief(await take(messages, 1)) == [(ConnectionClosedError, 1, 0)]


async def test_a_message_that_the_codec_throws_away(autojump_clock: MockClock) -> None:
    """S3, B5: leaves a gap."""
    peers = Peers()
    codec = LineCodec(max_message_size=3, resync=True)
    async with subscriber_of(peers, protocol=codec) as messages:
        await wait_all_tasks_blocked()
        await peers.say(0, b"a\n12345\nb\n")
        assert brief(await take(messages, 3)) == [b"a", (type(None), 0, 1), b"b"]
    assert messages.statistics().subscriptions == 1


class Broken(LineCodec):
    """Has a mistake."""

    def decode(self, buffer: Any) -> Any:
        if buffer:
            raise ZeroDivisionError("a mistake")
        return ()


async def test_a_mistake_of_the_codec_is_final(autojump_clock: MockClock) -> None:
    """S22: the next connection would bring it again."""
    peers = Peers()
    async with subscriber_of(peers, protocol=Broken()) as messages:
        await wait_all_tasks_blocked()
        await peers.say(0, b"a\n")
        with pytest.raises(ZeroDivisionError):
            await messages.receive()


async def test_the_block_raises_plainly(autojump_clock: MockClock) -> None:
    """S23: the very exception; nothing is waited for, nothing left open."""
    peers, error = Peers(lockstep=True), ValueError("a")

    async def fail() -> None:
        async with subscriber_of(peers) as messages:
            await wait_all_tasks_blocked()
            assert messages.connection is not None
            await messages.connection.send(b"never read")
            raise error

    with pytest.raises(ValueError, match="a") as caught:
        await fail()
    assert caught.value is error
    assert peers.connected == 0


async def test_leaving_sends_what_was_accepted(autojump_clock: MockClock) -> None:
    """S23: the connection is closed in order."""
    peers = Peers(lockstep=True)
    read = bytearray()

    async def read_rest() -> None:
        read.extend(await peers.read_rest(0))

    async with trio.open_nursery() as nursery, subscriber_of(peers) as messages:
        await wait_all_tasks_blocked()
        assert messages.connection is not None
        await messages.connection.send_batch([b"a", b"b"])
        nursery.start_soon(read_rest)
    assert read == b"a\nb\n"


async def test_leaving_while_it_connects(autojump_clock: MockClock) -> None:
    """S23: is not held up."""
    peers = Peers(closed=True)
    async with subscriber_of(peers):
        await wait_all_tasks_blocked()
        assert peers.connecting == 1
    assert peers.connecting == 0


async def test_a_receiver_is_told_when_the_block_is_left(autojump_clock: MockClock) -> None:
    """P6."""
    peers, told = Peers(), trio.Event()

    async def receive(messages: Subscriber[bytes]) -> None:
        with pytest.raises(ConnectionClosedError):
            await messages.receive()
        told.set()

    async with trio.open_nursery() as nursery:
        async with subscriber_of(peers) as messages:
            nursery.start_soon(receive, messages)
            await wait_all_tasks_blocked()
        await told.wait()


async def test_it_is_entered_once() -> None:
    messages = subscriber_of(Peers())
    for call in (messages.receive, messages.__anext__):
        with pytest.raises(RuntimeError, match="within"):
            await call()
    async with messages:
        pass
    with pytest.raises(RuntimeError, match="once"):
        await messages.__aenter__()


async def test_arguments() -> None:
    """S26: a host needs a port; an endpoint has its own."""
    with pytest.raises(TypeError, match="port"):
        Subscriber(LineCodec(), "127.0.0.1")
    with pytest.raises(TypeError):
        Subscriber(LineCodec(), Peers().endpoint, 7000)
    with pytest.raises(ValueError, match="max_messages"):
        SubscriberLimits(max_messages=0)
    assert subscriber_of(Peers(), max_messages=5).limits.max_messages == 5


async def test_statistics_before_anything(autojump_clock: MockClock) -> None:
    """B7."""
    found = subscriber_of(Peers()).statistics()
    assert isinstance(found, SubscriberStatistics)
    assert found.last_error is None
    assert not found.subscribed
    assert (found.subscriptions, found.gaps, found.silences) == (0, 0, 0)
