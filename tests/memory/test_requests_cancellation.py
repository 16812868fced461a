"""Requests cancelled at every await in turn (row B6).

The scenarios are run again and again, each time cancelled one suspension later, until one comes to
its end. After each strike others are asked for: they must get their own replies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest
import trio
import trio.testing

from snowtrio import (
    DrainTimeouts,
    PoolClosedError,
    RequestClient,
    RequestInDoubtError,
    RequestNotSentError,
    WhenCancelled,
)

from .asking import Asked, asking, start
from .cancelling import cancelled_at, every_suspension
from .client_peers import Peers


async def serve(peers: Peers) -> None:
    """Answer with what was asked, after some time, on all connections; "many" gets three."""
    async with trio.open_nursery() as nursery:
        for index in count():
            while len(peers.streams) == index:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(_serve_one, peers, index)


async def _serve_one(peers: Peers, index: int) -> None:
    try:
        while data := await peers.read(index):
            for line in data.splitlines():
                for _ in range(3 if line.startswith(b"many") else 1):
                    await trio.lowlevel.checkpoint()
                    if not line.startswith(b"told"):
                        await peers.say(index, line + b"\n")
            if b"many" in data:
                await peers.say(index, b"end\n")
        await peers.streams[index].aclose()
    except trio.BrokenResourceError:
        await peers.streams[index].aclose()


@asynccontextmanager
async def served(**options: object) -> AsyncIterator[tuple[Peers, RequestClient[bytes]]]:
    peers = Peers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, peers)
        async with asking(peers, **options) as client:
            yield peers, client
            await client.aclose()
        nursery.cancel_scope.cancel()


async def check(peers: Peers, client: RequestClient[bytes]) -> None:
    """See that nothing is left of what was struck, and that others get their own replies."""
    others = [b"after %d" % number for number in range(3)]
    for message in others:
        assert await client.request(message) == message
    with trio.fail_after(10):
        while client.statistics().in_flight:
            await trio.lowlevel.checkpoint()
    found = client.statistics()
    assert (found.waiting, found.client.waiting, found.client.opening) == (0, 0, 0)
    assert found.answered + found.abandoned + found.not_sent + found.in_doubt >= len(others)


Way = Callable[[RequestClient[bytes]], Awaitable[object]]


async def request(client: RequestClient[bytes]) -> None:
    assert await client.request(b"mine") == b"mine"


async def request_in_time(client: RequestClient[bytes]) -> None:
    assert await client.request(b"mine", timeout=1000) == b"mine"


async def batch(client: RequestClient[bytes]) -> None:
    messages = [b"mine %d" % number for number in range(5)]
    assert await client.request_batch(messages) == messages


async def stream(client: RequestClient[bytes]) -> None:
    async with client.stream(b"many", ends=lambda reply: reply == b"end") as replies:
        assert [reply async for reply in replies] == [b"many"] * 3 + [b"end"]


async def notify(client: RequestClient[bytes]) -> None:
    for _ in range(3):
        await client.notify(b"told")


@pytest.mark.parametrize("when", list(WhenCancelled))
@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("way", [request, request_in_time, batch, stream, notify])
async def test_struck_at_every_await(way: Way, crowded: bool, when: WhenCancelled) -> None:
    """B6: alone on a new connection, and among others that wait for the same place."""

    async def run(suspension: int) -> bool:
        limits = {"max_connections": 1, "max_pending": 1} if crowded else {"max_connections": 2}
        options = {**limits, "max_in_flight": 2, "max_outbox_messages": 2, "when_cancelled": when}
        async with served(**options) as (peers, client), trio.open_nursery() as nursery:
            crowd = [Asked() for _ in range(4 if crowded else 0)]
            for number, each in enumerate(crowd):
                message = b"crowd %d" % number
                nursery.start_soon(each.run, lambda m=message: client.request(m))
            late = await cancelled_at(suspension, lambda: way(client))
            await check(peers, client)
            for number, each in enumerate(crowd):
                await each.done.wait()
                if when is WhenCancelled.DROP_REPLY:
                    assert each.result == b"crowd %d" % number
                else:
                    allowed = (bytes, RequestInDoubtError, RequestNotSentError)
                    assert isinstance(each.result, allowed)
        return late

    struck = [suspension async for suspension in every_suspension(run)]
    assert len(struck) >= 2


async def test_close_struck_at_every_await() -> None:
    """B6, S23: a drain that is cancelled leaves no request without an end."""

    async def run(suspension: int) -> bool:
        peers = Peers()
        client = asking(peers, max_connections=1, max_in_flight=2)
        async with client, trio.open_nursery() as nursery:
            asked = [await start(nursery, lambda: client.request(b"a")) for _ in range(3)]
            nursery.start_soon(serve, peers)
            late = await cancelled_at(suspension, client.aclose)
            await client.aclose(DrainTimeouts(goodbye=5, wait=5))
            for each in asked[:2]:
                await each.done.wait()
                assert each.result == b"a"
            assert isinstance(asked[2].result, PoolClosedError)
            nursery.cancel_scope.cancel()
        assert client.statistics().in_flight == 0
        return late

    struck = [suspension async for suspension in every_suspension(run)]
    assert len(struck) >= 2


@pytest.mark.parametrize("when", list(WhenCancelled))
async def test_what_a_cancelled_request_does_to_others(
    when: WhenCancelled, autojump_clock: trio.testing.MockClock
) -> None:
    """B6: nothing, its reply is dropped; or it takes the connection with it, if told to."""
    peers = Peers()
    async with asking(peers, max_connections=1, when_cancelled=when) as client:
        async with trio.open_nursery() as nursery:
            gone = await start(nursery, lambda: client.request(b"gone"))
            other = await start(nursery, lambda: client.request(b"other"))
            gone.scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            if when is WhenCancelled.DROP_REPLY:
                await peers.say(0, b"for gone\nfor other\n")
            await other.done.wait()
            if when is WhenCancelled.DROP_REPLY:
                assert other.result == b"for other"
            else:
                assert isinstance(other.result, RequestInDoubtError)
                assert "was cancelled" in str(other.result)
        await trio.testing.wait_all_tasks_blocked()
        assert peers.connected == (when is WhenCancelled.DROP_REPLY)
        assert client.statistics().in_flight == 0


async def test_a_batch_struck_half_way(autojump_clock: trio.testing.MockClock) -> None:
    """B6: those of it that were accepted are abandoned, the others leave without a trace."""
    peers = Peers(lockstep=True)
    async with asking(peers, max_connections=1, max_outbox_messages=2) as client:
        async with trio.open_nursery() as nursery:
            messages = [b"%d" % number for number in range(6)]
            struck = await start(nursery, lambda: client.request_batch(messages))
            assert client.statistics().in_flight == 6
            struck.scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            found = client.statistics()
            assert (found.in_flight, found.abandoned, found.not_sent) == (2, 2, 0)
            other = await start(nursery, lambda: client.request(b"other"))
            received = await peers.read_lines(0, 2)
            while b"other" not in received:
                received += await peers.read_lines(0, 1)
            assert received == [b"0", b"1", b"other"]
            await peers.say(0, b"0\n1\nmine\n")
        assert other.result == b"mine"
        found = client.statistics()
        assert (found.in_flight, found.replies_dropped, found.answered) == (0, 2, 1)
