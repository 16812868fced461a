"""Connections that are picked, lent, and bounded by ``max_pending``, without requests."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import Client, LocalProtocolError, PoolClosedError

from .asking import start
from .cancelling import cancelled_at, every_suspension
from .client_peers import LIMIT, NOTHING, Peers, Recording, client_of, counts


async def hold(client: Client[bytes], until: trio.Event, message: bytes = b"lent") -> None:
    async with client.lend() as connection:
        await connection.send(message)
        await until.wait()


@pytest.mark.parametrize("returned", [False, True])
async def test_what_was_sent_on_a_lent_connection_does_not_move(
    returned: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """S18: messages of who had it alone are purged; those of others, before and after, move."""
    peers, protocol = Peers(lockstep=True), Recording()
    limits: dict[str, Any] = {"max_connections": 1, "backoff": 0.01}
    async with client_of(peers, protocol=protocol, move_unsent=True, **limits) as client:
        async with client.lend() as connection:
            await connection.send(b"a")
            await trio.testing.wait_all_tasks_blocked()
            await connection.send(b"mine")
            if not returned:
                peers.theirs[0].break_now()
                await trio.sleep(1)
        if returned:
            await client.send(b"b")
            await client.send(b"c")
            peers.theirs[0].break_now()
            await trio.sleep(1)
            assert await peers.read_lines(1, 2) == [b"b", b"c"]
        assert protocol.purged == [b"mine"]
        assert client.statistics().messages_moved == 2 * returned


@pytest.mark.parametrize("gone", [False, True])
async def test_others_messages_move_from_one_that_somebody_waits_for(
    gone: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """S18: until it is quiet, what is unsent on it is not yet the borrower's."""
    peers, back = Peers(lockstep=True), trio.Event()
    limits: dict[str, Any] = {"max_connections": 1, "backoff": 0.01}
    async with client_of(peers, move_unsent=True, **limits) as client:
        async with trio.open_nursery() as nursery:
            await client.send(b"a")
            await trio.testing.wait_all_tasks_blocked()
            await client.send(b"b")
            borrower = await start(nursery, lambda: hold(client, back))
            if gone:
                borrower.scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
            peers.theirs[0].break_now()
            await trio.sleep(1)
            got = await peers.read_lines(1, 1)
            if not gone:
                got += await peers.read_lines(1, 1)
            assert sorted(got) == [b"b", b"lent"][: 2 - gone]
            back.set()
        assert client.statistics().messages_moved == 1


async def test_a_lent_connection_gets_nothing_of_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S14: the others go elsewhere while it is lent, and may use it again afterwards."""
    peers, back = Peers(), trio.Event()
    async with client_of(peers, max_connections=2) as client, trio.open_nursery() as nursery:
        await client.bootstrap()
        await start(nursery, lambda: hold(client, back))
        for message in (b"a", b"b"):
            await client.send(message)
        assert await peers.read_lines(0, 1) == [b"lent"]
        assert await peers.read_lines(1, 2) == [b"a", b"b"]
        assert len(client.connections) == 2
        back.set()
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"c")
        assert await peers.read_lines(0, 1) == [b"c"]


async def test_the_others_wait_for_the_only_one(autojump_clock: trio.testing.MockClock) -> None:
    """S13, S14: with every connection lent, senders wait, with a bound or without one."""
    for full in (None, 4):
        peers, back = Peers(), trio.Event()
        limits: dict[str, Any] = {"max_connections": 1, "max_pending": full}
        async with client_of(peers, **limits) as client, trio.open_nursery() as nursery:
            await start(nursery, partial(hold, client, back))
            for message in (b"a", b"b", b"c"):
                await start(nursery, partial(client.send, message))
            assert client.statistics().waiting == 3
            back.set()
            await trio.testing.wait_all_tasks_blocked()
            lines = await peers.read_lines(0, 4)
            assert lines[0] == b"lent"
            assert sorted(lines[1:]) == [b"a", b"b", b"c"]
            assert client.statistics().waiting == 0


async def test_a_busy_one_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """S14: who borrows the least busy one gets it when nothing is pending on it any more."""
    peers, back = Peers(lockstep=True), trio.Event()
    async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:
        await client.send(b"a")
        await client.send(b"b")
        borrower = await start(nursery, lambda: hold(client, back))
        assert await peers.read_lines(0, 2) == [b"a", b"b"]
        assert await peers.read_lines(0, 1) == [b"lent"]
        back.set()
        await borrower.done.wait()


async def test_one_that_ends_while_it_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S18: the borrower gets another one."""
    peers, back = Peers(lockstep=True), trio.Event()
    async with client_of(peers, max_connections=1, backoff=0.01) as client:
        async with trio.open_nursery() as nursery:
            await client.send(b"a")
            borrower = await start(nursery, lambda: hold(client, back))
            peers.theirs[0].break_now()
            await trio.sleep(1)
            assert await peers.read_lines(1, 1) == [b"lent"]
            back.set()
            await borrower.done.wait()
        assert borrower.result is None


