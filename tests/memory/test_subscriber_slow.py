"""A subscriber whose consumer is slow: what is kept, what is dropped, and how that is told."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import Cause, Gap, SlowConsumerError, Subscriber, WhenSlow
from snowtrio._subscriber._backlog import Backlog

from .client_peers import LIMIT, Peers
from .test_subscriber import brief, subscriber_of, take

NONE = type(None)


def lines(first: int, end: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, end)]


async def say(peers: Peers, index: int, messages: list[bytes]) -> None:
    """Say so much that it comes in several reads, and let it come."""
    for message in messages:
        await peers.say(index, message + b"\n")
        await wait_all_tasks_blocked()


async def test_waiting_stops_the_reading(autojump_clock: MockClock) -> None:
    """B8, B11: no more is read than is kept; all of it comes in the end, in order."""
    peers = Peers(lockstep=True)
    said = 0

    async def talk() -> None:
        nonlocal said
        for message in lines(0, 500):
            await peers.say(0, message + b"\n")
            said += 1

    async with (
        subscriber_of(peers, max_messages=10, receive_size=1) as messages,
        trio.open_nursery() as nursery,
    ):
        await wait_all_tasks_blocked()
        nursery.start_soon(talk)
        await wait_all_tasks_blocked()
        assert 10 <= said <= 25
        assert messages.statistics().messages_waiting == 10
        assert await take(messages, 500) == lines(0, 500)
        found = messages.statistics()
    assert (found.messages_peak, found.messages_dropped, found.gaps) == (10, 0, 0)


async def test_waiting_is_no_silence_of_the_server(autojump_clock: MockClock) -> None:
    """B8: it is we who do not read."""
    peers = Peers()
    async with subscriber_of(peers, max_messages=2, silence_timeout=5.0) as messages:
        await wait_all_tasks_blocked()
        await say(peers, 0, lines(0, 10))
        await trio.sleep(100)
        assert await take(messages, 10) == lines(0, 10)
        assert messages.statistics().silences == 0


async def test_a_break_behind_what_waits(autojump_clock: MockClock) -> None:
    """B5: all that had been decoded comes first, also where the connection is long gone."""
    peers = Peers()
    async with subscriber_of(peers, max_messages=4) as messages:
        await wait_all_tasks_blocked()
        await say(peers, 0, lines(0, 6))
        peers.theirs[0].break_now()
        await trio.sleep(100)
        got = brief(await take(messages, 7))
        while len(peers.streams) < 2:
            await trio.sleep(0.1)
        await say(peers, 1, lines(6, 8))
        assert got[:6] == lines(0, 6)
        assert isinstance(got[6], tuple)
        assert await take(messages, 2) == lines(6, 8)


async def test_the_oldest_give_way(autojump_clock: MockClock) -> None:
    """B8: the gap stands where they were, and counts them."""
    peers = Peers()
    async with subscriber_of(peers, max_messages=4, when_slow=WhenSlow.DROP_OLDEST) as messages:
        await wait_all_tasks_blocked()
        await say(peers, 0, lines(0, 10))
        found = messages.statistics()
        assert (found.messages_waiting, found.messages_dropped, found.messages_peak) == (4, 6, 4)
        assert brief(await take(messages, 5)) == [(NONE, 0, 6), *lines(6, 10)]
        await say(peers, 0, lines(10, 12))
        assert await take(messages, 2) == lines(10, 12)
    assert messages.statistics().messages_delivered == 6


async def test_the_oldest_before_a_break_give_way(autojump_clock: MockClock) -> None:
    """B8, B5: the gaps that meet become one."""
    peers = Peers()
    async with subscriber_of(peers, max_messages=4, when_slow=WhenSlow.DROP_OLDEST) as messages:
        await wait_all_tasks_blocked()
        await say(peers, 0, lines(0, 3))
        await peers.streams[0].aclose()
        await trio.sleep(1)
        await say(peers, 1, lines(3, 6))
        assert brief(await take(messages, 3)) == [(NONE, 0, 2), b"2", (trio.EndOfChannel, 1, 0)]
        await say(peers, 1, lines(6, 11))
        assert brief(await take(messages, 5)) == [(NONE, 0, 4), *lines(7, 11)]
        await say(peers, 1, lines(11, 12))
        await peers.streams[1].aclose()
        await trio.sleep(1)
        await say(peers, 2, lines(12, 18))
        assert brief(await take(messages, 5)) == [(trio.EndOfChannel, 1, 3), *lines(14, 18)]


async def test_the_newest_are_dropped(autojump_clock: MockClock) -> None:
    """B8: the gap stands where they would have been."""
    peers = Peers()
    async with subscriber_of(peers, max_messages=4, when_slow=WhenSlow.DROP_NEWEST) as messages:
        await wait_all_tasks_blocked()
        await say(peers, 0, lines(0, 10))
        assert await take(messages, 2) == lines(0, 2)
        await say(peers, 0, lines(10, 13))
        assert brief(await take(messages, 6)) == [
            *lines(2, 4),
            (NONE, 0, 6),
            *lines(10, 12),
            (NONE, 0, 1),
        ]
        assert messages.statistics().messages_dropped == 7


async def test_disconnecting(autojump_clock: MockClock) -> None:
    """B8: what is kept is delivered, then it ends for good."""
    peers = Peers()
    async with subscriber_of(peers, max_messages=4, when_slow=WhenSlow.DISCONNECT) as messages:
        await wait_all_tasks_blocked()
        await say(peers, 0, lines(0, 5))
        await trio.sleep(60)
        assert brief(await take(messages, 5)) == [*lines(0, 4), (NONE, 0, 1)]
        for _ in range(2):
            with pytest.raises(SlowConsumerError, match=r"max_messages \(4\)"):
                await messages.receive()
        assert messages.statistics().pool.ended == {Cause.DROPPED: 1}
    assert len(peers.attempts) == 1


@pytest.mark.parametrize("policy", WhenSlow)
async def test_a_consumer_that_keeps_up_misses_nothing(
    autojump_clock: MockClock, policy: WhenSlow
) -> None:
    """B8: also where one read brings more than is kept."""
    peers = Peers()
    got: list[bytes | Gap] = []

    async def consume(messages: Subscriber[bytes]) -> None:
        async for message in messages:
            got.append(message)

    async with (
        subscriber_of(peers, max_messages=5, when_slow=policy) as messages,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(consume, messages)
        await wait_all_tasks_blocked()
        await peers.say(0, b"".join(line + b"\n" for line in lines(0, 300)))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert got == lines(0, 300)


async def test_several_consumers(autojump_clock: MockClock) -> None:
    """B5: each message goes to one of them, and a cancelled one takes none."""
    peers = Peers()
    got: list[bytes | Gap] = []

    async def consume(messages: Subscriber[bytes]) -> None:
        while True:
            got.append(await messages.receive())
            await trio.lowlevel.checkpoint()

    async with subscriber_of(peers) as messages, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(consume, messages)
        with trio.move_on_after(1):
            await messages.receive()
        await peers.say(0, b"".join(line + b"\n" for line in lines(0, 100)))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert sorted(got, key=str) == sorted(lines(0, 100), key=str)


@pytest.mark.parametrize("policy", WhenSlow)
async def test_nothing_is_kept_for_a_consumer_that_has_left(policy: WhenSlow) -> None:
    """S23: what comes between that and the end of the connection is nobody's."""
    backlog: Backlog[int] = Backlog(2, policy)
    await backlog.put([1])
    backlog.close()
    await backlog.put([2])
    assert backlog.waiting == 0


