"""Shrinking, ageing and refilling a client's pool (rows S27 and S14)."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import Cause, Client, Connection, LineCodec, Protocol

from .client_peers import NOTHING, Peers, Recording, Watched, client_of, counts


class Answered(Protocol[bytes]):
    """Each line is answered by one."""

    codec = LineCodec()
    pending_until_answered = True


async def grown(client: Client[bytes], peers: Peers, count: int) -> None:
    """Have the pool grow to so many connections, all idle again."""
    for _ in range(count):
        await client.send(b"a")
    for index in range(count):
        await peers.read(index)
    await wait_all_tasks_blocked()
    assert counts(client) == (count, 0, 0, 0)


# Idle


async def test_idle_connections_are_closed(autojump_clock: MockClock) -> None:
    """S27: not before the timeout, and by a quarter of it later."""
    peers = Peers(lockstep=True)
    async with client_of(peers, idle_timeout=8) as client:
        await grown(client, peers, 3)
        await trio.sleep(8)
        assert counts(client) == (3, 0, 0, 0)
        await trio.sleep(4)
        assert counts(client) == NOTHING
        assert client.statistics().pool.ended == {Cause.IDLE: 3}
        assert peers.connected == 0
        await client.send(b"b")
        assert await peers.read(3) == b"b\n"


async def test_the_minimum_stays(autojump_clock: MockClock) -> None:
    """S27: the youngest go, down to the minimum."""
    peers = Peers(lockstep=True)
    async with client_of(peers, idle_timeout=8, min_connections=2) as client:
        await wait_all_tasks_blocked()
        oldest = client.connections
        await grown(client, peers, 5)
        await trio.sleep(100)
        assert client.connections == oldest
        assert len(peers.attempts) == 5


async def test_those_in_use_stay(autojump_clock: MockClock) -> None:
    """S27: what moves, in either direction, or has messages pending is not idle."""
    peers = Peers(lockstep=True)
    async with client_of(peers, idle_timeout=8, stall_timeout=1000) as client:
        await grown(client, peers, 4)
        sending, receiving, pending, _ = client.connections
        await pending.send(b"nobody reads this")
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                for _ in range(20):
                    await sending.send(b"a")
                    await peers.read(0)
                    await peers.say(1, b"a\n")
                    await client.receive()
                    await trio.sleep(5)

            nursery.start_soon(talk)
        assert client.connections == [sending, receiving, pending]
        client.close_all()


async def test_an_answer_that_is_out_keeps_a_connection(autojump_clock: MockClock) -> None:
    """S27, S14: where a message is pending until it is answered, waiting is not idleness."""
    peers = Peers()
    async with client_of(peers, protocol=Answered(), idle_timeout=8) as client:
        await client.send(b"a")
        await trio.sleep(100)
        assert counts(client) == (1, 0, 0, 0)
        await peers.say(0, b"answer\n")
        assert (await client.receive()).message == b"answer"
        await trio.sleep(12)
        assert counts(client) == NOTHING


async def test_replies_of_an_idle_connection_are_kept(autojump_clock: MockClock) -> None:
    """S27: closing it does not lose what it had received."""
    peers = Peers()
    async with client_of(peers, idle_timeout=8) as client:
        await client.send(b"a")
        await peers.say(0, b"1\n")
        await wait_all_tasks_blocked()
        await peers.say(0, b"2\n")  # In the hands of the task that offers it.
        await wait_all_tasks_blocked()
        await peers.say(0, b"3\n")  # In the reader's.
        await trio.sleep(100)
        assert counts(client) == NOTHING
        assert [(await client.receive()).message for _ in range(3)] == [b"1", b"2", b"3"]


# Lifetime


async def test_the_aged_are_replaced(autojump_clock: MockClock) -> None:
    """S27, B13: at its age, give or take a tenth; the next write connects anew."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_lifetime=1000, max_connections=1) as client:
        for index in range(5):
            began = trio.current_time()
            await client.send(b"a")
            assert await peers.read(index) == b"a\n"
            while client.connections:
                await trio.sleep(1)
            assert 900 <= trio.current_time() - began <= 1100 + 2
            await trio.sleep(20)
            assert counts(client) == NOTHING
        assert client.statistics().pool.ended == {Cause.AGED: 5}
        assert peers.peak == 1


async def test_lifetimes_are_spread(autojump_clock: MockClock) -> None:
    """S27: connections that were opened together do not end together."""
    peers = Peers(lockstep=True)
    ends: list[float] = []

    class Timed(Recording):
        async def close(self, connection: Connection[bytes]) -> None:
            ends.append(trio.current_time())

    async with client_of(peers, protocol=Timed(), max_lifetime=1000) as client:
        await grown(client, peers, 12)
        await trio.sleep(1200)
        assert len(ends) == 12
        assert max(ends) - min(ends) > 20
        assert max(later - earlier for earlier, later in pairwise(sorted(ends))) < 150


