"""The handshake: before everything else, bounded in time and number, and alone when it fails."""

from __future__ import annotations

import logging
from contextlib import suppress

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    BufferedStream,
    Codec,
    Connection,
    DrainTimeouts,
    HandshakeError,
    HandshakeTimeoutError,
    LineCodec,
    PoolLimits,
    Protocol,
    RemoteProtocolError,
    ServerLimits,
    Side,
)
from snowtrio._supervisor import Supervisor
from snowtrio._transport import StreamTransport
from snowtrio.testing import FaultyStream, MemoryListener

from ..serving import Stopwatch, ask, errors_in, lines_of, read_all, read_line, serving


class Greeted(Protocol[bytes, bytes, bytes]):
    """The peer says its name on a line of its own, and is greeted by it."""

    codec = LineCodec()

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    async def handshake(self, side: Side, stream: BufferedStream) -> bytes:
        self.events.append(f"handshake as {side.value}")
        name = await stream.receive_line()
        if name == b"broken":
            raise KeyError("a mistake of ours")
        if name == b"stranger":
            await stream.send_all(b"no strangers\n")
            raise RemoteProtocolError("a stranger")
        return name

    async def handle(self, connection: Connection[bytes, bytes, bytes]) -> None:
        self.events.append("handle")
        await connection.send(b"hello " + connection.context)
        async for line in connection:
            await connection.send(connection.context + b": " + line)

    async def close(self, connection: Connection[bytes, bytes, bytes]) -> None:
        self.events.append("close")

    def purge(self, connection: object, messages: object) -> None:
        self.events.append("purge")


async def test_handshake_comes_first_and_its_result_is_the_context(
    autojump_clock: MockClock,
) -> None:
    """S7: no other hook runs and the connection does not count before it is done."""
    protocol = Greeted()
    async with serving(protocol=protocol) as served:
        stream = await served.connect()
        assert protocol.events == ["handshake as server"]
        assert served.counts == (0, 1)
        assert served.server.connections == []
        assert await ask(stream, b"ann") == b"hello ann"
        assert served.counts == (1, 0)
        assert [connection.context for connection in served.server.connections] == [b"ann"]
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
    assert protocol.events == ["handshake as server", "handle", "close"]


async def test_what_it_read_too_much_reaches_the_codec(autojump_clock: MockClock) -> None:
    """S7: messages in the segment of the handshake need no further input."""
    async with serving(protocol=Greeted()) as served:
        stream = await served.connect(b"ann\none\ntwo\nthr")
        assert await read_line(stream) == b"hello ann\n"
        assert await read_line(stream) == b"ann: one\n"
        assert await read_line(stream) == b"ann: two\n"
        await stream.send_all(b"ee\n")
        assert await read_line(stream) == b"ann: three\n"


