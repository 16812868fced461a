"""Hooks, handlers and transports that fail: what ends with them, and what goes on."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, ServerLimits

from ..serving import FaultyListener, ask, errors_in, read_all, serving
from .watched import Watched


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


async def test_handlers_own_tasks_may_find_out_together(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S10: a group of nothing but departures is one; with anything else in it, it is not."""

    async def handle(connection: Connection[bytes]) -> None:
        async with trio.open_nursery() as nursery:
            if await connection.receive() == b"mixed":
                nursery.start_soon(fail_at_the_end, connection)
            nursery.start_soon(connection.receive)

    async def fail_at_the_end(connection: Connection[bytes]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError("in the clean-up")

    async with serving(handle) as served:
        for line in (b"plain\n", b"mixed\n"):
            await (await served.connect(line)).aclose()
            await trio.testing.wait_all_tasks_blocked()
    (error,) = errors_in(caplog)
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(LookupError) is not None


async def test_goodbye_to_one_that_has_left_is_no_failure(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22, B3."""

    class Late(Watched):
        async def goodbye(self, connection: Connection[bytes]) -> None:
            await connection.aclose()
            await connection.send(b"goodbye")

    async with serving(protocol=Late()) as served:
        await served.connect()
        await served.server.drain()
    assert errors_in(caplog) == []


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
