"""Cancelled at every step in turn, a server leaves its counts and its streams as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    BufferedStream,
    Connection,
    DrainTimeouts,
    LineCodec,
    Protocol,
    Server,
    ServerLimits,
    Side,
    serve_listeners,
)
from snowtrio.testing import FaultyStream, MemoryListener

from ..serving import Steps


class Tracked(FaultyStream):
    """Knows whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


class TrackingListener(MemoryListener):
    """Knows whether it was closed, and what it accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[Tracked] = []
        self.closed = False

    async def accept(self) -> trio.abc.Stream:
        self.accepted.append(Tracked(await super().accept()))
        return self.accepted[-1]

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


class Ledger(Protocol[bytes, bytes, bytes]):
    """Counts what its hooks were told of."""

    codec = LineCodec()

    def __init__(self) -> None:
        super().__init__()
        self.agreed = self.closed = 0
        self.purged: list[bytes] = []

    async def handshake(self, side: Side, stream: BufferedStream) -> bytes:
        name = await stream.receive_line()
        await stream.send_all(b"welcome\n")
        self.agreed += 1
        return name

    async def handle(self, connection: Connection[bytes, bytes, bytes]) -> None:
        async for line in connection:
            await connection.send(line)

    async def close(self, connection: Connection[bytes, bytes, bytes]) -> None:
        await trio.lowlevel.checkpoint()
        self.closed += 1

    def purge(self, connection: Connection[bytes, bytes, bytes], messages: Sequence[bytes]) -> None:
        self.purged += messages


@attrs.define
class Scene:
    """What a run leaves to be looked at."""

    listeners: list[TrackingListener]
    protocol: Ledger
    servers: list[Server[bytes, bytes, bytes]] = attrs.Factory(list)

    def check(self) -> None:
        """Nothing is left, and every account agrees."""
        assert all(listener.closed for listener in self.listeners if self.servers)
        assert all(each.closed for listener in self.listeners for each in listener.accepted)
        for server in self.servers:
            statistics = server.statistics()
            pool = statistics.pool
            assert (pool.connections, pool.handshaking, server.connections) == (0, 0, [])
            assert self.protocol.closed == pool.opened == sum(pool.ended.values())
            assert statistics.memory_held == 0
            held = pool.messages_sent + pool.messages_unsent + pool.messages_in_doubt
            assert pool.messages_accepted == held


async def serve_and_talk(scene: Scene) -> None:
    """Serve peers that talk, leave, stall, are refused and wait, then drain."""
    limits = ServerLimits(
        max_connections=3, max_handshakes=2, linger_timeout=0.5, memory_budget=10_000
    )
    async with trio.open_nursery() as nursery:
        serve = partial(
            serve_listeners,
            None,
            scene.protocol,
            scene.listeners,
            limits=limits,
            when_full=b"full\n",
        )
        server = await nursery.start(serve)
        scene.servers.append(server)
        first, second = scene.listeners
        talking = await first.connect()
        await talking.send_all(b"ann\none\ntwo\n")
        stalled = await second.connect()
        leaving = await first.connect()
        await leaving.send_all(b"bob\nx\n")
        await trio.sleep(0.1)
        await leaving.aclose()
        crowd = [await listener.connect() for listener in scene.listeners for _ in range(2)]
        await crowd[0].send_all(b"cat\n")
        await trio.sleep(0.1)
        await server.drain(DrainTimeouts(goodbye=0.2, wait=0.2))
        for stream in (talking, stalled, *crowd):
            await stream.aclose()


async def run_and_strike(number: int) -> tuple[Scene, int, bool]:
    """Run the scene, cancelled at a step; return it, the steps taken, whether it was struck."""
    scene = Scene([TrackingListener(), TrackingListener()], Ledger())
    with trio.CancelScope() as scope:
        steps = Steps(number, partial(scope.cancel, reason="struck"))
        trio.lowlevel.add_instrument(steps)
        try:
            await serve_and_talk(scene)
        finally:
            trio.lowlevel.remove_instrument(steps)
    return scene, steps.taken, scope.cancelled_caught


async def test_cancelled_at_every_step_in_turn(autojump_clock: MockClock) -> None:
    """B6: accept, handshake, handler, hooks, refusal and drain; all ends with right counts."""
    whole, total, _ = await run_and_strike(0)
    whole.check()
    assert whole.protocol.closed in (2, 3)  # Which of the crowd gets the place is chance.
    struck = 0
    for number in range(1, total + 1):
        scene, _, hit = await run_and_strike(number)
        scene.check()
        struck += hit
    assert struck > total // 2 > 50


async def test_one_connection_cancelled_at_every_step_in_turn(autojump_clock: MockClock) -> None:
    """B6: cut at any step, a connection leaves the others and the counts as they should be."""
    for number in range(1, 60):
        protocol = Ledger()
        listener = TrackingListener()
        async with trio.open_nursery() as nursery:
            serve = partial(serve_listeners, None, protocol, [listener])
            server: Server[bytes, bytes, bytes] = await nursery.start(serve)
            steps = Steps(number, server.close_all)
            trio.lowlevel.add_instrument(steps)
            stream = await listener.connect()
            await stream.send_all(b"ann\none\n")
            await trio.sleep(0.1)
            trio.lowlevel.remove_instrument(steps)
            await stream.aclose()
            await trio.sleep(5)
            other = await listener.connect()
            await other.send_all(b"bob\none\n")
            await trio.sleep(0.1)
            assert await other.receive_some() == b"welcome\none\n"
            assert len(server.connections) == 1
            nursery.cancel_scope.cancel()
        Scene([listener], protocol, [server]).check()


@pytest.mark.parametrize("wait", [0.0, 10.0])
async def test_drain_cancelled_at_every_step_in_turn(
    wait: float, autojump_clock: MockClock
) -> None:
    """B6: whoever called it may go; the server ends and says how."""
    for number in range(1, 40):
        scene = Scene([TrackingListener()], Ledger())
        async with trio.open_nursery() as nursery:
            serve = partial(serve_listeners, None, scene.protocol, scene.listeners)
            server = await nursery.start(serve)
            scene.servers.append(server)
            stream = await scene.listeners[0].connect()
            await stream.send_all(b"ann\none\n")
            await trio.sleep(0.1)
            with trio.CancelScope() as scope:
                steps = Steps(number, scope.cancel)
                trio.lowlevel.add_instrument(steps)
                await server.drain(DrainTimeouts(wait=wait))
            trio.lowlevel.remove_instrument(steps)
            report = await server.drain()
            assert len(report.connections) == 1
            await stream.aclose()
        scene.check()
