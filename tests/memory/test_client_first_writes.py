"""Many first writes at the same time, and opening ahead of them (rows S16 and S19)."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import ConnectRefusedError, PoolClosedError

from .client_peers import NOTHING, Peers, client_of, counts, outcomes


def refused() -> Exception:
    return ConnectionRefusedError(111, "Connection refused")


async def test_a_slow_connect_is_shared() -> None:
    """S16: N tasks during one slow connect wait for at most the maximum of connections."""
    peers = Peers(closed=True)
    async with client_of(peers, max_connections=4) as client:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(client.send, b"%d" % number)
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 4, 4, 50)
            peers.open()
        assert peers.peak == 4
        assert client.statistics().pool.messages_accepted == 50


async def test_one_place_short_of_the_maximum() -> None:
    """S16: the last place can be had too, and no more than it."""
    peers = Peers(closed=True)
    async with client_of(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(client.send, b"a")
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 1, 1, 3)
            peers.open()
        assert await peers.read_lines(0, 3) == [b"a"] * 3


@settings(max_examples=60)
@given(
    maximum=st.integers(1, 5),
    senders=st.lists(st.floats(0, 3), min_size=1, max_size=20),
    cancelled=st.dictionaries(st.integers(0, 19), st.floats(0, 3), max_size=4),
    failures=st.lists(st.booleans(), max_size=12),
    slow=st.floats(0, 2),
    attempts=st.integers(1, 3),
)
def test_any_order_of_events(
    maximum: int,
    senders: list[float],
    cancelled: dict[int, float],
    failures: list[bool],
    slow: float,
    attempts: int,
) -> None:
    """S16: never above the maximum; each completes or raises; each message arrives at most once."""
    peers = SlowPeers(slow, failures)
    client = client_of(peers, max_connections=maximum, connect_attempts=attempts)
    results: dict[int, object] = {}
    arrived: list[bytes] = []

    async def send(number: int, delay: float) -> None:
        await trio.sleep(delay)
        with trio.move_on_after(cancelled.get(number, float("inf"))):
            try:
                await client.send(b"%d" % number)
                results[number] = "accepted"
            except ConnectRefusedError as error:
                results[number] = error

    async def run() -> None:
        async with client:
            async with trio.open_nursery() as nursery:
                for number, delay in enumerate(senders):
                    nursery.start_soon(send, number, delay)
            await trio.sleep(100)
            assert counts(client)[1:] == (0, 0, 0)
        assert counts(client) == NOTHING
        for index in range(len(peers.streams)):
            arrived.extend((await peers.read_rest(index)).splitlines())

    trio.run(run, clock=MockClock(autojump_threshold=0))
    assert peers.peak <= maximum
    done = [b"%d" % number for number, result in results.items() if result == "accepted"]
    assert sorted(arrived) == sorted(done)
    assert set(range(len(senders))) - set(results) <= set(cancelled)


class SlowPeers(Peers):
    """Each connect takes a while, and may fail."""

    def __init__(self, slow: float, failures: list[bool]) -> None:
        super().__init__()
        self._slow = slow
        self._fails = iter(failures)

    async def arrive(self) -> None:
        await trio.sleep(self._slow)
        if next(self._fails, False):
            raise refused()


async def test_bootstrap_opens_exactly_one() -> None:
    """S19: ahead of the first write; that write uses it."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.bootstrap()
        assert counts(client) == (1, 0, 0, 0)
        await client.send(b"a")
        assert await peers.read(0) == b"a\n"
        assert len(peers.attempts) == 1


async def test_bootstrap_is_idempotent() -> None:
    """S19: once, again, busy, and many at the same time: one connection."""
    peers = Peers(lockstep=True, closed=True)
    async with client_of(peers) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(client.bootstrap)
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 1, 1, 10)
            peers.open()
        await client.bootstrap()
        await client.send(b"keeps it busy")
        await client.bootstrap()
        client.close_all()
        assert len(peers.attempts) == 1


async def test_bootstrap_while_a_write_opens_one() -> None:
    """S19: nothing is opened besides."""
    peers = Peers(closed=True)
    async with client_of(peers) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"a")
            await wait_all_tasks_blocked()
            nursery.start_soon(client.bootstrap)
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 1, 1, 2)
            peers.open()
        assert len(peers.attempts) == 1


async def test_bootstrap_replaces_a_dead_connection() -> None:
    """S19: a connection that is dead is no connection, even with one place for all."""
    peers = Peers()
    async with client_of(peers, max_connections=1) as client:
        await client.bootstrap()
        await peers.streams[0].aclose()
        await wait_all_tasks_blocked()
        await client.bootstrap()
        assert counts(client) == (1, 0, 0, 0)
        assert len(peers.attempts) == 2


async def test_bootstrap_fails(autojump_clock: MockClock) -> None:
    """S19, S17: it raises what a write would; everyone who asked is told, with their own error."""
    peers = Peers()
    peers.always = refused()
    async with client_of(peers) as client:
        found = await outcomes(*[client.bootstrap] * 3)
        assert {type(error) for error in found} == {ConnectRefusedError}
        assert len(set(map(id, found))) == 3
        assert counts(client) == NOTHING
        peers.always = None
        await client.bootstrap()


async def test_bootstrap_of_a_closed_client() -> None:
    """S19, S23: nothing is opened."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.aclose()
        with pytest.raises(PoolClosedError):
            await client.bootstrap()
    assert not peers.attempts
