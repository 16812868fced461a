"""Cancelled at every await in turn, a subscriber leaves nothing open and loses nothing (row B6)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from snowtrio import Connection, Gap, WhenSlow

from .cancelling import cancelled_at, every_suspension
from .client_peers import LIMIT, Peers
from .test_client_cancellation import Shaking, every_step, struck
from .test_subscriber import subscriber_of

EACH = 3
"""Messages a connection, before the server ends it."""


class Greeting(Peers):
    """Shakes hands, confirms a subscription, says three lines, and leaves; at most three times."""

    def __init__(self) -> None:
        super().__init__()
        self.said = 0

    async def arrive(self) -> None:
        for _ in range(2):
            await trio.lowlevel.checkpoint()

    async def serve(self) -> None:
        served = 0
        async with trio.open_nursery() as nursery:
            while True:
                for stream in self.streams[served:]:
                    nursery.start_soon(self._serve_one, stream, name="Greeting")
                    served += 1
                await trio.lowlevel.checkpoint()

    async def _serve_one(self, stream: trio.abc.HalfCloseableStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            lines = 0
            while data := await stream.receive_some(5):
                for _ in range(data.count(b"\n")):
                    lines += 1
                    await stream.send_all(b"ok\n")
                    if lines == EACH:  # two of the handshake, one to subscribe
                        for _ in range(EACH):
                            self.said += 1
                            await stream.send_all(b"%d\n" % self.said)
                        await stream.send_eof()


@asynccontextmanager
async def greeting_peers() -> AsyncIterator[Greeting]:
    peers = Greeting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peers.serve)
        yield peers
        nursery.cancel_scope.cancel()


async def subscribe(connection: Connection[bytes]) -> None:
    await connection.send(b"subscribe")
    assert await connection.receive() == b"ok"


async def test_the_whole_subscriber() -> None:
    """B6: connect, handshake, subscribe, a break and a reconnect, struck at any task's step."""
    for connect_first in (False, True):

        async def run(steps: int, connect_first: bool = connect_first) -> bool:
            protocol = Shaking()
            got: list[bytes | Gap] = []
            async with greeting_peers() as peers:
                messages = subscriber_of(
                    peers,
                    protocol=protocol,
                    subscribe=subscribe,
                    backoff=0.0001,
                    connect_first=connect_first,
                )

                async def scenario() -> None:
                    with scope:
                        async with messages:
                            while len(got) < 2 * EACH + 1:
                                got.append(await messages.receive())

                scope = trio.CancelScope()
                with trio.fail_after(LIMIT):
                    late = await struck(steps, scenario, scope)
                assert peers.connected == peers.connecting == 0
            found = messages.statistics()
            assert (found.pool.connections, found.pool.handshaking) == (0, 0)
            assert not found.subscribed
            assert found.messages_waiting == 0
            assert len(protocol.closed) == found.pool.opened == sum(found.pool.ended.values())
            assert [each for each in got if isinstance(each, bytes)] == [
                b"%d" % number for number in range(1, found.messages_delivered + 1)
            ]
            gaps = [index for index, each in enumerate(got) if isinstance(each, Gap)]
            assert gaps in ([], [EACH])
            if not scope.cancelled_caught:
                assert len(got) == 2 * EACH + 1
            return late

        assert await every_step(run) > 40


async def test_the_consumer() -> None:
    """B6: a receive that is cancelled takes nothing."""

    async def strike(suspension: int) -> bool:
        got: list[bytes | Gap] = []
        async with greeting_peers() as peers:
            messages = subscriber_of(
                peers,
                protocol=Shaking(),
                subscribe=subscribe,
                backoff=0.0001,
                max_messages=1,
                when_slow=WhenSlow.WAIT,
            )

            async def consume() -> None:
                while len(got) < 2 * EACH + 1:
                    got.append(await messages.receive())

            with trio.fail_after(LIMIT):
                async with messages:
                    late = await cancelled_at(suspension, consume)
                    await consume()
        assert [each for each in got if isinstance(each, bytes)] == [
            b"%d" % number for number in range(1, 2 * EACH + 1)
        ]
        assert isinstance(got[EACH], Gap)
        return late

    assert len([k async for k in every_suspension(strike)]) >= 3


async def test_entering() -> None:
    """B6: cancelled at each await of it, the block is not entered and nothing stays open."""

    async def strike(suspension: int) -> bool:
        protocol = Shaking()
        async with greeting_peers() as peers:
            messages = subscriber_of(
                peers, protocol=protocol, subscribe=subscribe, connect_first=True
            )
            entered = False

            async def enter() -> None:
                nonlocal entered
                async with messages:
                    entered = True

            with trio.fail_after(LIMIT):
                late = await cancelled_at(suspension, enter)
            assert entered or late
            assert peers.connected == peers.connecting == 0
        found = messages.statistics().pool
        assert (found.connections, found.handshaking) == (0, 0)
        assert len(protocol.closed) == found.opened
        return late

    assert len([k async for k in every_suspension(strike)]) > 5
