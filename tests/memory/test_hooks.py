"""The close and purge hooks: once each, whatever ended the connection, and alone when they fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, DrainTimeouts, LineCodec, ServerLimits

from ..serving import FaultyListener, Served, Stopwatch, lines_of, serving
from .watched import Watched


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
