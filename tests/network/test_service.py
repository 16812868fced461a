"""Servers that run until a signal says stop; a real one, which this process sends to itself."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import attrs
import pytest
import trio
import trio.testing

from snowtrio import (
    Connection,
    DrainReport,
    DrainTimeouts,
    LineCodec,
    Server,
    ServiceNotStartedError,
    ServiceReport,
    SignalReceiver,
    run_service,
    serve_tcp,
)

if os.name == "nt":
    pytest.skip("there is nothing to send here", allow_module_level=True)

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
KINDS = (INT, TERM, HUP)
TIMEOUT = 20


@pytest.fixture(autouse=True)
def handlers_restored() -> Iterator[None]:
    """In every test the handlers are those that were there before."""
    before = {number: signal.getsignal(number) for number in KINDS}
    yield
    assert {number: signal.getsignal(number) for number in KINDS} == before


@attrs.define(eq=False)
class Fake:
    """Serves nobody, as the test tells it.

    Parameters:
        name: for its events.
        events: what happened, in order.
        held: it does not start before this is set.
        stuck: its drain does not end.
        error: what it ends with, when it is told to end.
    """

    name: str = "fake"
    events: list[str] = attrs.field(factory=list)
    held: trio.Event | None = None
    stuck: bool = False
    error: Exception | None = None
    drain_error: Exception | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)
    draining: trio.Event = attrs.field(factory=trio.Event)
    given: list[DrainTimeouts] = attrs.field(factory=list)

    def note(self, event: str) -> None:
        self.events.append(f"{self.name} {event}")

    async def serve(self, *, task_status: trio.TaskStatus[Any]) -> None:
        self.note("starting")
        try:
            if self.held is not None:
                await self.held.wait()
            task_status.started(self)
            self.note("started")
            await self.ended.wait()
            if self.error is not None:
                raise self.error
            self.note("ended")
        except trio.Cancelled:
            self.note("cancelled")
            raise

    async def drain(self, *timeouts: DrainTimeouts) -> str:
        self.given.extend(timeouts)
        self.draining.set()
        if self.drain_error is not None:
            raise self.drain_error
        if self.stuck:
            await trio.sleep_forever()
        self.ended.set()
        return f"{self.name} drained"


async def run_when_ready(*fakes: Fake, number: signal.Signals, **options: Any) -> ServiceReport:
    """Run fakes as a service; when they are ready a signal arrives."""
    with trio.fail_after(TIMEOUT):
        return await run_service(
            *(fake.serve for fake in fakes),
            ready=lambda *_: signal.raise_signal(number),
            **options,
        )


def in_background(call: Any, *arguments: Any) -> Any:
    """Return an async function that puts the result of another into a list."""

    async def run(results: list[Any]) -> None:
        results.append(await call(*arguments))

    return run


# To the end


@pytest.mark.parametrize("number", [INT, TERM])
async def test_a_signal_drains_it(number: signal.Signals) -> None:
    """Rows P8 and P11."""
    fake = Fake()
    report = await run_when_ready(fake, number=number)
    assert report == ServiceReport(signals=(number,), cut=False, drained=("fake drained",))
    assert report.status == 0
    assert fake.events == ["fake starting", "fake started", "fake ended"]
    assert fake.given == []


async def test_a_real_server_answers_what_it_has_and_ends() -> None:
    """Rows P8 and S23: with the report of its drain."""
    got: list[bytes] = []

    async def talk(server: Server[bytes]) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            await stream.send_all(b"one\n")
            got.append(await stream.receive_some())
            signal.raise_signal(TERM)
            got.append(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        report = await run_service(
            partial(serve_tcp, echo, LineCodec(), 0),
            ready=lambda server: nursery.start_soon(talk, server),
            timeouts=DrainTimeouts(wait=TIMEOUT),
        )
    assert got == [b"one\n", b""]
    (drained,) = report.drained
    assert isinstance(drained, DrainReport)
    assert drained.clean
    assert len(drained.connections) == 1


async def echo(connection: Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(line)


async def test_several_start_in_order_and_drain_together() -> None:
    """Row P8: all of them with the timeouts that were given."""
    events: list[str] = []
    first, second = Fake("first", events), Fake("second", events)
    timeouts = DrainTimeouts(wait=3)
    given: list[object] = []

    def ready(*servers: object) -> None:
        given.extend(servers)
        signal.raise_signal(TERM)

    report = await run_service(first.serve, second.serve, ready=ready, timeouts=timeouts)
    assert given == [first, second]
    assert report.drained == ("first drained", "second drained")
    assert first.given == second.given == [timeouts]
    assert events[:4] == ["first starting", "first started", "second starting", "second started"]


async def test_one_that_ends_by_itself_ends_it() -> None:
    """Row P8: when all have; without a signal."""
    first, second = Fake("first"), Fake("second")
    results: list[ServiceReport] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_background(run_service, first.serve, second.serve), results)
        await trio.testing.wait_all_tasks_blocked()
        first.ended.set()
        await trio.testing.wait_all_tasks_blocked()
        assert results == []
        second.ended.set()
    assert results == [ServiceReport(signals=(), cut=False, drained=(None, None))]
    assert results[0].status == 0


async def test_an_error_at_the_start_ends_it_plain() -> None:
    """Row P8: a port in use, say; those that have started are cancelled."""
    other = Fake()

    async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
        raise OSError("the port is in use")

    with pytest.raises(OSError, match="in use"):
        await run_service(other.serve, serve)
    assert other.events[-1] == "fake cancelled"


async def test_the_error_of_a_server_ends_it_plain() -> None:
    """Row P8: while it serves."""
    other = Fake()
    broken = Fake(error=OSError("broken"))
    with pytest.raises(OSError, match="broken"):
        await run_service(other.serve, broken.serve, ready=lambda *_: broken.ended.set())
    assert other.events[-1] == "fake cancelled"


async def test_the_error_of_a_server_that_drains_ends_it_plain() -> None:
    """Row P8: though its drain fails as well, as it does where the server has ended."""
    other = Fake(stuck=True)
    error = OSError("broken")

    async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
        fake = Fake(drain_error=RuntimeError("it has ended"))
        task_status.started(fake)
        await fake.draining.wait()
        await trio.testing.wait_all_tasks_blocked()
        raise error

    with pytest.raises(OSError, match="broken"):
        await run_service(other.serve, serve, ready=lambda *_: signal.raise_signal(TERM))
    assert other.events[-1] == "fake cancelled"


async def test_cancelled_it_cancels_its_servers() -> None:
    """Rows P8 and B6."""
    fake = Fake()
    with trio.CancelScope() as scope:
        await run_service(fake.serve, ready=lambda _: scope.cancel())
    assert scope.cancelled_caught
    assert fake.events[-1] == "fake cancelled"


async def test_the_error_of_ready_ends_it_plain() -> None:
    """Row P8."""

    def ready(server: object) -> None:
        raise ZeroDivisionError

    fake = Fake()
    with pytest.raises(ZeroDivisionError):
        await run_service(fake.serve, ready=ready)
    assert fake.events[-1] == "fake cancelled"


# Cut short


@pytest.mark.parametrize(("second", "status"), [(INT, 130), (TERM, 143)])
async def test_another_signal_cuts_the_drain_short(second: signal.Signals, status: int) -> None:
    """Row P8: with a status that says so; the server is cancelled."""
    fake = Fake(stuck=True)
    results: list[ServiceReport] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_background(partial(run_when_ready, number=TERM), fake), results)
        await fake.draining.wait()
        signal.raise_signal(second)
    (report,) = results
    assert report == ServiceReport(signals=(TERM, second), cut=True, drained=(None,))
    assert report.status == status
    assert fake.events[-1] == "fake cancelled"


async def test_after_the_cut_signals_do_what_they_did() -> None:
    """Row P8: a third one ends a program whose servers do not even heed a cancellation."""
    cut = trio.Event()
    before = signal.getsignal(TERM)

    async def deaf(*, task_status: trio.TaskStatus[Fake]) -> None:
        task_status.started(Fake(stuck=True))
        try:
            await trio.sleep_forever()
        finally:
            assert signal.getsignal(TERM) == before
            cut.set()

    results: list[ServiceReport] = []
    fake = Fake(stuck=True)
    async with trio.open_nursery() as nursery:
        run = partial(run_service, fake.serve, deaf, ready=lambda *_: signal.raise_signal(TERM))
        nursery.start_soon(in_background(run), results)
        await fake.draining.wait()
        signal.raise_signal(TERM)
        await cut.wait()
    assert results[0].cut


async def test_a_drain_that_takes_too_long_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """Row P8: after the time of its phases and the grace on top."""
    fake = Fake(stuck=True)
    began = trio.current_time()
    timeouts = DrainTimeouts(goodbye=0.05, wait=0.05)
    report = await run_when_ready(fake, number=TERM, timeouts=timeouts, grace=0.1)
    assert trio.current_time() - began >= 0.2
    assert report.cut
    assert report.status == 124
    assert fake.events[-1] == "fake cancelled"
    assert "cut short" in caplog.text


async def test_signals_that_come_together_with_the_end_do_nothing_more() -> None:
    """Row P8: they are not handed on to the handlers that were there: those end the process."""
    fake = Fake()

    async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
        await fake.serve(task_status=task_status)
        signal.raise_signal(INT)

    report = await run_service(serve, ready=lambda _: signal.raise_signal(TERM))
    assert report.status == 0


async def test_signals_after_the_end_do_nothing_more() -> None:
    """Row P8: one comes when no task looks at them, and the handlers are not restored yet."""
    fake = Fake()
    reloading = trio.Event()

    async def reload(server: object) -> None:
        reloading.set()
        try:
            await trio.sleep_forever()
        finally:
            signal.raise_signal(INT)

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_service, reload=reload), fake.serve)
        signal.raise_signal(HUP)
        await reloading.wait()
        signal.raise_signal(TERM)
    assert fake.events[-1] == "fake ended"


async def test_a_drain_that_fails_ends_it() -> None:
    """Row P8: with its error, if the server goes on."""
    fake = Fake(drain_error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await run_when_ready(fake, number=TERM)
    assert fake.events[-1] == "fake cancelled"


async def test_a_server_that_ends_as_it_is_to_drain_is_no_failure() -> None:
    """Row P8: its drain says that it has ended, and so it has."""
    fake = Fake(drain_error=RuntimeError("it has ended"))

    async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
        task_status.started(fake)
        await fake.draining.wait()

    report = await run_service(serve, ready=lambda _: signal.raise_signal(TERM))
    assert report.status == 0
    assert report.drained == (None,)


# Before the start


async def test_a_signal_before_the_start_cancels_it() -> None:
    """Row P8: nothing is lost, and nothing was ready."""
    fake = Fake(held=trio.Event())
    readied: list[object] = []
    results: list[ServiceReport] = []
    async with trio.open_nursery() as nursery:
        run = partial(run_service, fake.serve, ready=readied.append)
        nursery.start_soon(in_background(run), results)
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(INT)
    assert fake.events == ["fake starting", "fake cancelled"]
    assert results == [ServiceReport(signals=(INT,), cut=False, drained=(None,))]
    assert results[0].status == 0
    assert readied == []


async def test_those_that_have_started_are_drained_then() -> None:
    """Row P8: of two, the second is still starting."""
    events: list[str] = []
    first, second = Fake("first", events), Fake("second", events, held=trio.Event())
    results: list[ServiceReport] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_background(run_service, first.serve, second.serve), results)
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(INT)
    assert set(events[3:]) == {"second cancelled", "first ended"}
    assert results[0].drained == ("first drained", None)


async def test_one_that_starts_all_the_same_is_drained() -> None:
    """Row P8: the signal comes while it does not look for cancellations any more."""
    fake = Fake()

    async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
        signal.raise_signal(TERM)
        with trio.CancelScope(shield=True):
            for _ in range(5):
                await trio.lowlevel.checkpoint()
        await fake.serve(task_status=task_status)

    with trio.fail_after(TIMEOUT):
        report = await run_service(serve)
    assert report.drained == ("fake drained",)


async def test_nursery_start_is_told_when_there_is_no_server() -> None:
    """Row P8."""
    fake = Fake(held=trio.Event())

    async def stop() -> None:
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(TERM)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        with pytest.raises(ServiceNotStartedError, match="SIGTERM"):
            await nursery.start(run_service, fake.serve)
    assert fake.events[-1] == "fake cancelled"


# In a nursery of the user's


async def test_nursery_start_reports_the_servers() -> None:
    """Row P8: one as it is, several as a tuple; the nursery lives on when they have ended."""
    first, second = Fake("first"), Fake("second")
    async with trio.open_nursery() as nursery:
        assert await nursery.start(run_service, first.serve) is first
        first.ended.set()
        assert await nursery.start(run_service, first.serve, second.serve) == (first, second)
        signal.raise_signal(TERM)


async def test_two_services_and_a_receiver_all_get_the_signal() -> None:
    """Row P8: one in another's nursery, and none takes it from the others."""
    first, second = Fake("first"), Fake("second")
    results: list[ServiceReport] = []
    with SignalReceiver(TERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(run_service, first.serve)
            run = partial(run_service, second.serve, ready=lambda _: signal.raise_signal(TERM))
            nursery.start_soon(in_background(run), results)
        assert await signals.receive() is TERM
    assert first.events[-1] == "first ended"
    assert results[0].status == 0


async def test_only_the_signals_that_were_asked_for() -> None:
    """Row P8: a worker whose parent tells it to stop may leave Ctrl-C to the parent."""
    fake = Fake()
    before = {number: signal.getsignal(number) for number in KINDS}

    def ready(server: object) -> None:
        now = {number: signal.getsignal(number) for number in KINDS}
        assert [number for number in KINDS if now[number] != before[number]] == [TERM]
        signal.raise_signal(TERM)

    assert (await run_service(fake.serve, ready=ready, stop_signals=[TERM])).status == 0


# What is wrong is told


async def test_what_has_no_drain_is_told() -> None:
    """Row P8."""

    async def serve(*, task_status: trio.TaskStatus[str]) -> None:
        task_status.started("nothing")

    with pytest.raises(TypeError, match="not 'nothing'"):
        await run_service(serve)
    with pytest.raises(TypeError, match="needs a server"):
        await run_service()
    # The arguments that nursery.start would have passed on.
    with pytest.raises(TypeError, match=r"functools\.partial.*LineCodec"):
        await run_service(serve, cast("Any", LineCodec()))


def test_another_thread_is_told_what_it_cannot_do() -> None:
    """Row P8: nothing was started."""
    fake = Fake()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            await trio.to_thread.run_sync(trio.run, partial(run_service, fake.serve))

    trio.run(main)
    assert fake.events == []


# Reloads


@attrs.define(eq=False)
class Reloads:
    """A reload hook that the test holds in its hands."""

    begun: list[trio.Event] = attrs.field(factory=list)
    came: trio.Event = attrs.field(factory=trio.Event)
    errors: list[Exception] = attrs.field(factory=list)
    cancelled: int = 0
    servers: tuple[object, ...] = ()

    async def reload(self, *servers: object) -> None:
        self.servers = servers
        go_on = trio.Event()
        self.begun.append(go_on)
        self.came.set()
        try:
            await go_on.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop()

    async def wait(self, number: int) -> None:
        """Wait until it has been called so often."""
        with trio.fail_after(TIMEOUT):
            while len(self.begun) < number:
                await self.came.wait()
                self.came = trio.Event()


async def test_sighup_reloads_and_several_are_one(caplog: pytest.LogCaptureFixture) -> None:
    """Row P8: those that come while it runs have it run once more; its errors end nothing."""
    fake, reloads = Fake(), Reloads(errors=[ZeroDivisionError("no such file")])
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_service, reload=reloads.reload), fake.serve)
        signal.raise_signal(HUP)
        await reloads.wait(1)
        for _ in range(3):
            signal.raise_signal(HUP)
            await trio.testing.wait_all_tasks_blocked()
        reloads.begun[0].set()
        await reloads.wait(2)
        reloads.begun[1].set()
        await trio.testing.wait_all_tasks_blocked()
        assert len(reloads.begun) == 2
        assert reloads.servers == (fake,)
        assert "no such file" in caplog.text
        signal.raise_signal(TERM)
    assert fake.events[-1] == "fake ended"


