"""Which connection of a live pool a message goes to (row S15)."""

from __future__ import annotations

import gc
from weakref import ref

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio._client._pool import PATIENCE

from .client_peers import Peers, client_of, counts


async def test_pending_counts_until_the_kernel_has_the_bytes() -> None:
    """S15: a message that the writer has in hand is pending, not only one that waits in a queue."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        await client.send(b"a")
        await wait_all_tasks_blocked()  # The writer is in the middle of sending it.
        [connection] = client.connections
        assert connection.pending == 1
        assert await peers.read(0) == b"a\n"
        await wait_all_tasks_blocked()
        assert connection.pending == 0


async def test_idle_first_then_grow_then_the_fewest_pending() -> None:
    """S15: the whole rule on live connections, ties to the oldest."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_connections=3) as client:
        await client.send(b"1")  # Opens the first.
        await client.send(b"2")  # Finds it busy: grows.
        assert await peers.read(0) == b"1\n"
        await wait_all_tasks_blocked()
        await client.send(b"3")  # The first is idle again: no growth.
        assert len(peers.streams) == 2
        await client.send(b"4")  # Both busy: grows to the maximum.
        assert len(peers.streams) == 3
        await client.send(b"5")  # One each: the oldest.
        await client.send(b"6")  # Then the next oldest of those with one.
        pending = [connection.pending for connection in client.connections]
        assert pending == [2, 2, 1]
        await client.send(b"7")
        await client.send(b"8")
        assert await peers.read_lines(0, 3) == [b"3", b"5", b"8"]
        assert await peers.read_lines(1, 2) == [b"2", b"6"]
        assert await peers.read_lines(2, 2) == [b"4", b"7"]


async def test_a_message_goes_to_the_connection_that_was_opened_for_it() -> None:
    """S15: to grow is to use the new one, not to queue behind a connection that is stuck."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        await client.send(b"stuck")
        await client.send(b"b")
        assert await peers.read(1) == b"b\n"
        client.close_all()


async def test_one_that_becomes_idle_is_used_before_a_slow_new_one(mock_clock: MockClock) -> None:
    """S15, S17: a slow connect holds up nobody who could have another connection."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        await client.send(b"a")
        peers.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"b")
            await wait_all_tasks_blocked()
            assert counts(client) == (1, 1, 1, 1)
            assert await peers.read(0) == b"a\n"
        assert await peers.read(0) == b"b\n"


async def test_a_busy_one_is_used_where_nobody_answers(autojump_clock: MockClock) -> None:
    """S17: a connect that hangs delays a sender by a second at most, and later ones not at all."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        await client.send(b"a")
        peers.close()
        began = trio.current_time()
        await client.send(b"b")
        assert trio.current_time() - began == pytest.approx(PATIENCE)
        await client.send(b"c")
        assert trio.current_time() - began == pytest.approx(PATIENCE)
        assert counts(client) == (1, 1, 1, 0)
        assert await peers.read_lines(0, 3) == [b"a", b"b", b"c"]


async def test_growth_rests_after_it_failed(autojump_clock: MockClock) -> None:
    """S17: while opening fails, the messages go to the live connection, and attempts back off."""
    peers = Peers(lockstep=True)
    async with client_of(peers, backoff=1, max_backoff=100, stall_timeout=1000) as client:
        await client.send(b"a")
        peers.always = ConnectionRefusedError(111, "no")
        for _ in range(1000):
            await client.send(b"b")
            await trio.sleep(0.1)
        # Of one second, two, four and so on, each between half and all of that, 100 have 6 to 8.
        assert 6 <= len(peers.attempts) - 1 <= 8
        assert client.statistics().opens_failed == len(peers.attempts) - 1
        peers.always = None
        await trio.sleep(100)
        await client.send(b"c")
        assert await peers.read(1) == b"c\n"
        client.close_all()


async def test_a_connection_that_has_ended_its_input_gets_no_more() -> None:
    """S18: half a connection is not used for new messages."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.send(b"a")
        await peers.streams[0].send_eof()
        await wait_all_tasks_blocked()
        await client.send(b"b")
        assert await peers.read_rest(0) == b"a\n"
        assert await peers.read(1) == b"b\n"


async def test_a_busy_connection_that_has_ended_its_input_gets_no_more() -> None:
    """S15, S18: of a pool that cannot grow, the least busy one that is still whole."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_connections=3) as client:
        for message in (b"1", b"2", b"3", b"4", b"5"):
            await client.send(message)
        await peers.streams[2].send_eof()  # The one with the fewest.
        await wait_all_tasks_blocked()
        client.connections[1].send_nowait(b"6")
        await client.send(b"7")
        assert [connection.pending for connection in client.connections] == [3, 3]
        client.close_all()


async def test_a_connection_that_has_ended_is_forgotten() -> None:
    """S18: it is not kept until somebody sends again."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.bootstrap()
        ended = ref(client.connections[0])
        await peers.streams[0].aclose()
        await wait_all_tasks_blocked()
        gc.collect()
        assert ended() is None


async def test_a_task_that_only_sends_lets_others_run() -> None:
    """S13: though there is room for all of it, it meets a checkpoint now and then."""
    ran = False

    async def other() -> None:
        nonlocal ran
        ran = True

    peers = Peers(lockstep=True)
    async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:
        await client.send(b"first")
        nursery.start_soon(other)
        # One checkpoint would not do: who runs first after it is left to chance.
        for _ in range(600):
            await client.send(b"a")
        assert ran
        assert client.connections[0].pending == 601
        client.close_all()