async def test_refused_peer_gets_the_last_words_and_nothing_else_runs(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S8: the socket is closed and the place free, and neither close nor purge has run."""
    caplog.set_level(logging.INFO)
    protocol = Greeted()
    async with serving(protocol=protocol) as served:
        stream = await served.connect(b"stranger\nunread")
        assert await read_all(stream) == b"no strangers\n"
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (0, 0)
        assert served.server.statistics().pool.handshakes_failed == 1
    assert protocol.events == ["handshake as server"]
    assert len(lines_of(caplog, logging.INFO)) == 1
    assert "a stranger" in lines_of(caplog, logging.INFO)[0]
    assert errors_in(caplog) == []


async def test_refused_peer_that_stays_is_not_waited_for_longer_than_set(
    autojump_clock: MockClock,
) -> None:
    """S8, B9."""
    limits = ServerLimits(linger_timeout=3)
    async with serving(protocol=Greeted(), limits=limits) as served:
        await served.connect(b"stranger\n")
        watch = Stopwatch()
        while served.counts != (0, 0):
            await trio.sleep(0.5)
        assert 3 <= watch.seconds < 4


async def test_peer_that_vanishes_in_the_handshake_frees_its_place(
    autojump_clock: MockClock,
) -> None:
    """S8."""
    async with serving(protocol=Greeted()) as served:
        stream = await served.connect(b"an")
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (0, 0)
        assert served.server.statistics().pool.handshakes_failed == 1


async def test_failures_are_logged_at_a_limited_rate(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S8: strangers decide how many there are, not how much is logged."""
    caplog.set_level(logging.INFO)
    async with serving(protocol=Greeted(), limits=ServerLimits(linger_timeout=0)) as served:
        for _ in range(20):
            await served.connect(b"stranger\n")
        await trio.sleep(2)
        await served.connect(b"stranger\n")
        assert served.server.statistics().pool.handshakes_failed == 21
    assert len(lines_of(caplog, logging.INFO)) == 2


@pytest.mark.parametrize("drip", [None, 1.0])
async def test_stalled_or_dripping_peer_is_cut_in_time(
    autojump_clock: MockClock, drip: float | None
) -> None:
    """S9: one deadline for the whole handshake, however often a byte comes."""
    async with serving(protocol=Greeted(), limits=ServerLimits(handshake_timeout=5)) as served:
        watch = Stopwatch()
        stream = await served.connect()

        async def keep_dripping(pause: float) -> None:
            with suppress(trio.BrokenResourceError):
                while True:
                    await trio.sleep(pause)
                    await stream.send_all(b"x")

        if drip is not None:
            served.nursery.start_soon(keep_dripping, drip)
        assert await read_all(stream) == b""
        assert watch.seconds == 5
        await trio.testing.wait_all_tasks_blocked()
        pool = served.server.statistics().pool
        assert (pool.handshakes_timed_out, pool.handshakes_failed) == (1, 0)
        assert served.counts == (0, 0)
        await trio.sleep(2)


async def test_others_go_on_while_one_stalls(autojump_clock: MockClock) -> None:
    """S9: accepts and replies, before and during."""
    async with serving(protocol=Greeted()) as served:
        before = await served.connect(b"ann\n")
        await served.connect(b"stal")
        after = await served.connect(b"bob\n")
        watch = Stopwatch()
        assert await read_line(before) == b"hello ann\n"
        assert await read_line(after) == b"hello bob\n"
        assert await ask(before, b"x") == b"ann: x"
        assert watch.seconds == 0


async def test_handshakes_have_a_budget_of_their_own(autojump_clock: MockClock) -> None:
    """S9, B2: those above it wait for a handshake to end, not for a connection to."""
    limits = ServerLimits(max_connections=8, max_handshakes=2, handshake_timeout=5)
    async with serving(protocol=Greeted(), limits=limits) as served:
        for _ in range(2):
            await served.connect()
        late = await served.connect(b"late\n")
        assert served.counts == (0, 2)
        watch = Stopwatch()
        assert await read_line(late) == b"hello late\n"
        assert watch.seconds == 5


async def test_handshake_budget_changed_while_running(autojump_clock: MockClock) -> None:
    """B2: who waits for it comes in at once."""
    limits = ServerLimits(max_handshakes=1, handshake_timeout=1000)
    async with serving(protocol=Greeted(), limits=limits) as served:
        await served.connect()
        late = await served.connect(b"late\n")
        watch = Stopwatch()
        served.server.limits = attrs.evolve(limits, max_handshakes=2)
        assert await read_line(late) == b"hello late\n"
        assert watch.seconds == 0


async def test_those_who_complete_always_find_places(autojump_clock: MockClock) -> None:
    """S9: stalled peers cannot take more than the handshakes' share."""
    limits = ServerLimits(max_connections=8, handshake_timeout=5)
    async with serving(protocol=Greeted(), limits=limits, when_full="close") as served:
        for _ in range(4):
            await served.connect()
        good = [await served.connect(b"good\n") for _ in range(6)]
        for stream in good:
            assert await read_line(stream) == b"hello good\n"
        assert served.server.statistics().refused == dict.fromkeys(
            served.server.statistics().refused, 0
        )


async def test_mistake_of_ours_is_logged_with_its_traceback(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: and ends that connection only."""
    async with serving(protocol=Greeted()) as served:
        good = await served.connect(b"ann\n")
        bad = await served.connect(b"broken\n")
        assert await read_all(bad) == b""
        await bad.aclose()
        assert await read_line(good) == b"hello ann\n"
    assert [type(error) for error in errors_in(caplog)] == [KeyError]


async def test_mistake_of_ours_propagates_where_set(autojump_clock: MockClock) -> None:
    """S22: as it is, while what a peer does never ends the server."""
    reached = False

    async def provoke() -> None:
        nonlocal reached
        async with serving(protocol=Greeted(), propagate_errors=True) as served:
            await (await served.connect(b"stranger\n")).aclose()
            await (await served.connect(b"ann\n")).aclose()
            reached = True
            await served.connect(b"broken\n")
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await provoke()
    assert reached
    assert caught.group_contains(KeyError, depth=1)


async def test_coder_that_cannot_start_is_a_failed_handshake(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S8: handshake results choose coders, and may choose none."""

    class Picky(LineCodec):
        def start(self, side: Side, context: object) -> Codec[bytes, bytes]:
            raise LookupError("no such coder")

    async with serving(protocol=Picky()) as served:
        stream = await served.connect()
        assert await read_all(stream) == b""
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (0, 0)
        assert served.server.statistics().pool.handshakes_failed == 1
    assert [type(error) for error in errors_in(caplog)] == [LookupError]


async def test_handshake_set_on_the_object_has_a_deadline_too(autojump_clock: MockClock) -> None:
    """S9: a protocol need not be a subclass."""
    protocol = Protocol[bytes](LineCodec())

    async def stall(side: Side, stream: BufferedStream) -> None:
        await trio.sleep_forever()

    protocol.handshake = stall  # type: ignore[method-assign]
    async with serving(protocol=protocol, limits=ServerLimits(handshake_timeout=5)) as served:
        stream = await served.connect()
        assert served.counts == (0, 1)
        watch = Stopwatch()
        assert await read_all(stream) == b""
        assert watch.seconds == 5


async def test_stalled_close_does_not_hold_the_place(autojump_clock: MockClock) -> None:
    """S9: a stream whose close has to say something may wait for ever."""

    class Stubborn(FaultyStream):
        async def aclose(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                await super().aclose()

    class Listener(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            return Stubborn(await super().accept())

    async with serving(
        protocol=Greeted(), limits=ServerLimits(handshake_timeout=5), listener=Listener()
    ) as served:
        await served.connect()
        assert served.counts == (0, 1)
        await trio.sleep(6)
        assert served.counts == (0, 0)


async def test_drain_cuts_handshakes_that_outlast_it(autojump_clock: MockClock) -> None:
    """B3, S23: the drain's deadline holds for them too."""
    limits = ServerLimits(handshake_timeout=1000)
    async with serving(protocol=Greeted(), limits=limits) as served:
        stream = await served.connect()
        watch = Stopwatch()
        report = await served.server.drain(DrainTimeouts(goodbye=1, wait=2))
        assert report.connections == ()
        assert watch.seconds == 2
        assert await read_all(stream) == b""
        assert served.server.statistics().pool.handshakes_failed == 1


async def test_handshake_that_begins_after_the_cut_is_cut_too(autojump_clock: MockClock) -> None:
    """B3, S23: a client may be connecting when its drain comes to its end."""
    supervisor = Supervisor(
        Greeted(), Side.CLIENT, PoolLimits(), logger=logging.getLogger("snowtrio.client")
    )
    place = supervisor.places.reserve()
    ours, _ = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.drain, DrainTimeouts(goodbye=0, wait=0))
        await trio.testing.wait_all_tasks_blocked()
        watch = Stopwatch()
        with pytest.raises(HandshakeError, match="was cut"):
            await supervisor.introduce(place, StreamTransport(ours))
        assert watch.seconds == 0
        place.release()


async def test_nested_deadline_of_the_handshake_itself(autojump_clock: MockClock) -> None:
    """S9: a step of its own may time out before the whole does, and says so its own way."""

    class Impatient(Protocol[bytes]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            with trio.fail_after(1):
                await stream.receive_line()

    async with serving(protocol=Impatient()) as served:
        await served.connect()
        await trio.sleep(1.5)
        pool = served.server.statistics().pool
        assert (pool.handshakes_failed, pool.handshakes_timed_out) == (1, 0)


def test_timeout_is_a_handshake_error_and_a_lost_connection() -> None:
    """S8: whoever asked for the connection needs one except clause."""
    assert issubclass(HandshakeTimeoutError, trio.BrokenResourceError)