STEPS = st.lists(st.one_of(st.integers(0, 6), st.just("gap"), st.just("take")), max_size=30)


@given(steps=STEPS, bound=st.integers(1, 4), policy=st.sampled_from(WhenSlow))
def test_every_message_is_delivered_or_counted(
    steps: list[int | str], bound: int, policy: WhenSlow
) -> None:
    """B5: whatever the order: what is missing is within a gap that counts it, and order is kept."""

    async def run() -> list[int | Gap]:
        backlog: Backlog[int] = Backlog(bound, policy)
        got: list[int | Gap] = []
        number = 0
        with trio.fail_after(LIMIT):
            for step in steps:
                if step == "gap":
                    backlog.mark(Gap(attempts=1))
                elif step == "take":
                    with trio.move_on_after(0):
                        got.append(await backlog.take())
                else:
                    assert isinstance(step, int)
                    room = bound - backlog.waiting
                    if policy in (WhenSlow.WAIT, WhenSlow.DISCONNECT):
                        step = min(step, room)
                    await backlog.put(range(number, number + step))
                    number += step
                assert backlog.waiting <= bound
            backlog.end(EOFError())
            try:
                while True:
                    got.append(await backlog.take())
            except EOFError:
                pass
        got.append(Gap(dropped=0))
        expected = 0
        for item in got:
            if isinstance(item, Gap):
                expected += item.dropped
            else:
                assert item == expected
                expected += 1
        assert expected == number
        assert sum(item.attempts for item in got if isinstance(item, Gap)) == steps.count("gap")
        return got

    trio.run(run)
