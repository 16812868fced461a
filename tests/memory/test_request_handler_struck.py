"""Struck at every step in turn, a handler for each request keeps its account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Connection,
    LineCodec,
    Protocol,
    RequestHandler,
    ServerLimits,
)
from snowtrio.testing import open_memory_pair

from ..serving import LIMIT, FaultyListener, Served, Steps, errors_in, serving
from .cancelling import cancelled_at, every_suspension
from .requests import Workshop

REQUESTS = [b"%d" % number for number in range(5)]


class Book(Protocol[bytes]):
    """Keeps what could not be sent."""

    codec = LineCodec()

    def __init__(self) -> None:
        super().__init__()
        self.unsent: list[bytes] = []
        self.in_doubt: list[bytes] = []

    async def close(self, connection: Connection[bytes]) -> None:
        assert connection.ending is not None
        self.in_doubt += connection.ending.in_doubt

    def purge(self, connection: Connection[bytes], messages: Sequence[bytes]) -> None:
        self.unsent += messages


@attrs.define
class Story:
    """One conversation, and what became of each request."""

    in_order: bool
    streams: bool
    book: Book = attrs.Factory(Book)
    begun: list[bytes] = attrs.Factory(list)
    ended: list[bytes] = attrs.Factory(list)
    made: list[bytes] = attrs.Factory(list)
    """Replies that functions came to."""
    arrived: bytearray = attrs.Factory(bytearray)
    pool: Any = None

    async def answer(self, connection: Connection[bytes], request: bytes) -> bytes:
        """Take the fewer steps, the later the request comes."""
        self.begun.append(request)
        try:
            for _ in range(5 - int(request)):
                await trio.lowlevel.checkpoint()
            self.made.append(request)
            return request
        finally:
            self.ended.append(request)

    async def stream(self, connection: Connection[bytes], request: bytes) -> AsyncIterator[bytes]:
        self.begun.append(request)
        try:
            for part in range(2):
                await trio.lowlevel.checkpoint()
                self.made.append(request + b".%d" % part)
                yield self.made[-1]
        finally:
            self.ended.append(request)

    async def run(self, number: int, strike: Callable[[Served, FaultyListener], object]) -> bool:
        """Strike at a step; return whether it came to that."""
        function: Any = self.stream if self.streams else self.answer
        handler = RequestHandler(function, max_concurrent=2, in_order=self.in_order)
        listener = FaultyListener(lockstep=True)
        limits = ServerLimits(max_outbox_messages=2)
        async with serving(handler, self.book, listener=listener, limits=limits) as served:
            stream = await listener.connect()
            await wait_all_tasks_blocked()
            steps = Steps(number, lambda: strike(served, listener))
            trio.lowlevel.add_instrument(steps)
            try:
                with trio.fail_after(LIMIT):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self.ask, stream)
                        await self.listen(stream)
            finally:
                trio.lowlevel.remove_instrument(steps)
            await stream.aclose()
            await wait_all_tasks_blocked()
        self.pool = served.server.statistics().pool
        return steps.taken >= number

    async def ask(self, stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.StapledStream)
        try:
            await stream.send_all(b"".join(request + b"\n" for request in REQUESTS))
            await stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def listen(self, stream: trio.abc.Stream) -> None:
        while data := await stream.receive_some():
            self.arrived += data

    def check(self, *, orderly: bool) -> None:
        """Nothing is left, and every reply that was accepted is somewhere, once."""
        assert sorted(self.begun) == sorted(self.ended)
        whole, _, partial = bytes(self.arrived).rpartition(b"\n")
        arrived = whole.split()
        # Of those in doubt, the first may have arrived.
        doubtful = [each for each in self.book.in_doubt if each not in arrived]
        accepted = [*arrived, *doubtful, *self.book.unsent]
        assert self.pool.connections == 0
        assert self.pool.messages_accepted == len(accepted)
        assert len(set(accepted)) == len(accepted)
        assert set(accepted) <= set(self.made)
        if self.in_order:
            assert accepted == sorted(accepted)
        if orderly:
            assert not partial
            assert sorted(arrived) == sorted(self.made)
            assert len(self.begun) == self.pool.messages_received


def stop_receiving(served: Served, listener: FaultyListener) -> None:
    for connection in served.server.connections:
        connection.stop_receiving()


def drain(served: Served, listener: FaultyListener) -> None:
    served.nursery.start_soon(served.server.drain)


STRIKES: dict[str, Callable[[Served, FaultyListener], object]] = {
    "stop_receiving": stop_receiving,
    "drain": drain,
    "drop": lambda served, listener: served.server.close_all(),
    "break": lambda served, listener: listener.accepted[0].break_now(),
    "cancel": lambda served, listener: served.nursery.cancel_scope.cancel(),
}


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("strike", STRIKES)
async def test_struck_at_every_step(
    strike: str,
    in_order: bool,
    streams: bool,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """B5, B6 for requests: no task is left, and no reply that was accepted is lost in silence."""
    number = 1
    while True:
        story = Story(in_order, streams)
        struck = await story.run(number, STRIKES[strike])
        story.check(orderly=strike in ("stop_receiving", "drain"))
        if not struck:
            break
        number += 1
    assert number > 40
    assert len(story.made) == len(REQUESTS) * (2 if streams else 1)
    assert errors_in(caplog) == []


@pytest.mark.parametrize("most", [1, 2, 16])
async def test_cancelled_it_leaves_the_requests_that_it_has_not_begun(
    most: int, autojump_clock: MockClock
) -> None:
    """B6 for requests: at every await of the handler; its functions are cancelled with it."""

    async def strike(suspension: int) -> bool:
        workshop = Workshop()
        handler = RequestHandler(workshop.answer, max_concurrent=most)
        async with open_memory_pair(LineCodec()) as (client, server):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask_one_by_one, client, workshop)
                struck = await cancelled_at(suspension, lambda: handler(server))
            assert workshop.at_work == 0
            left = [request async for request in server]
            assert sorted([*workshop.started, *left]) == REQUESTS
        return struck

    assert len([k async for k in every_suspension(strike)]) >= 3


async def ask_one_by_one(client: Connection[bytes], workshop: Workshop) -> None:
    for request in REQUESTS:
        await client.send(request)
        await wait_all_tasks_blocked()
        workshop.release(request)
    await client.send_eof()
