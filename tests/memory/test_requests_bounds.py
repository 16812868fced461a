"""How many requests may be under way, who waits, and in which order (rows S13 to S15)."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from snowtrio import LocalProtocolError, PoolBusyError, RequestClient

from .asking import Asked, asking, echo, start, start_all
from .client_peers import Peers

LETTERS = tuple(b"%c" % each for each in b"abcdefghij")


async def next_lines(peers: Peers, index: int, count: int) -> list[bytes]:
    """Return the next lines of a connection, and see that no more come."""
    await trio.testing.wait_all_tasks_blocked()
    lines = await peers.read_lines(index, count)
    assert len(lines) == count
    return lines


async def test_no_more_than_max_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    """S13: the others wait in line, and are let in one by one in the order of their calls."""
    peers = Peers()
    async with asking(peers, max_connections=1, max_in_flight=2) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, *LETTERS[:6])
            found = client.statistics()
            assert (found.in_flight, found.waiting) == (2, 4)
            assert await next_lines(peers, 0, 2) == [b"a", b"b"]
            for letter, following in zip(LETTERS, LETTERS[2:6], strict=False):
                await peers.say(0, letter + b"\n")
                assert await next_lines(peers, 0, 1) == [following]
            await peers.say(0, b"e\nf\n")
        assert [each.result for each in asked] == list(LETTERS[:6])
        found = client.statistics()
        assert (found.in_flight, found.in_flight_peak, found.waiting) == (0, 2, 0)


async def test_no_more_than_max_pending_on_one(autojump_clock: trio.testing.MockClock) -> None:
    """S13: the others wait for room, and get it one by one in the order of their calls."""
    peers = Peers()
    async with asking(peers, max_connections=1, max_pending=2) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, *LETTERS[:7])
            assert client.statistics().client.waiting == 5
            assert await next_lines(peers, 0, 2) == [b"a", b"b"]
            for letter, following in zip(LETTERS, LETTERS[2:7], strict=False):
                await peers.say(0, letter + b"\n")
                assert await next_lines(peers, 0, 1) == [following]
            await peers.say(0, b"f\ng\n")
        assert [each.result for each in asked] == list(LETTERS[:7])
        assert client.statistics().client.waiting == 0


@pytest.mark.parametrize("bound", ["max_in_flight", "max_pending"])
async def test_who_waited_longest_gets_what_one_read_frees(
    bound: str, autojump_clock: trio.testing.MockClock
) -> None:
    """S13: several replies at once let in as many, and those the first of the line."""
    peers = Peers()
    async with (
        asking(peers, max_connections=1, **{bound: 3}) as client,
        trio.open_nursery() as nursery,
    ):
        await start_all(nursery, client, *LETTERS)
        assert len(await next_lines(peers, 0, 3)) == 3
        for group in (LETTERS[3:6], LETTERS[6:9], LETTERS[9:]):
            await peers.say(0, b"1\n2\n3\n")
            # Within one pass of the run loop tasks run in any order.
            assert sorted(await next_lines(peers, 0, len(group))) == list(group)
        await peers.say(0, b"1\n")


@pytest.mark.parametrize("again", range(8))
@pytest.mark.parametrize("bound", ["max_in_flight", "max_pending"])
async def test_nobody_barges_in(
    bound: str, again: int, autojump_clock: trio.testing.MockClock
) -> None:
    """S13: who comes in the moment in which a place is free waits behind who waits already.

    Which of two tasks runs first is left to chance, so it is tried again and again.
    """
    peers = Peers()
    async with (
        asking(peers, max_connections=1, **{bound: 1}) as client,
        trio.open_nursery() as nursery,
    ):
        late = Asked()

        async def barge() -> None:
            assert await client.request(b"a") == b"1"
            # This runs in the pass in which the first of the line is woken.
            nursery.start_soon(late.run, lambda: client.request(b"late"))
            await client.request(b"again")

        nursery.start_soon(barge)
        await trio.testing.wait_all_tasks_blocked()
        await start_all(nursery, client, b"b", b"c")
        assert await next_lines(peers, 0, 1) == [b"a"]
        order: list[bytes] = []
        for _ in range(4):
            await peers.say(0, b"1\n")
            order += await next_lines(peers, 0, 1)
        assert order[:2] == [b"b", b"c"]
        assert sorted(order[2:]) == [b"again", b"late"]
        await peers.say(0, b"1\n")


@pytest.mark.parametrize("bound", ["max_in_flight", "max_pending"])
@pytest.mark.parametrize("first", [True, False])
async def test_a_place_is_not_lost_with_who_is_cancelled_when_it_comes(
    bound: str, first: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """S13, B6: cancelled just before or after it is woken, the next one goes on all the same."""
    peers = Peers()
    async with asking(peers, max_connections=1, **{bound: 1}) as client:
        async with trio.open_nursery() as nursery:
            _, struck, last = await start_all(nursery, client, b"a", b"struck", b"last")
            assert await next_lines(peers, 0, 1) == [b"a"]

            class Strike(trio.abc.Instrument):
                def after_task_step(self, task: trio.lowlevel.Task) -> None:
                    # The reply has been given to its request, and nobody has run since.
                    if client.statistics().answered and not struck.scope.cancel_called:
                        struck.scope.cancel()

            strike = Strike()
            if not first:
                trio.lowlevel.add_instrument(strike)
            await peers.say(0, b"1\n")
            if first:
                struck.scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            if not first:
                trio.lowlevel.remove_instrument(strike)
            assert isinstance(struck.result, trio.Cancelled)
            sent = await peers.read(0)
            await peers.say(0, b"2\n" * sent.count(b"\n"))
            while not last.done.is_set():
                await trio.testing.wait_all_tasks_blocked()
                if not last.done.is_set():
                    await peers.say(0, b"2\n" * (await peers.read(0)).count(b"\n"))
            assert last.result == b"2"
        assert client.statistics().in_flight == 0


@pytest.mark.parametrize("bound", ["max_in_flight", "max_pending"])
async def test_who_leaves_the_line_leaves_the_others_in_order(
    bound: str, autojump_clock: trio.testing.MockClock
) -> None:
    """S13, B6: cancelled in line, it has changed nothing."""
    peers = Peers()
    async with asking(peers, max_connections=1, **{bound: 1}) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, *LETTERS[:5])
            asked[1].scope.cancel()
            asked[3].scope.cancel()
            assert await next_lines(peers, 0, 1) == [b"a"]
            await peers.say(0, b"1\n")
            assert await next_lines(peers, 0, 1) == [b"c"]
            await peers.say(0, b"1\n")
            assert await next_lines(peers, 0, 1) == [b"e"]
            await peers.say(0, b"1\n")
        assert client.statistics().abandoned == 0


async def test_a_message_that_cannot_be_encoded_gives_its_room_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13: who gets a place and cannot use it leaves it to the next in line."""
    peers = Peers()
    async with asking(peers, max_connections=1, max_pending=1) as client:
        async with trio.open_nursery() as nursery:
            await start(nursery, lambda: client.request(b"a"))
            bad = await start(nursery, lambda: client.notify(b"two\nlines"))
            good = await start(nursery, lambda: client.request(b"b"))
            assert await next_lines(peers, 0, 1) == [b"a"]
            await peers.say(0, b"1\n")
            assert await next_lines(peers, 0, 1) == [b"b"]
            assert isinstance(bad.result, LocalProtocolError)
            await peers.say(0, b"2\n")
            await good.done.wait()
        assert good.result == b"2"