async def test_sighup_before_the_start_is_kept() -> None:
    """Row P8."""
    fake, reloads = Fake(held=trio.Event()), Reloads()
    assert fake.held is not None
    async with trio.open_nursery() as nursery:
        run = partial(run_service, fake.serve, reload=reloads.reload)
        nursery.start_soon(in_background(run), [])
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(HUP)
        await trio.testing.wait_all_tasks_blocked()
        assert reloads.begun == []
        fake.held.set()
        await reloads.wait(1)
        signal.raise_signal(TERM)


async def test_a_signal_during_a_reload_drains_and_the_reload_goes_on_beside_it() -> None:
    """Row P8: and is cancelled at the end."""
    fake, reloads = Fake(), Reloads()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_service, reload=reloads.reload), fake.serve)
        signal.raise_signal(HUP)
        await reloads.wait(1)
        signal.raise_signal(TERM)
    assert fake.events[-1] == "fake ended"
    assert reloads.cancelled == 1


async def test_sighup_during_the_drain_neither_reloads_nor_cuts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row P8."""
    caplog.set_level(logging.INFO, logger="snowtrio.service")
    fake, reloads = Fake(stuck=True), Reloads()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_service, reload=reloads.reload), fake.serve)
        signal.raise_signal(TERM)
        await fake.draining.wait()
        signal.raise_signal(HUP)
        await trio.testing.wait_all_tasks_blocked()
        assert fake.events[-1] == "fake started"
        fake.ended.set()
    assert reloads.begun == []
    assert "not reloaded" in caplog.text
    assert fake.events[-1] == "fake ended"
