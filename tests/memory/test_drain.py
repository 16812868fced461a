"""Draining a server: phases with deadlines, and a report of what became of everybody."""

from __future__ import annotations

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
    Protocol,
    Refusal,
    Server,
    ServerLimits,
    Side,
    StreamEndpoint,
    serve_listeners,
)
from snowtrio.testing import MemoryListener

from ..serving import (
    Stopwatch,
    ask,
    echo,
    errors_in,
    read_all,
    read_line,
    serving,
)


class Parting(Protocol[bytes]):
    """Says goodbye; lines tell the handler how to take it."""

    codec = LineCodec()

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    async def handle(self, connection: Connection[bytes]) -> None:
        async for line in connection:
            if line == b"slow":
                await trio.sleep(20)
                return
            if line == b"stuck":
                await trio.sleep_forever()
            await connection.send(line)

    async def goodbye(self, connection: Connection[bytes]) -> None:
        self.told += 1
        await connection.send(b"goodbye")
        await super().goodbye(connection)


async def test_report_says_what_became_of_each(autojump_clock: MockClock) -> None:
    """B3: one that ends when told, one that takes its time, one that has to be cut."""
    async with serving(protocol=Parting()) as served:
        ready = await served.connect()
        slow = await served.connect(b"slow\n")
        stuck = await served.connect(b"stuck\n")
        for stream in (ready, slow, stuck):
            served.nursery.start_soon(read_then_close, stream)
        report = await served.server.drain(DrainTimeouts(goodbye=5, wait=60))
    outcomes = [(each.phase, each.cause, each.unsent) for each in report.connections]
    assert outcomes == [
        (Phase.WAIT, Cause.DONE, 0),
        (Phase.WAIT, Cause.DONE, 0),
        (Phase.CANCEL, Cause.DROPPED, 0),
    ]
    assert (report.cut, report.clean) == (1, False)
    assert round(report.seconds[Phase.WAIT], 3) == 60
    assert round(report.seconds[Phase.GOODBYE] + report.seconds[Phase.CANCEL], 3) == 0


async def read_then_close(stream: trio.abc.Stream) -> None:
    await read_all_patiently(stream)
    await stream.aclose()


async def read_all_patiently(stream: trio.abc.Stream) -> bytes:
    return b"".join([data async for data in stream])


async def test_everybody_gets_a_farewell_and_a_clean_end(autojump_clock: MockClock) -> None:
    """S23, B3: what was accepted before is sent first."""
    async with serving(protocol=Parting()) as served:
        streams = [await served.connect(b"one\ntwo\n") for _ in range(3)]
        report = await drain_with(served.server, streams)
    assert report.clean
    assert [each.cause for each in report.connections] == [Cause.DONE] * 3


async def drain_with(
    server: Server[bytes], streams: list[trio.abc.Stream], wait: float = 30
) -> DrainReport:
    """Drain while the peers read to the end and close."""
    reports: list[DrainReport] = []

    async def drain() -> None:
        reports.append(await server.drain(DrainTimeouts(wait=wait)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain)
        for stream in streams:
            nursery.start_soon(expect_goodbye, stream)
    return reports[0]


async def expect_goodbye(stream: trio.abc.Stream) -> None:
    assert await read_all(stream) == b"one\ntwo\ngoodbye\n"
    await stream.aclose()


async def test_unsent_messages_are_in_the_report(autojump_clock: MockClock) -> None:
    """B3: a peer that does not read costs messages, and the report says how many."""

    async def flood(connection: Connection[bytes]) -> None:
        while True:
            await connection.send(b"x" * 50_000)

    limits = ServerLimits(max_outbox_messages=4)
    async with serving(flood, listener=MemoryListener(lockstep=True), limits=limits) as served:
        await served.connect()
        report = await served.server.drain(DrainTimeouts(wait=1))
    (drained,) = report.connections
    assert (drained.phase, drained.unsent) == (Phase.CANCEL, 3)
    assert not report.clean


async def test_goodbye_that_hangs_is_cut_at_its_deadline(autojump_clock: MockClock) -> None:
    """B3: the others are not kept by it."""

    class Stalling(Parting):
        async def goodbye(self, connection: Connection[bytes]) -> None:
            self.told += 1
            if self.told == 1:
                await trio.sleep_forever()
            await super().goodbye(connection)

    async with serving(protocol=Stalling()) as served:
        for _ in range(2):
            served.nursery.start_soon(read_then_close, await served.connect())
        report = await served.server.drain(DrainTimeouts(goodbye=3, wait=4))
    assert round(report.seconds[Phase.GOODBYE], 3) == 3
    assert round(report.seconds[Phase.WAIT], 3) == 4
    assert sorted(each.phase.value for each in report.connections) == ["cancel", "goodbye"]


async def test_goodbye_that_fails_is_logged_and_the_drain_goes_on(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """B3, S22."""

    class Failing(Parting):
        async def goodbye(self, connection: Connection[bytes]) -> None:
            raise LookupError("no farewell")

    async with serving(protocol=Failing()) as served:
        await served.connect()
        report = await served.server.drain(DrainTimeouts(wait=1))
    assert [each.phase for each in report.connections] == [Phase.CANCEL]
    assert [type(error) for error in errors_in(caplog)] == [LookupError]


async def test_goodbye_that_fails_propagates_where_set(autojump_clock: MockClock) -> None:
    """S22."""

    class Failing(Parting):
        async def goodbye(self, connection: Connection[bytes]) -> None:
            raise LookupError("no farewell")

    async def provoke() -> None:
        async with serving(protocol=Failing(), propagate_errors=True) as served:
            await served.connect()
            with pytest.raises(RuntimeError, match="ended before"):
                await served.server.drain()

    with pytest.raises(ExceptionGroup) as caught:
        await provoke()
    assert caught.group_contains(LookupError)


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


async def test_server_that_does_not_serve_cannot_drain(autojump_clock: MockClock) -> None:
    """S23."""
    server = Server(echo, LineCodec())
    with pytest.raises(RuntimeError, match="does not serve"):
        await server.drain()


async def test_server_that_was_cancelled_has_no_report(autojump_clock: MockClock) -> None:
    """S23: before the drain, or in the midst of it."""
    async with serving() as served:
        pass
    with pytest.raises(RuntimeError, match="ended before"):
        await served.server.drain()

    failures: list[RuntimeError] = []

    async def drain(server: Server[bytes]) -> None:
        try:
            await server.drain()
        except RuntimeError as error:
            failures.append(error)

    async with trio.open_nursery() as nursery, serving(protocol=Parting()) as served:
        await served.connect(b"stuck\n")
        nursery.start_soon(drain, served.server)
        await trio.testing.wait_all_tasks_blocked()
    assert len(failures) == 1


async def test_nothing_is_left(autojump_clock: MockClock) -> None:
    """S23: no task of the server lives on after the drain."""
    before = trio.lowlevel.current_statistics().tasks_living
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_listeners, echo, LineCodec(), [listener])
        server = await nursery.start(serve)
        streams = [await listener.connect() for _ in range(5)]
        for stream in streams:
            assert await ask(stream, b"x") == b"x"
            nursery.start_soon(read_then_close, stream)
        await server.drain()
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks
        assert trio.lowlevel.current_statistics().tasks_living == before


async def test_server_serves_once(autojump_clock: MockClock) -> None:
    """S23."""
    async with serving() as served:
        with pytest.raises(RuntimeError, match="once"):
            await served.server.serve([MemoryListener()])