async def test_too_many_in_line_are_told(autojump_clock: trio.testing.MockClock) -> None:
    """S13: beyond ``max_waiting`` a request raises at once; those in line stay there."""
    for bound in ("max_in_flight", "max_pending"):
        peers = Peers()
        async with asking(peers, max_connections=1, max_waiting=2, **{bound: 1}) as client:
            async with trio.open_nursery() as nursery:
                asked = await start_all(nursery, client, *LETTERS[:3])
                for _ in range(2):
                    with pytest.raises(PoolBusyError):
                        await client.request(b"too many")
                for _ in range(3):
                    await trio.testing.wait_all_tasks_blocked()
                    assert (await peers.read(0)).count(b"\n") == 1
                    await peers.say(0, b"1\n")
            assert [each.result for each in asked] == [b"1"] * 3
            assert client.statistics().in_flight == 0


async def test_who_waits_is_never_told_that_too_many_do(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13: a place in line is kept while others are turned away, whatever wakes who has it."""
    peers = Peers(closed=True)
    async with (
        asking(peers, max_connections=1, max_waiting=1, max_pending=1) as client,
        trio.open_nursery() as nursery,
    ):
        waits = await start(nursery, lambda: client.request(b"a"))
        refused: list[object] = []

        async def crowd() -> None:
            for _ in range(20):
                other = Asked()
                nursery.start_soon(other.run, lambda: client.request(b"x"))
                refused.append(other)
                await trio.lowlevel.checkpoint()

        nursery.start_soon(crowd)
        peers.open()
        await trio.testing.wait_all_tasks_blocked()
        while not waits.done.is_set():
            await peers.say(0, b"1\n" * (await peers.read(0)).count(b"\n"))
            await trio.testing.wait_all_tasks_blocked()
        assert waits.result == b"1"
        nursery.cancel_scope.cancel()


async def test_room_in_the_outbox_is_room_too(autojump_clock: trio.testing.MockClock) -> None:
    """S13: however many wait for a full outbox, no more than ``max_pending`` are sent after it."""
    peers = Peers(lockstep=True)
    limits = {"max_connections": 1, "max_pending": 2, "max_outbox_messages": 1}
    async with asking(peers, **limits) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, *LETTERS[:6])
            answered = 0
            while answered < 6:
                with trio.move_on_after(1):
                    while True:
                        await peers.read(0)
                found = client.statistics()
                (connection,) = client._client.connections
                sent = connection.statistics().messages_accepted
                assert sent - found.answered <= 2
                answered += 1
                await peers.say(0, b"1\n")
        assert [each.result for each in asked] == [b"1"] * 6


async def test_a_batch_enters_as_one(autojump_clock: trio.testing.MockClock) -> None:
    """S13: a batch above the bound waits until there is a place, and then goes as a whole."""
    peers = Peers()
    async with asking(peers, max_connections=1, max_in_flight=2) as client:
        async with trio.open_nursery() as nursery:
            await start(nursery, lambda: client.request(b"a"))
            await start(nursery, lambda: client.request(b"b"))
            batch = await start(nursery, lambda: client.request_batch([b"1", b"2", b"3"]))
            after = await start(nursery, lambda: client.request(b"after"))
            assert await next_lines(peers, 0, 2) == [b"a", b"b"]
            await peers.say(0, b"x\n")
            assert await next_lines(peers, 0, 3) == [b"1", b"2", b"3"]
            await peers.say(0, b"x\n1\n2\n")
            await trio.testing.wait_all_tasks_blocked()
            assert not batch.done.is_set()
            await peers.say(0, b"3\n")
            assert await next_lines(peers, 0, 1) == [b"after"]
            await peers.say(0, b"4\n")
        assert (batch.result, after.result) == ([b"1", b"2", b"3"], b"4")
        assert client.statistics().in_flight_peak == 4


async def test_the_pool_grows_while_replies_are_due(autojump_clock: trio.testing.MockClock) -> None:
    """S14, S15: unanswered requests make a connection busy; then the fewest of them decide."""
    peers = Peers()
    async with asking(peers, max_connections=2) as client:
        async with trio.open_nursery() as nursery:
            await start_all(nursery, client, b"a", b"b")
            assert (await peers.read(0), await peers.read(1)) == (b"a\n", b"b\n")
            await start_all(nursery, client, b"c")
            assert await peers.read(0) == b"c\n"
            await peers.say(1, b"1\n")
            await start_all(nursery, client, b"d", b"e")
            assert await next_lines(peers, 1, 2) == [b"d", b"e"]
            await peers.say(0, b"1\n2\n")
            await start_all(nursery, client, b"f")
            assert await peers.read(0) == b"f\n"
            await peers.say(0, b"3\n")
            await peers.say(1, b"2\n3\n")
        assert len(peers.streams) == 2


async def test_those_in_line_open_what_has_ended(autojump_clock: trio.testing.MockClock) -> None:
    """S14, S18: where connections end that others wait for, new ones take their place."""
    peers = Peers()
    async with asking(peers, max_connections=2, max_pending=1, backoff=0.01) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, *LETTERS[:8])
            for end in peers.theirs[:2]:
                end.break_now()
            with trio.fail_after(100):
                served = 2
                while not all(each.done.is_set() for each in asked):
                    await trio.testing.wait_all_tasks_blocked()
                    while served < len(peers.streams):
                        nursery.start_soon(echo, peers, served)
                        served += 1
                    await trio.sleep(0.01)
            assert [each.result for each in asked[2:]] == list(LETTERS[2:8])
            nursery.cancel_scope.cancel()
        assert len(peers.streams) == 4


async def test_those_in_line_replace_one_that_has_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S14: where one of two connections ends that others wait for, they open another."""
    peers = Peers()
    async with (
        asking(peers, max_connections=2, max_pending=1, backoff=0.01) as client,
        trio.open_nursery() as nursery,
    ):
        asked = await start_all(nursery, client, *LETTERS[:5])
        peers.theirs[1].break_now()
        await trio.sleep(1)
        nursery.start_soon(echo, peers, 2)
        with trio.fail_after(10):
            for each in asked[2:]:
                await each.done.wait()
        assert [each.result for each in asked[2:]] == list(LETTERS[2:5])
        nursery.cancel_scope.cancel()


class Steps(trio.abc.Instrument):
    """Counts the steps of tasks by the name of their function."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self._name = name

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += self._name in task.name


@pytest.mark.parametrize("bounds", [{"max_pending": 4}, {"max_in_flight": 16}])
async def test_a_reply_wakes_one_however_many_wait(
    bounds: dict[str, int], autojump_clock: trio.testing.MockClock
) -> None:
    """S13: a thousand tasks in line over four connections run a few steps each, not a thousand."""
    peers = Peers()
    replies: list[bytes] = []

    async def one_of_many(client: RequestClient[bytes], number: int) -> None:
        message = b"%d" % number
        assert await client.request(message) == message
        replies.append(message)

    steps = Steps("one_of_many")
    async with asking(peers, max_connections=4, max_waiting=1000, **bounds) as client:
        trio.lowlevel.add_instrument(steps)
        async with trio.open_nursery() as servers:
            async with trio.open_nursery() as nursery:
                for number in range(1000):
                    nursery.start_soon(one_of_many, client, number)
                with trio.fail_after(100):
                    while not peers.streams:
                        await trio.lowlevel.checkpoint()
                    served = 0
                    while len(replies) < 1000:
                        while served < len(peers.streams):
                            servers.start_soon(echo, peers, served)
                            served += 1
                        await trio.sleep(0.001)
            servers.cancel_scope.cancel()
        trio.lowlevel.remove_instrument(steps)
        assert client.statistics().answered == 1000
        assert len(peers.streams) == 4
    # To begin, to wait for a connection, for room, for the reply, and one more for each opening.
    assert steps.count <= 1000 * 8
