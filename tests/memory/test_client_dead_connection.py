"""What becomes of the unsent messages of a connection that dies (row S18), to the last one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import Client, SnowtrioError

from .client_peers import NOTHING, Peers, Recording, client_of, counts


async def stuck_with(
    client: Client[bytes], peers: Peers, messages: list[bytes], connection: int = 0
) -> None:
    """Have the client's only connection hold messages that its peer does not read.

    The first is in the writer's hands: it may have gone or not.
    """
    await client.bootstrap()
    for message in messages:
        await client.connections[connection].send(message)
        await wait_all_tasks_blocked()


async def break_all(peers: Peers) -> None:
    for stream in peers.theirs:
        stream.break_now()
    for end in peers.streams:
        await end.aclose()
    await wait_all_tasks_blocked()


async def test_purged_in_order() -> None:
    """S18, S11: by default they are reported, once, after the close hook."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2", b"3"])
        await break_all(peers)
        assert protocol.purged == [b"1", b"2", b"3"]
        assert protocol.purges == len(protocol.closed) == 1
        assert counts(client) == NOTHING
        statistics = client.statistics()
        assert statistics.messages_moved == 0
        assert statistics.pool.messages_unsent == 3
        assert statistics.pool.messages_in_doubt == 1
        assert statistics.pool.messages_accepted == 4
        assert len(peers.attempts) == 1


async def test_moved_in_order() -> None:
    """S18: by setting they go to another connection, and purge does not see them."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, move_unsent=True) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2", b"3"])
        await break_all(peers)
        assert await peers.read_lines(1, 3) == [b"1", b"2", b"3"]
        assert protocol.purged == []
        statistics = client.statistics()
        assert statistics.messages_moved == 3
        assert statistics.pool.messages_unsent == 0
        assert statistics.pool.messages_in_doubt == 1


async def test_moved_to_one_connection() -> None:
    """S18: in order means to one connection, though others are idle and the pool could grow."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, move_unsent=True, min_connections=3) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2", b"3"])
        peers.theirs[0].break_now()
        await peers.streams[0].aclose()
        await wait_all_tasks_blocked()
        assert await peers.read_lines(1, 3) == [b"1", b"2", b"3"]
        await wait_all_tasks_blocked()
        assert sum(connection.pending for connection in client.connections) == 0


async def test_one_place_for_all() -> None:
    """S18: the dead connection's place is free for the one that its messages move to."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, move_unsent=True, max_connections=1) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2"])
        await break_all(peers)
        assert await peers.read_lines(1, 2) == [b"1", b"2"]
        assert peers.peak == 1


async def test_moved_again_when_the_other_dies_too(autojump_clock: MockClock) -> None:
    """S18: however often; neither twice nor never."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, move_unsent=True) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2"])
        await client.send(b"x")  # Grows; in the hands of the second connection's writer.
        peers.close()
        peers.theirs[0].break_now()
        await trio.sleep(2)
        [second] = client.connections
        assert second.pending == 3
        peers.theirs[1].break_now()
        peers.open()
        await wait_all_tasks_blocked()
        assert await peers.read_lines(2, 2) == [b"1", b"2"]
        assert client.statistics().messages_moved == 4
        assert client.statistics().pool.messages_in_doubt == 2
        assert protocol.purged == []


async def test_the_other_dies_while_messages_move_to_it(autojump_clock: MockClock) -> None:
    """S18: what it had not accepted yet goes on to a third; each message arrives once."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(
        peers, protocol=protocol, move_unsent=True, max_outbox_messages=3
    ) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2"])
        await client.send(b"x")  # Grows; in the hands of the second connection's writer.
        await wait_all_tasks_blocked()
        await client.connections[1].send(b"y")
        peers.close()
        peers.theirs[0].break_now()
        await trio.sleep(2)
        [second] = client.connections
        assert second.pending == 3  # "2" waits for room.
        peers.open()
        peers.theirs[1].break_now()
        await trio.sleep(2)
        read: list[bytes] = []
        for index in range(2, len(peers.streams)):
            with trio.move_on_after(1):
                while True:
                    read += (await peers.read(index)).splitlines()
        assert sorted(read) == [b"1", b"2", b"y"]
        assert client.statistics().pool.messages_in_doubt == 2
        assert protocol.purged == []


async def test_nowhere_to_move_to(autojump_clock: MockClock) -> None:
    """S18: what cannot be moved is purged."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, move_unsent=True) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2"])
        peers.always = ConnectionRefusedError(111, "no")
        await break_all(peers)
        await trio.sleep(5)
        assert protocol.purged == [b"1", b"2"]
        assert protocol.purges == 1
        assert client.statistics().pool.messages_unsent == 2


