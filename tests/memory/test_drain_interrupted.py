"""Drains that are called twice, cancelled, begun from within, or that somebody comes into."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    BufferedStream,
    Cause,
    Client,
    Connection,
    DrainReport,
    DrainTimeouts,
    LineCodec,
    Phase,
    PoolLimits,
    Protocol,
    Refusal,
    Server,
    ServerLimits,
    Side,
    StreamEndpoint,
    serve_listeners,
)
from snowtrio._supervisor import Supervisor
from snowtrio._transport import StreamTransport
from snowtrio.testing import MemoryListener

from ..serving import (
    Stopwatch,
    ask,
    echo,
    read_all,
    read_line,
    serving,
)
from .parting import Parting, read_then_close


async def test_second_call_is_a_no_op_with_the_same_report(autojump_clock: MockClock) -> None:
    """S23: during the first drain, and after it."""
    protocol = Parting()
    reports: list[DrainReport] = []

    async with serving(protocol=protocol) as served:
        stream = await served.connect(b"slow\n")
        served.nursery.start_soon(read_then_close, stream)

        async def drain() -> None:
            reports.append(await served.server.drain())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(drain)
        await drain()
        assert protocol.told == 1
    assert len(reports) == 4
    assert all(report is reports[0] for report in reports)


async def test_drain_goes_on_without_a_caller_that_is_cancelled(autojump_clock: MockClock) -> None:
    """B6, S23: the server still ends, and whoever asks again gets the report."""
    async with serving(protocol=Parting()) as served:
        await served.connect(b"stuck\n")
        with trio.move_on_after(1) as scope:
            await served.server.drain(DrainTimeouts(wait=10))
        assert scope.cancelled_caught
        watch = Stopwatch()
        report = await served.server.drain()
        assert watch.seconds == 9
        assert report.cut == 1


async def test_client_cancelled_in_its_close_says_goodbye_once(autojump_clock: MockClock) -> None:
    """B6, B3: closed again, it goes on where it was, and tells nobody twice."""
    protocol = Parting()

    async def hold(connection: Connection[bytes]) -> None:
        await trio.sleep_forever()

    async with (
        serving(hold, listener=MemoryListener(lockstep=True)) as served,
        Client(protocol, StreamEndpoint(served.listener.connect)) as client,
    ):
        await client.bootstrap()
        await client.send(b"stuck in an outbox that nobody empties")
        with trio.move_on_after(1) as scope:
            await client.aclose(DrainTimeouts(goodbye=100, wait=100))
        assert scope.cancelled_caught
        report = await client.aclose(DrainTimeouts(goodbye=0, wait=0))
        assert len(report.connections) == 1
    assert protocol.told == 1


async def test_handler_that_drains_does_not_stop_the_drain(autojump_clock: MockClock) -> None:
    """B6: it waits for itself and is cut; the server ends all the same."""
    listener = MemoryListener()
    servers: list[Server[bytes]] = []

    async def handle(connection: Connection[bytes]) -> None:
        await connection.receive()
        await servers[0].drain(DrainTimeouts(goodbye=1, wait=2))

    async with trio.open_nursery() as nursery:
        serve = partial(serve_listeners, handle, LineCodec(), [listener])
        servers.append(await nursery.start(serve))
        stream = await listener.connect()
        await stream.send_all(b"drain\n")
        watch = Stopwatch()
    assert watch.seconds == 2
    assert servers[0].statistics().pool.ended == {Cause.DROPPED: 1}


async def test_handshake_that_ends_in_the_drain_is_told_and_counted(
    autojump_clock: MockClock,
) -> None:
    """B3: who had connected before is served, hears the goodbye once, and is in the report."""

    class Late(Parting):
        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            await stream.receive_line()

    protocol = Late()
    async with serving(protocol=protocol) as served:
        stream = await served.connect()
        reports: list[DrainReport] = []

        async def drain() -> None:
            reports.append(await served.server.drain())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            await trio.sleep(1)
            await stream.send_all(b"hello\nlast question\n")
            assert await read_all(stream) == b"goodbye\nlast question\n"
            await stream.aclose()
    assert protocol.told == 1
    assert [each.cause for each in reports[0].connections] == [Cause.DONE]


async def test_goodbye_to_a_late_comer_has_a_deadline_too(autojump_clock: MockClock) -> None:
    """B3: after it the late comer is served like the others."""

    class Late(Protocol[bytes]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            await stream.receive_line()

        async def goodbye(self, connection: Connection[bytes]) -> None:
            await trio.sleep_forever()

    async with serving(echo, Late()) as served, trio.open_nursery() as nursery:
        stream = await served.connect()
        nursery.start_soon(served.server.drain, DrainTimeouts(goodbye=3, wait=20))
        await trio.sleep(5)
        watch = Stopwatch()
        assert await ask(stream, b"name\nx") == b"x"
        assert watch.seconds == 3
        await stream.aclose()


async def test_connection_that_opens_after_the_cut_is_cut(autojump_clock: MockClock) -> None:
    """B3: a client's may, whose connecting took longer than the drain."""
    protocol = Parting()
    supervisor = Supervisor(
        protocol, Side.CLIENT, PoolLimits(), logger=logging.getLogger("snowtrio.client")
    )
    reports: list[DrainReport] = []

    async def drain() -> None:
        reports.append(await supervisor.drain(DrainTimeouts(goodbye=0, wait=0)))

    place = supervisor.places.reserve()
    ours, _ = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain)
        await trio.testing.wait_all_tasks_blocked()
        member = await supervisor.introduce(place, StreamTransport(ours))
        await supervisor.attend(member, trio.sleep_forever)
    (drained,) = reports[0].connections
    assert (drained.phase, drained.cause) == (Phase.CANCEL, Cause.DROPPED)


async def test_nobody_new_is_served_once_it_has_begun(autojump_clock: MockClock) -> None:
    """S23."""
    async with serving(protocol=Parting()) as served:
        await served.connect(b"stuck\n")

        async def drain() -> None:
            await served.server.drain(DrainTimeouts(wait=5))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ConnectionRefusedError):
                await served.listener.connect()


async def test_peer_that_waits_for_a_place_does_not_hold_the_drain_up(
    autojump_clock: MockClock,
) -> None:
    """B3: one that was accepted and has no place is refused; nobody waits for one any more."""
    other = MemoryListener()
    limits = ServerLimits(max_connections=1)
    async with serving(others=[other], limits=limits, when_full="wait") as served:
        # Both listeners have seen that there is room for one.
        for listener in (served.listener, other):
            served.nursery.start_soon(read_then_close, await listener.connect())
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (1, 0)
        watch = Stopwatch()
        report = await served.server.drain()
        assert watch.seconds == 0
        assert len(report.connections) == 1
        assert served.server.statistics().refused[Refusal.FULL] == 1


async def test_farewell_that_is_being_said_is_said(autojump_clock: MockClock) -> None:
    """B9: the drain waits for the refused as well, as long as they may take."""
    listener = MemoryListener(lockstep=True)
    limits = ServerLimits(max_connections=1, linger_timeout=5)
    async with serving(listener=listener, limits=limits, when_full=b"full\n") as served:
        first = await served.connect()
        refused = await served.connect()
        reports: list[DrainReport] = []

        async def drain() -> None:
            reports.append(await served.server.drain())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_then_close, first)
            nursery.start_soon(drain)
            await trio.sleep(2)
            assert reports == []
            assert await read_line(refused) == b"full\n"
            await refused.aclose()
        assert len(reports) == 1