async def test_an_aged_one_sends_what_it_accepted(autojump_clock: MockClock) -> None:
    """S27: it gets no more messages, and what it has is sent."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_lifetime=100, stall_timeout=1000, drain_timeout=50) as client:
        began = trio.current_time()
        await client.send(b"a")
        while client.connections:
            await trio.sleep(1)
        assert trio.current_time() - began <= 111
        assert counts(client) == (1, 0, 0, 0)
        await client.send(b"b")
        assert await peers.read(1) == b"b\n"
        assert await peers.read_rest(0) == b"a\n"
        assert client.statistics().pool.messages_unsent == 0


async def test_an_aged_one_waits_for_answers(autojump_clock: MockClock) -> None:
    """S27, S14: where a message is pending until it is answered."""
    peers = Peers()
    async with client_of(peers, protocol=Answered(), max_lifetime=100, drain_timeout=50) as client:
        await client.send(b"a")
        while client.connections:
            await trio.sleep(1)
        await trio.sleep(30)
        assert counts(client) == (1, 0, 0, 0)
        await peers.say(0, b"answer\n")
        assert (await client.receive()).message == b"answer"
        await trio.sleep(50)
        assert counts(client) == NOTHING


async def test_an_aged_one_that_never_rests(autojump_clock: MockClock) -> None:
    """S27: a peer that keeps talking cannot keep the only place."""
    peers = Peers()

    async def handle(connection: Connection[bytes]) -> None:
        async for _ in connection:
            pass

    async def talk() -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await peers.say(0, b"a\n")
                await trio.sleep(0.5)

    async with client_of(
        peers, handler=handle, max_lifetime=100, max_connections=1, drain_timeout=8
    ) as client:
        await client.bootstrap()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            await trio.sleep(120)
            await client.send(b"b")
            assert await peers.read(1) == b"b\n"


# The minimum


async def test_the_minimum_is_opened_ahead() -> None:
    """S14: from the start on, before any write."""
    peers = Peers()
    async with client_of(peers, min_connections=3):
        await wait_all_tasks_blocked()
        assert peers.connected == peers.peak == 3


async def test_the_minimum_is_refilled_at_once(mock_clock: MockClock) -> None:
    """S14: not only when somebody looks the next time."""
    peers = Peers()
    async with client_of(peers, min_connections=2) as client:
        await wait_all_tasks_blocked()
        mock_clock.jump(100)
        await peers.streams[0].aclose()
        await wait_all_tasks_blocked()
        assert counts(client) == (2, 0, 0, 0)
        assert len(peers.attempts) == 3


async def test_the_minimum_within_the_maximum(mock_clock: MockClock) -> None:
    """S14, S16: connections that are ending keep their places; the refill waits for those."""
    peers = Peers()
    closing = trio.Event()

    class Slow(Recording):
        async def close(self, connection: Connection[bytes]) -> None:
            await closing.wait()

    async with client_of(peers, protocol=Slow(), min_connections=2, max_connections=2) as client:
        await wait_all_tasks_blocked()
        mock_clock.jump(100)
        for stream in peers.streams:
            await stream.aclose()
        await wait_all_tasks_blocked()
        assert counts(client) == (2, 0, 0, 0)
        assert len(peers.attempts) == 2
        closing.set()
        await wait_all_tasks_blocked()
        assert counts(client) == (2, 0, 0, 0)
        assert len(peers.attempts) == 4


@pytest.mark.parametrize("lets_in", [False, True], ids=["refused", "closed at once"])
async def test_refilling_backs_off(autojump_clock: MockClock, *, lets_in: bool) -> None:
    """S14, S17: where connections fail or do not last, no hot loop."""
    peers = Closing() if lets_in else Peers()
    if not lets_in:
        peers.always = ConnectionRefusedError(111, "no")
    async with client_of(
        peers, min_connections=1, connect_attempts=1, backoff=1, max_backoff=4
    ) as client:
        await trio.sleep(100)
        # Pauses of one second, two, four, four and so on, each between half and all of that.
        assert 26 <= len(peers.attempts) <= 55
        peers.always = None
        if isinstance(peers, Closing):
            peers.closes = False
        await trio.sleep(5)
        assert counts(client) == (1, 0, 0, 0)


class Closing(Peers):
    """Lets everybody in and closes at once."""

    closes = True

    async def connect(self) -> Watched:
        stream = await super().connect()
        if self.closes:
            await self.streams[-1].aclose()
        return stream
