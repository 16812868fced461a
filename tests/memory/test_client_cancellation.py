"""Cancelled at every await in turn, a client's counts, streams and messages are as they should be.

The scenarios are run again and again, each time cancelled one suspension later, until one comes to
its end (row B6).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from snowtrio import (
    BufferedStream,
    Client,
    Side,
    open_connection,
)

from .client_peers import NOTHING, Peers, Recording, client_of, counts


class Shaking(Recording):
    """A handshake of several steps."""

    async def handshake(self, side: Side, stream: BufferedStream) -> None:
        for _ in range(2):
            await stream.send_all(b"hello\n")
            await stream.receive_line()


class Greeting(Peers):
    """Answers handshakes, slowly, and reads everything."""

    def __init__(self) -> None:
        super().__init__(lockstep=True)
        self.lines: list[bytes] = []

    async def arrive(self) -> None:
        for _ in range(2):
            await trio.lowlevel.checkpoint()

    async def serve(self) -> None:
        """Serve all connections until cancelled."""
        served = 0
        async with trio.open_nursery() as nursery:
            while True:
                for stream in self.streams[served:]:
                    nursery.start_soon(self._serve_one, stream)
                    served += 1
                await trio.lowlevel.checkpoint()

    async def _serve_one(self, stream: trio.abc.HalfCloseableStream) -> None:
        kept = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while data := await stream.receive_some(5):
                *lines, kept = (kept + data).split(b"\n")
                for line in lines:
                    if line == b"hello":
                        await stream.send_all(b"hello\n")
                    else:
                        self.lines.append(line)
        await stream.aclose()


@asynccontextmanager
async def greeting_peers() -> AsyncIterator[Greeting]:
    peers = Greeting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peers.serve)
        yield peers
        nursery.cancel_scope.cancel()


class Strike(trio.abc.Instrument):
    """Cancels a scope when any task but those of the peers has taken its n-th step."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self.struck = False
        self._scope = scope
        self._left = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if "Greeting" in task.name or self.struck:
            return
        self._left -= 1
        if self._left < 0:
            self.struck = True
            self._scope.cancel(reason="the test strikes here")


async def struck(
    steps: int, scenario: Callable[[], Awaitable[object]], scope: trio.CancelScope
) -> bool:
    """Run a scenario and cancel a scope after so many steps of all its tasks together."""
    strike = Strike(scope, steps)
    trio.lowlevel.add_instrument(strike)
    try:
        await scenario()
    finally:
        trio.lowlevel.remove_instrument(strike)
    return strike.struck


async def every_step(run: Callable[[int], Awaitable[bool]]) -> int:
    """Run with 0, 1, 2 and so on until the strike comes too late; return how many struck."""
    steps = 0
    while await run(steps):
        steps += 1
        assert steps < 2000
    return steps


def check_ledger(protocol: Recording, client: Client[bytes], accepted: list[bytes]) -> None:
    """What was accepted is sent, in doubt or purged (row B5)."""
    pool = client.statistics().pool
    assert pool.messages_accepted == (
        pool.messages_sent + pool.messages_unsent + pool.messages_in_doubt
    )
    assert len(protocol.purged) == pool.messages_unsent
    assert pool.messages_accepted - len(accepted) in (0, 1)
    assert len(protocol.closed) == pool.opened == sum(pool.ended.values())


async def test_the_whole_client() -> None:
    """B6: connect, handshake, send and close, cancelled from outside at every step of any task."""

    async def run(steps: int) -> bool:
        protocol = Shaking()
        accepted: list[bytes] = []
        async with greeting_peers() as peers:
            client = client_of(peers, protocol=protocol, max_connections=2)

            async def scenario() -> None:
                with scope:
                    async with client:
                        for message in (b"a", b"b", b"c"):
                            await client.send(message)
                            accepted.append(message)

            scope = trio.CancelScope()
            late = await struck(steps, scenario, scope)
            assert counts(client) == NOTHING
            assert peers.connected == peers.connecting == 0
            check_ledger(protocol, client, accepted)
            if not scope.cancelled_caught:
                assert sorted(peers.lines) == [b"a", b"b", b"c"]
        return late

    assert await every_step(run) > 40