async def test_closed_while_moving(mock_clock: MockClock) -> None:
    """S18, S23: a close in the midst purges the rest before it returns."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, move_unsent=True) as client:
        await stuck_with(client, peers, [b"in doubt", b"1", b"2"])
        peers.close()
        await break_all(peers)
        assert counts(client) == (0, 1, 1, 1)
        await client.aclose()
        assert protocol.purged == [b"1", b"2"]
        assert counts(client) == NOTHING


async def test_cancelled_while_moving(mock_clock: MockClock) -> None:
    """S18, B6: leaving by cancellation purges the rest."""
    peers, protocol = Peers(lockstep=True), Recording()
    with trio.CancelScope() as scope:
        async with client_of(peers, protocol=protocol, move_unsent=True) as client:
            await stuck_with(client, peers, [b"in doubt", b"1", b"2"])
            peers.close()
            await break_all(peers)
            scope.cancel()
            await trio.sleep_forever()
    assert protocol.purged == [b"1", b"2"]
    assert counts(client) == NOTHING


async def test_a_dead_connection_is_never_selected() -> None:
    """S18: neither before its hooks have run nor after."""
    peers = Peers()

    class Slow(Recording):
        async def close(self, connection: Any) -> None:
            await super().close(connection)
            await closing.wait()

    protocol, closing = Slow(), trio.Event()
    async with client_of(peers, protocol=protocol) as client:
        await client.send(b"a")
        await peers.streams[0].aclose()
        await wait_all_tasks_blocked()
        assert len(protocol.closed) == 1
        assert client.connections == []
        await client.send(b"b")
        assert await peers.read(1) == b"b\n"
        closing.set()


async def test_a_hook_holds_the_only_place() -> None:
    """S18: with one place a sender waits until the hooks of the dead connection have run."""
    peers = Peers()

    class Slow(Recording):
        async def close(self, connection: Any) -> None:
            await closing.wait()

    closing = trio.Event()
    async with client_of(peers, protocol=Slow(), max_connections=1) as client:
        await client.send(b"a")
        await peers.streams[0].aclose()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"b")
            await wait_all_tasks_blocked()
            assert counts(client) == (1, 0, 0, 1)
            closing.set()
        assert await peers.read(1) == b"b\n"
        assert peers.peak == 1


class Flaky(Peers):
    """Each connection breaks after so many bytes."""

    def __init__(self, budgets: list[int]) -> None:
        super().__init__()
        self._budgets = iter(budgets)

    async def connect(self) -> Any:
        stream = await super().connect()
        stream.break_after_sent = next(self._budgets, None)
        stream.chunk_size = 7
        return stream


@settings(max_examples=80)
@given(
    budgets=st.lists(st.integers(0, 60), max_size=6),
    senders=st.integers(1, 6),
    each=st.integers(1, 12),
    maximum=st.integers(1, 3),
    move=st.booleans(),
)
def test_ledger(budgets: list[int], senders: int, each: int, maximum: int, *, move: bool) -> None:
    """B5, S18: what was accepted is sent, in doubt or purged, exactly once, whatever breaks."""
    peers, protocol = Flaky(budgets), Recording()
    accepted: list[bytes] = []
    arrived: list[bytes] = []

    async def send(sender: int) -> None:
        for number in range(each):
            message = b"%d-%d" % (sender, number)
            try:
                await client.send(message)
            except SnowtrioError:
                continue
            accepted.append(message)
            if number % 3 == sender % 3:
                await trio.lowlevel.checkpoint()

    async def run() -> None:
        async with client:
            async with trio.open_nursery() as nursery:
                for sender in range(senders):
                    nursery.start_soon(send, sender)
            await trio.sleep(50)
        for index in range(len(peers.streams)):
            with trio.move_on_after(1):
                arrived.extend((await peers.read_rest(index)).split(b"\n")[:-1])

    client = client_of(
        peers,
        protocol=protocol,
        move_unsent=move,
        max_connections=maximum,
        max_outbox_messages=4,
    )
    trio.run(run, clock=MockClock(autojump_threshold=0))
    statistics = client.statistics()
    pool = statistics.pool
    # Whole messages: the last of a connection may have been cut in the middle, or have come whole.
    lost = Counter(accepted) - Counter(arrived) - Counter(protocol.purged)
    assert max(Counter(arrived + protocol.purged).values(), default=0) <= 1
    assert set(arrived + protocol.purged) <= set(accepted)
    assert lost.total() <= pool.messages_in_doubt
    assert len(protocol.purged) == pool.messages_unsent
    assert not move or not protocol.purged or statistics.opens_failed
    assert len(accepted) == (pool.messages_sent + pool.messages_in_doubt + pool.messages_unsent)
    assert pool.messages_accepted == len(accepted) + statistics.messages_moved
    assert counts(client) == NOTHING
