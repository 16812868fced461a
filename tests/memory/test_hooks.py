"""The close and purge hooks: once each, whatever ended the connection, and alone when they fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, DrainTimeouts, LineCodec, Protocol, ServerLimits

from ..serving import FaultyListener, Served, Stopwatch, ask, errors_in, lines_of, read_all, serving


class Watched(Protocol[bytes]):
    """Remembers what its hooks were told; lines tell its handler what to do."""

    codec = LineCodec(max_message_size=64)

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.failing: dict[str, BaseException] = {}

    async def handle(self, connection: Connection[bytes]) -> None:
        self.events.append("handle")
        async for line in connection:
            if line == b"return":
                return
            if line == b"aclose":
                await connection.aclose()
            if line == b"drop":
                connection.drop()
            if line == b"flood":
                while True:
                    await connection.send(b"x" * 60)
            if line == b"sleep":
                await trio.sleep_forever()
            if line == b"raise":
                raise self.failing["handle"]

    async def close(self, connection: Connection[bytes]) -> None:
        assert connection.ending is not None
        self.events.append(connection.ending.cause)
        if "close" in self.failing:
            raise self.failing["close"]

    def purge(self, connection: Connection[bytes], messages: Sequence[bytes]) -> None:
        self.events.append(list(messages))
        if "purge" in self.failing:
            raise self.failing["purge"]


@attrs.define
class Scene:
    """One connection to a `Watched` server."""

    served: Served
    stream: trio.StapledStream[Any, Any]
    listener: FaultyListener

    async def say(self, line: bytes) -> None:
        await self.stream.send_all(line + b"\n")


End: TypeAlias = Callable[[Scene], Awaitable[object]]


async def peer_leaves(scene: Scene) -> None:
    await scene.stream.aclose()


async def connection_breaks(scene: Scene) -> None:
    scene.listener.accepted[0].break_now()
    await scene.stream.send_all(b"x")


async def nothing_moves(scene: Scene) -> None:
    await trio.sleep(100)


async def drained(scene: Scene) -> None:
    await scene.served.server.drain(DrainTimeouts(wait=1))


async def drained_by_force(scene: Scene) -> None:
    await scene.say(b"sleep")
    await trio.testing.wait_all_tasks_blocked()
    await scene.served.server.drain(DrainTimeouts(goodbye=0, wait=0))


async def all_closed(scene: Scene) -> None:
    scene.served.server.close_all()


async def server_is_cancelled(scene: Scene) -> None:
    scene.served.nursery.cancel_scope.cancel()


def told(line: bytes) -> End:
    async def tell(scene: Scene) -> None:
        await scene.say(line)

    return tell


ENDS: list[tuple[End, Cause]] = [
    (peer_leaves, Cause.PEER_CLOSED),
    (connection_breaks, Cause.LOST),
    (nothing_moves, Cause.IDLE),
    (drained, Cause.DONE),
    (drained_by_force, Cause.DROPPED),
    (all_closed, Cause.DROPPED),
    (server_is_cancelled, Cause.CANCELLED),
    (told(b"return"), Cause.DONE),
    (told(b"aclose"), Cause.CLOSED),
    (told(b"drop"), Cause.DROPPED),
    (told(b"raise"), Cause.HANDLER_ERROR),
    (told(b"x" * 1000), Cause.PROTOCOL_ERROR),
    (told(b"flood"), Cause.STALLED),
]


@pytest.mark.parametrize(("end", "cause"), ENDS)
async def test_close_runs_once_whatever_ended_it(
    end: End, cause: Cause, autojump_clock: MockClock
) -> None:
    """S10, S24: after the handler, with the right cause; the place is free afterwards."""
    protocol = Watched()
    protocol.failing["handle"] = LookupError("on command")
    listener = FaultyListener(lockstep=end is ENDS[-1][0])
    limits = ServerLimits(idle_timeout=50, stall_timeout=5, max_connections=1)
    with suppress(trio.Cancelled):
        async with serving(protocol=protocol, listener=listener, limits=limits) as served:
            stream = await served.connect()
            assert isinstance(stream, trio.StapledStream)
            await end(Scene(served, stream, listener))
            await trio.sleep(10)
            pool = served.server.statistics().pool
            assert (served.counts, pool.ended) == ((0, 0), {cause: 1})
    assert protocol.events[:2] == ["handle", cause]
    assert [event for event in protocol.events if isinstance(event, Cause)] == [cause]


async def test_purge_gets_what_the_kernel_did_not(autojump_clock: MockClock) -> None:
    """S11: exactly that, in order, once, after close."""
    protocol = Watched()
    protocol.codec = LineCodec()
    messages = [b"%d" % number * 10_000 for number in range(5)]

    async def handle(connection: Connection[bytes]) -> None:
        for message in messages:
            connection.send_nowait(message)
        await connection.receive()

    protocol.handle = handle  # type: ignore[method-assign]
    listener = FaultyListener(lockstep=True)
    async with serving(None, protocol, listener=listener) as served:
        await served.connect()
        served.server.close_all()
        await trio.testing.wait_all_tasks_blocked()
        pool = served.server.statistics().pool
    # A stream that is no socket does not say how far it came with the 16 KiB in hand: those are in
    # doubt, and not purged.
    assert (pool.messages_in_doubt, pool.messages_unsent) == (2, 3)
    assert protocol.events == [Cause.DROPPED, messages[2:]]


async def test_no_purge_when_all_was_sent(autojump_clock: MockClock) -> None:
    """S11."""
    protocol = Watched()
    async with serving(protocol=protocol) as served:
        await (await served.connect(b"return\n")).aclose()
        await trio.testing.wait_all_tasks_blocked()
    assert protocol.events == ["handle", Cause.DONE]


@pytest.mark.parametrize("hook", ["handle", "close", "purge"])
async def test_failing_hook_ends_its_connection_only(
    hook: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: logged with its traceback; the hooks after it run, and the place is free."""
    protocol = Watched()
    protocol.failing[hook] = LookupError(hook)
    protocol.failing.setdefault("handle", ValueError("another"))
    limits = ServerLimits(stall_timeout=5)
    listener = FaultyListener(lockstep=True)
    async with serving(protocol=protocol, listener=listener, limits=limits) as served:
        await served.connect(b"raise\n" if hook != "purge" else b"flood\n")
        await trio.sleep(20)
        assert served.counts == (0, 0)
        assert sum(isinstance(event, Cause) for event in protocol.events) == 1
        protocol.failing.clear()
        other = await served.connect(b"return\n")
        assert await read_all(other) == b""
    assert LookupError in [type(error) for error in errors_in(caplog)]
    assert all(error is not None and error.__traceback__ for error in errors_in(caplog))