@pytest.mark.parametrize("verb", ["send", "bootstrap"])
async def test_one_call(verb: str) -> None:
    """B6: a cancelled send has accepted nothing; the client goes on as if it had not been."""

    async def run(steps: int) -> bool:
        protocol = Shaking()
        async with greeting_peers() as peers:
            client = client_of(peers, protocol=protocol)
            async with client:
                scope = trio.CancelScope()
                done = False

                async def scenario() -> None:
                    nonlocal done
                    with scope:
                        await (client.send(b"a") if verb == "send" else client.bootstrap())
                        done = True

                late = await struck(steps, scenario, scope)
                assert client.statistics().pool.messages_accepted == (done and verb == "send")
                assert counts(client)[3] == 0
                await client.send(b"b")
                await wait_until(lambda: b"b" in peers.lines and counts(client)[2] == 0)
                assert counts(client) in ((1, 0, 0, 0), (2, 0, 0, 0))
            assert counts(client) == NOTHING
            assert peers.connected == 0
            assert peers.lines.count(b"a") == (done and verb == "send")
        return late

    assert await every_step(run) > 10


async def test_closing() -> None:
    """B6: a close that is cancelled leaves nothing that the end of the block would not find."""

    async def run(steps: int) -> bool:
        protocol = Shaking()
        async with greeting_peers() as peers:
            client = client_of(peers, protocol=protocol, max_connections=2)
            async with client:
                for message in (b"a", b"b", b"c"):
                    await client.send(message)
                scope = trio.CancelScope()

                async def scenario() -> None:
                    with scope:
                        await client.aclose()

                late = await struck(steps, scenario, scope)
                await client.aclose()
                assert counts(client) == NOTHING
            assert peers.connected == 0
            assert sorted(peers.lines) == [b"a", b"b", b"c"]
            check_ledger(protocol, client, [b"a", b"b", b"c"])
        return late

    assert await every_step(run) > 5


async def test_moving() -> None:
    """B6, S18: moved or purged, neither both nor neither, wherever the cancellation strikes."""

    async def run(steps: int) -> bool:
        protocol = Shaking()
        async with greeting_peers() as peers:
            client = client_of(peers, protocol=protocol, move_unsent=True, max_connections=1)
            scope = trio.CancelScope()

            async def scenario() -> None:
                with scope:
                    async with client:
                        await client.bootstrap()
                        peers.theirs[0].stall()
                        [connection] = client.connections
                        await connection.send(b"in doubt")
                        await wait_until(lambda: peers.theirs[0].stalled_sends == 1)
                        await connection.send_batch([b"a", b"b", b"c"])
                        client.close_all()
                        await wait_until(lambda: client.statistics().messages_moved == 3)

            late = await struck(steps, scenario, scope)
            assert counts(client) == NOTHING
            assert peers.connected == 0
            statistics = client.statistics()
            assert statistics.pool.messages_accepted == (
                statistics.messages_moved
                + statistics.pool.messages_sent
                + statistics.pool.messages_unsent
                + statistics.pool.messages_in_doubt
            )
            assert len(protocol.purged) == statistics.pool.messages_unsent
            found = peers.lines + protocol.purged
            assert len(found) == len(set(found))
        return late

    assert await every_step(run) > 40


async def test_a_single_connection() -> None:
    """B6: open_connection, from its connect to its close."""

    async def run(steps: int) -> bool:
        protocol = Shaking()
        async with greeting_peers() as peers:
            scope = trio.CancelScope()
            opened = False

            async def scenario() -> None:
                nonlocal opened
                with scope:
                    async with open_connection(protocol, peers.endpoint) as connection:
                        opened = True
                        await connection.send(b"a")
                        await connection.flush()

            late = await struck(steps, scenario, scope)
            assert peers.connected == peers.connecting == 0
            assert len(protocol.closed) in ((1,) if opened else (0, 1))
            if not scope.cancelled_caught:
                assert peers.lines == [b"a"]
        return late

    assert await every_step(run) > 20


async def wait_until(true: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not true():
            await trio.lowlevel.checkpoint()
