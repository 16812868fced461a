"""When a client's pool grows (row S14)."""

from __future__ import annotations

from functools import partial

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import LineCodec, Protocol

from .client_peers import Peers, client_of, counts


class Answered(Protocol[bytes]):
    """Each line is answered by one."""

    codec = LineCodec()
    pending_until_answered = True


async def test_nothing_is_opened_before_the_first_write() -> None:
    """S14: the first write opens one connection."""
    peers = Peers()
    async with client_of(peers) as client:
        await wait_all_tasks_blocked()
        assert not peers.attempts
        await client.send(b"a")
        assert await peers.read(0) == b"a\n"
        assert len(peers.streams) == len(client.connections) == 1


async def test_no_growth_while_a_connection_is_idle() -> None:
    """S14: the pool grows only while every connection has pending messages."""
    peers = Peers()
    async with client_of(peers) as client:
        for _ in range(20):
            await client.send(b"a")
            await wait_all_tasks_blocked()
        assert len(peers.streams) == 1


async def test_growth_up_to_the_default_maximum() -> None:
    """S14: one more for each write that finds all of them busy; never above 16."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        for count in range(1, 41):
            await client.send(b"%d" % count)
            assert len(peers.streams) == min(count, 16)
        assert client.statistics().pool.peak_connections == peers.peak == 16
        client.close_all()


async def test_own_maximum() -> None:
    """S14: the maximum can be set."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_connections=3) as client:
        for _ in range(12):
            await client.send(b"a")
        assert len(peers.streams) == peers.peak == 3
        client.close_all()


async def test_pending_until_answered() -> None:
    """S14: a protocol may count a message as pending until it is answered."""
    peers = Peers()
    async with client_of(peers, protocol=Answered()) as client:
        await client.send(b"a")
        await wait_all_tasks_blocked()
        assert client.connections[0].pending == 0  # The other end has it.
        await client.send(b"b")
        assert len(peers.streams) == 2
        await peers.say(0, b"answer\n")
        await wait_all_tasks_blocked()
        # Nobody has taken the answer yet; it is one all the same.
        await client.send(b"c")
        assert len(peers.streams) == 2
        assert await peers.read_lines(0, 2) == [b"a", b"c"]
        assert (await client.receive()).message == b"answer"


async def test_an_answer_that_is_skipped_is_one() -> None:
    """S14, S3: a line too long to be delivered does not keep its connection busy for ever."""
    peers = Peers()
    protocol = Answered(LineCodec(max_message_size=4, resync=True))
    async with client_of(peers, protocol=protocol) as client:
        await client.send(b"a")
        await peers.say(0, b"too long\n")
        await wait_all_tasks_blocked()
        await client.send(b"b")
        assert len(peers.streams) == 1


async def test_an_answer_frees_a_connection_for_one_who_waits(mock_clock: MockClock) -> None:
    """S14: while the pool grows slowly, an answer that comes makes a connection idle."""
    peers = Peers()
    async with client_of(peers, protocol=Answered()) as client:
        await client.send(b"a")
        peers.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"b")
            await wait_all_tasks_blocked()
            assert counts(client) == (1, 1, 1, 1)
            await peers.say(0, b"answer\n")
        assert await peers.read_lines(0, 2) == [b"a", b"b"]
        assert counts(client) == (1, 1, 1, 0)


async def test_what_is_being_opened_for_nobody_serves_the_next() -> None:
    """S14: a sender that was cancelled leaves its connection to others; none is opened besides."""
    peers = Peers(closed=True)
    async with client_of(peers) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"never")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert counts(client) == (0, 1, 1, 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"a")
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 1, 1, 1)
            peers.open()
        assert await peers.read(0) == b"a\n"
        assert len(peers.streams) == 1


async def test_two_first_writes_open_two() -> None:
    """S14: one that is being opened is busy with whoever waits for it."""
    peers = Peers(closed=True, lockstep=True)
    async with client_of(peers) as client:
        async with trio.open_nursery() as nursery:
            for message in (b"a", b"b"):
                nursery.start_soon(client.send, message)
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 2, 2, 2)
            peers.open()
        assert sorted([await peers.read(0), await peers.read(1)]) == [b"a\n", b"b\n"]


async def test_a_place_is_free_again_after_a_connection_has_ended() -> None:
    """S14: the maximum counts what is there, not what there has ever been."""
    peers = Peers()
    async with client_of(peers, max_connections=1) as client:
        for index in range(5):
            await client.send(b"a")
            assert await peers.read(index) == b"a\n"
            await peers.streams[index].aclose()
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 0, 0, 0)
        assert peers.peak == 1


async def test_statistics(autojump_clock: MockClock) -> None:
    """B7: openings, waits and failures are counted."""
    peers = Peers(closed=True)
    async with client_of(peers) as client:
        async with trio.open_nursery() as nursery:
            for message in (b"a", b"b", b"c"):
                nursery.start_soon(partial(client.send, message))
            await wait_all_tasks_blocked()
            statistics = client.statistics()
            assert (statistics.opening, statistics.waiting) == (3, 3)
            peers.failures.append(ConnectionRefusedError(111, "no"))
            peers.open()
        await trio.sleep(1)
        statistics = client.statistics()
        assert (statistics.opening, statistics.waiting) == (0, 0)
        assert statistics.opens_failed == 0  # The second attempt of the same opening succeeded.
        assert statistics.pool.opened == 3
        assert statistics.pool.messages_accepted == statistics.pool.messages_sent == 3