@pytest.mark.parametrize("hook", ["handle", "close"])
async def test_failing_hook_propagates_where_set(hook: str, autojump_clock: MockClock) -> None:
    """S22: it ends the server and comes out as it is."""
    protocol = Watched()
    protocol.failing[hook] = LookupError(hook)

    async def provoke() -> None:
        async with serving(protocol=protocol, propagate_errors=True) as served:
            await served.connect(b"raise\n" if hook == "handle" else b"return\n")
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await provoke()
    assert caught.group_contains(LookupError, depth=1)


async def test_of_several_failures_one_propagates_and_the_others_are_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: none is lost."""
    protocol = Watched()
    protocol.failing.update(handle=LookupError("first"), close=ValueError("second"))

    async def provoke() -> None:
        async with serving(protocol=protocol, propagate_errors=True) as served:
            await served.connect(b"raise\n")
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await provoke()
    assert caught.group_contains(LookupError, depth=1)
    assert [type(error) for error in errors_in(caplog)] == [ValueError]


async def test_close_hook_that_fails_under_cancellation_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22, B6: a server that is cancelled does not swallow what its hooks raise."""
    protocol = Watched()
    protocol.failing["close"] = LookupError("at the end")
    async with serving(protocol=protocol) as served:
        await served.connect()
    assert [type(error) for error in errors_in(caplog)] == [LookupError]


