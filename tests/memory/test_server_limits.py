"""A server's bounds: how many, who is refused, and what the refused get."""

from __future__ import annotations

from functools import partial

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import BufferedStream, LineCodec, Protocol, Refusal, ServerLimits, Side
from snowtrio.testing import MemoryListener

from ..serving import FaultyListener, Served, Stopwatch, ask, read_all, serving


class Counting(Protocol[bytes]):
    """Counts who comes as far as a hook."""

    codec = LineCodec()

    def __init__(self) -> None:
        super().__init__()
        self.greeted = self.closed = 0

    async def handshake(self, side: Side, stream: BufferedStream) -> None:
        self.greeted += 1

    async def close(self, connection: object) -> None:
        self.closed += 1


async def fill(served: Served, number: int) -> list[trio.abc.Stream]:
    streams = [await served.connect() for _ in range(number)]
    for stream in streams:
        assert await ask(stream, b"here") == b"here"
    return streams


@pytest.mark.parametrize("maximum", [1, 3, 128])
async def test_exactly_n_are_served_and_the_next_is_refused(
    maximum: int, autojump_clock: MockClock
) -> None:
    """S20: no hook runs for the refused, and a place is free as soon as one leaves."""
    protocol = Counting()
    limits = ServerLimits() if maximum == 128 else ServerLimits(max_connections=maximum)
    async with serving(protocol=protocol, limits=limits) as served:
        streams = await fill(served, maximum)
        for _ in range(3):
            assert await read_all(await served.connect()) == b""
        assert (protocol.greeted, protocol.closed) == (maximum, 0)
        assert served.server.statistics().refused[Refusal.FULL] == 3
        assert served.counts == (maximum, 0)
        for _ in range(3):
            await streams.pop().aclose()
            await trio.testing.wait_all_tasks_blocked()
            streams += await fill(served, 1)
        assert protocol.greeted == maximum + 3


async def test_refused_peers_wait_in_line_where_set(autojump_clock: MockClock) -> None:
    """S20: first come, first served, each as soon as one leaves."""
    protocol = Counting()
    limits = ServerLimits(max_connections=2)
    async with serving(protocol=protocol, limits=limits, when_full="wait") as served:
        streams = await fill(served, 2)
        waiting = [await served.connect(b"%d\n" % number) for number in range(3)]
        assert protocol.greeted == 2
        for number, stream in enumerate(waiting):
            await streams.pop(0).aclose()
            assert await stream.receive_some() == b"%d\n" % number
            streams.append(stream)
        assert served.server.statistics().refused[Refusal.FULL] == 0
        assert served.counts == (2, 0)


async def test_those_who_wait_never_exceed_the_bound_on_several_listeners(
    autojump_clock: MockClock,
) -> None:
    """S20: listeners share the places, and each looks when it has somebody."""
    others = [MemoryListener() for _ in range(3)]
    limits = ServerLimits(max_connections=2)
    async with serving(others=others, limits=limits, when_full="wait") as served:
        streams = [await listener.connect() for listener in others for _ in range(5)]
        served_now = 0
        while served_now < 15:
            await trio.testing.wait_all_tasks_blocked()
            assert served.counts == (min(2, 15 - served_now), 0)
            (connection, *_) = served.server.connections
            connection.drop()
            served_now += 1
        assert served.server.statistics().pool.peak_connections == 2
        assert len(streams) == 15


async def test_refused_peers_are_told_so_where_set(autojump_clock: MockClock) -> None:
    """S20, B9: raw bytes, even to one that is still sending."""
    limits = ServerLimits(max_connections=1)
    async with serving(limits=limits, when_full=b"full, come back later\n") as served:
        await fill(served, 1)
        stream = await served.connect(b"a request " * 1000)
        assert await read_all(stream) == b"full, come back later\n"


async def test_farewells_are_bounded_in_time_and_number(autojump_clock: MockClock) -> None:
    """S20: peers that do not read them are closed in time, those above the bound at once."""
    listener = FaultyListener(lockstep=True)
    limits = ServerLimits(max_connections=1, max_farewells=2, linger_timeout=5)
    async with serving(listener=listener, limits=limits, when_full=b"full\n") as served:
        await fill(served, 1)
        refused = [await listener.connect() for _ in range(5)]
        await trio.testing.wait_all_tasks_blocked()
        watch = Stopwatch()
        for stream in refused[2:]:
            assert await read_all(stream) == b""
        assert watch.seconds == 0
        with pytest.raises(trio.BrokenResourceError):
            await wait_broken(refused[0])
        assert watch.seconds == 5
        told = await served.connect()
        assert await read_all(told) == b"full\n"


async def wait_broken(stream: trio.abc.Stream) -> None:
    while True:
        await trio.sleep(1)
        await stream.send_all(b"x")


async def test_stream_that_cannot_be_closed_does_not_stop_the_accepting(
    autojump_clock: MockClock,
) -> None:
    """S20: refusing waits for nobody and survives everybody."""

    class Listener(FaultyListener):
        async def accept(self) -> trio.abc.Stream:
            stream = await super().accept()
            if len(self.accepted) == 2:
                self.accepted[1].aclose = trio.sleep_forever  # type: ignore[method-assign]
            elif len(self.accepted) == 3:
                self.accepted[2].aclose = partial(self.fail)  # type: ignore[method-assign]
            return stream

        async def fail(self) -> None:
            raise RuntimeError("not a stream's error")

    async with serving(listener=Listener(), limits=ServerLimits(max_connections=1)) as served:
        (first,) = await fill(served, 1)
        await served.connect()
        await served.connect()
        assert await read_all(await served.connect()) == b""
        await first.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await fill(served, 1)


async def test_limits_changed_while_running(autojump_clock: MockClock) -> None:
    """S20, B2: more come in at once, fewer only as the others leave; nobody is cut."""
    limits = ServerLimits(max_connections=1)
    async with serving(limits=limits, when_full="wait") as served:
        streams = await fill(served, 1)
        waiting = [await served.connect(b"x\n") for _ in range(3)]
        served.server.limits = attrs.evolve(limits, max_connections=3)
        assert served.server.limits.max_connections == 3
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (3, 0)
        served.server.limits = attrs.evolve(limits, max_connections=1)
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (3, 0)
        for stream in (*streams, waiting[0], waiting[1]):
            assert served.counts[0] >= 1
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (1, 0)
        assert await waiting[2].receive_some() == b"x\n"


async def test_lowered_limit_refuses_from_then_on(autojump_clock: MockClock) -> None:
    """B2."""
    async with serving(limits=ServerLimits(max_connections=4)) as served:
        streams = await fill(served, 2)
        served.server.limits = ServerLimits(max_connections=2)
        assert await read_all(await served.connect()) == b""
        assert await ask(streams[0], b"still") == b"still"


@pytest.mark.parametrize(
    "values",
    [
        {"max_connections": 0},
        {"max_handshakes": 0},
        {"handshake_timeout": 0},
        {"max_connections_per_peer": 0},
        {"memory_budget": 0},
        {"max_farewells": -1},
        {"idle_timeout": 0},
    ],
)
def test_senseless_limits_are_refused(values: dict[str, float]) -> None:
    """S20."""
    with pytest.raises(ValueError, match=next(iter(values))):
        ServerLimits(**values)  # type: ignore[arg-type]
