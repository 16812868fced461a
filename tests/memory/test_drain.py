"""Draining a server: phases with deadlines, and a report of what became of everybody."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    Cause,
    Connection,
    DrainReport,
    DrainTimeouts,
    LineCodec,
    Phase,
    Server,
    ServerLimits,
    serve_listeners,
)
from snowtrio.testing import MemoryListener

from ..serving import (
    ask,
    echo,
    errors_in,
    read_all,
    serving,
)
from .parting import Parting, read_then_close


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