async def test_close_hook_can_wait_though_the_server_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    """S10: it is shielded."""
    done: list[int] = []

    class Slow(Watched):
        async def close(self, connection: Connection[bytes]) -> None:
            await trio.sleep(3)
            done.append(served.counts[0])

    async with serving(protocol=Slow()) as served:
        await served.connect()
        await served.connect()
    assert done == [2, 1]


async def test_close_hook_that_hangs_is_cut(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S10, S23: a drain waits for the hooks, and for none of them for ever."""

    class Hanging(Watched):
        async def close(self, connection: Connection[bytes]) -> None:
            await super().close(connection)
            await trio.sleep_forever()

    protocol = Hanging()
    async with serving(protocol=protocol, limits=ServerLimits(hook_timeout=7)) as served:
        stream = await served.connect(b"return\n")
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (1, 0)
        watch = Stopwatch()
        await served.server.drain()
        assert watch.seconds == 7
        assert served.counts == (0, 0)
    assert protocol.events == ["handle", Cause.DONE]
    assert any("took too long" in line for line in lines_of(caplog, 40))


async def test_another_connections_end_is_this_handlers_failure(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: its own end is a normal departure; somebody else's is a mistake to be shown."""
    first: list[Connection[bytes]] = []

    async def pass_on(connection: Connection[bytes]) -> None:
        first.append(connection)
        while True:
            line = await connection.receive()
            await first[0].send(line)

    async with serving(pass_on) as served:
        one, two = await served.connect(), await served.connect()
        await one.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert errors_in(caplog) == []
        await two.send_all(b"for the one that left\n")
        await trio.testing.wait_all_tasks_blocked()
        await two.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {
            Cause.PEER_CLOSED: 1,
            Cause.HANDLER_ERROR: 1,
        }
    (error,) = errors_in(caplog)
    assert isinstance(error, trio.ClosedResourceError | trio.BrokenResourceError)


class Stop(BaseException):
    """What ends a program rather than a connection, as KeyboardInterrupt does."""


@pytest.mark.parametrize("hook", ["handle", "close"])
async def test_what_ends_programs_passes_and_leaves_the_counts_right(
    hook: str, autojump_clock: MockClock
) -> None:
    """S22, B6: the hooks of all connections run on its way out."""
    protocol = Watched()
    protocol.failing[hook] = Stop()

    async def provoke() -> None:
        async with serving(protocol=protocol) as served:
            await served.connect()
            await served.connect(b"raise\n" if hook == "handle" else b"return\n")
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await provoke()
    assert caught.group_contains(Stop)
    assert sum(isinstance(event, Cause) for event in protocol.events) == 2


@pytest.mark.parametrize("method", ["receive_some", "send_all", "aclose"])
async def test_transport_that_fails_in_its_own_way_ends_its_connection_only(
    method: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: errors that no stream should raise reach no other connection."""

    async def fail(*arguments: object) -> bytes:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("not a Trio stream's error")

    protocol = Watched()
    listener = FaultyListener()
    async with serving(protocol=protocol, listener=listener) as served:
        other = await served.connect()
        bad = await served.connect()
        setattr(listener.accepted[1], method, fail)
        await bad.send_all(b"flood\n" if method == "send_all" else b"return\n")
        await trio.sleep(30)
        assert served.counts == (1, 0)
        await other.send_all(b"return\n")
        assert await read_all(other) == b""


async def test_served_again_after_every_failure(autojump_clock: MockClock) -> None:
    """S22, S20: a place that a failure took would be missing here."""
    protocol = Watched()
    protocol.failing.update(handle=LookupError(), close=LookupError(), purge=LookupError())
    async with serving(protocol=protocol, limits=ServerLimits(max_connections=2)) as served:
        for _ in range(10):
            await (await served.connect(b"raise\n")).aclose()
            await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (0, 0)
    async with serving() as served:
        assert await ask(await served.connect(), b"x") == b"x"