async def test_a_block_that_raises_cuts_what_it_borrowed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B6: nobody knows what is under way on it."""
    peers = Peers()
    async with client_of(peers, max_connections=1) as client:
        with pytest.raises(KeyError):
            async with client.lend():
                raise KeyError
        await trio.testing.wait_all_tasks_blocked()
        assert peers.connected == 0
        await client.send(b"next")
        assert await peers.read_lines(1, 1) == [b"next"]


async def test_one_that_ends_while_it_is_lent(autojump_clock: trio.testing.MockClock) -> None:
    """S18: those who wait for it get another one at once, and it does not come back."""
    peers, back = Peers(), trio.Event()
    async with client_of(peers, max_connections=1, max_pending=1) as client:
        async with trio.open_nursery() as nursery:
            await start(nursery, lambda: hold(client, back))
            await start(nursery, lambda: client.send(b"a"))
            peers.theirs[0].break_now()
            with trio.fail_after(LIMIT):
                while len(peers.streams) < 2:
                    await trio.sleep(0.1)
            assert await peers.read_lines(1, 1) == [b"a"]
            back.set()
        await client.send(b"b")
        assert await peers.read_lines(1, 1) == [b"b"]


async def test_the_client_is_closed_while_one_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S23: the borrower is told, and what others sent is still sent."""
    peers, back = Peers(lockstep=True), trio.Event()
    async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:
        await client.send(b"a")
        borrower = await start(nursery, lambda: hold(client, back))
        await start(nursery, client.aclose)
        assert isinstance(borrower.result, PoolClosedError)
        assert await peers.read_rest(0) == b"a\n"


async def test_borrowing_cancelled_at_every_await() -> None:
    """B6: every count is as before, and what others have pending is sent all the same."""

    async def run(suspension: int) -> bool:
        peers = Peers(lockstep=True)
        async with client_of(peers, max_connections=1, max_pending=1) as client:
            await client.send(b"others")

            async def borrow() -> None:
                async with client.lend() as connection:
                    await connection.send(b"mine")
                    await connection.flush()

            async with trio.open_nursery() as nursery:
                received: list[bytes] = []

                async def read(index: int) -> None:
                    while data := await peers.read(index):
                        received.append(data)

                async def read_all() -> None:
                    for index in count():
                        for _ in range(5):
                            await trio.lowlevel.checkpoint()
                        while len(peers.streams) == index:
                            await trio.lowlevel.checkpoint()
                        nursery.start_soon(read, index)

                nursery.start_soon(read_all)
                late = await cancelled_at(suspension, borrow)
                await client.send(b"last")
                await client.aclose()
                nursery.cancel_scope.cancel()
            assert received[0] == b"others\n"
            assert counts(client) == NOTHING
        return late

    struck = [suspension async for suspension in every_suspension(run)]
    assert len(struck) > 1


# Room


async def test_senders_wait_for_room_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """S13: no more than ``max_pending`` are accepted by a connection, the others in their order."""
    peers = Peers(lockstep=True)
    async with (
        client_of(peers, max_connections=1, max_pending=2) as client,
        trio.open_nursery() as nursery,
    ):
        sent = [b"%d" % number for number in range(8)]
        for message in sent:
            await start(nursery, partial(client.send, message))
        (connection,) = client.connections
        assert connection.pending == 2
        assert client.statistics().waiting == 6
        received: list[bytes] = []
        while len(received) < 8:
            received += (await peers.read(0)).splitlines()
            await trio.testing.wait_all_tasks_blocked()
            assert connection.pending <= 2
        # Within one pass of the run loop tasks run in any order.
        for place, message in enumerate(sent):
            assert abs(received.index(message) - place) <= 1


async def test_who_picks_and_does_not_send_holds_nobody_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13: a place that was given with a connection and is not used goes to the next in line."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_connections=1, max_pending=1) as client:
        async with trio.open_nursery() as nursery:
            await client.send(b"a")
            picked = await start(nursery, client.pick)
            bad = await start(nursery, lambda: client.send(b"two\nlines"))
            last = await start(nursery, lambda: client.send(b"b"))
            assert await peers.read_lines(0, 1) == [b"a"]
            assert await peers.read_lines(0, 1) == [b"b"]
            await last.done.wait()
        assert picked.result is client.connections[0]
        assert isinstance(bad.result, LocalProtocolError)


async def test_bootstrap_does_not_wait_for_room(autojump_clock: trio.testing.MockClock) -> None:
    """S19: with a connection there is nothing to do, however busy it is, or whoever has it."""
    peers, back = Peers(lockstep=True), trio.Event()
    async with client_of(peers, max_connections=1, max_pending=1) as client:
        await client.send(b"a")
        with trio.fail_after(1):
            await client.bootstrap()
        assert await peers.read_lines(0, 1) == [b"a"]
        async with trio.open_nursery() as nursery:
            await start(nursery, lambda: hold(client, back))
            with trio.fail_after(1):
                await client.bootstrap()
            assert await peers.read_lines(0, 1) == [b"lent"]
            back.set()
        assert len(peers.streams) == 1


async def test_who_waits_among_dying_connections_does_not_spin(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13, S18: with one connection full and the other at its end, a sender just waits."""

    class Steps(trio.abc.Instrument):
        count = 0

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += 1

    peers = Peers(lockstep=True)
    limits: dict[str, Any] = {"max_connections": 2, "max_pending": 2, "drain_timeout": 100.0}
    async with client_of(peers, **limits) as client, trio.open_nursery() as nursery:
        await client.send(b"a")
        await client.send(b"b")
        # The second one is closing, and stays for as long as its message is not taken.
        await start(nursery, client.connections[1].aclose)
        await client.send(b"c")
        waits = await start(nursery, client.pick)
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(20)
        trio.lowlevel.remove_instrument(steps)
        assert steps.count < 100
        assert not waits.done.is_set()
        nursery.cancel_scope.cancel()
