"""A hub: who gets what is published, in which order, and what becomes of those who are slow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import BroadcastReport, LocalProtocolError, Side, WhenSlow
from snowtrio.http import HTTPLimits
from snowtrio.testing import FaultyStream
from snowtrio.testing.websocket import (
    expect_close,
    expect_message,
    open_websocket_pair,
    open_websocket_with_peer,
)
from snowtrio.websocket import (
    AbnormalCloseError,
    Close,
    Deflate,
    Hub,
    Message,
    Prepared,
    WebSocket,
    WebSocketLimits,
)

from ..cancelling import cancelled_at, every_suspension

NARROW = HTTPLimits(max_outbox_messages=3, drain_timeout=1, linger_timeout=0)
BOUNDS = WebSocketLimits(close_timeout=5, ping_interval=None)


@attrs.frozen(eq=False)
class Seat:
    """A server's WebSocket, the client's end of it, and the stream between that can stall."""

    websocket: WebSocket
    client: WebSocket
    stream: FaultyStream

    async def told(self) -> list[Message]:
        """Return what the client gets until nothing more comes."""
        messages: list[Message] = []
        with trio.move_on_after(1):
            async for message in self.client:
                messages.append(message)
        return messages

    async def clog(self) -> None:
        """Let the peer take nothing, and fill the outbox with three messages that were sent."""
        self.stream.stall()
        for text in ("a", "b", "c"):
            await self.websocket.send(text)
            await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def seats(number: int, **options: Any) -> AsyncIterator[list[Seat]]:
    made: list[Seat] = []
    async with AsyncExitStack() as stack:
        for _ in range(number):
            ours, theirs = trio.testing.memory_stream_pair()
            stream = FaultyStream(theirs)
            pair = open_websocket_pair(
                streams=(ours, stream), limits=BOUNDS, **({"http_limits": NARROW} | options)
            )
            client, websocket = await stack.enter_async_context(pair)
            made.append(Seat(websocket, client, stream))
        yield made
        for seat in made:
            seat.stream.resume()


def report(**counts: int) -> BroadcastReport:
    names = [field.name for field in attrs.fields(BroadcastReport)]
    return BroadcastReport(**(dict.fromkeys(names, 0) | counts))


# Who gets it


@pytest.mark.parametrize("when_slow", WhenSlow)
async def test_all_members_get_it(when_slow: WhenSlow, autojump_clock: MockClock) -> None:
    """W20, W6: text as text and binary as binary, with no input from them."""
    hub = Hub(when_slow=when_slow)
    async with seats(3) as given:
        for seat in given:
            hub.join(seat.websocket)
        assert await hub.publish("grüße") == report(sent=3)
        assert await hub.publish(bytearray(b"\0\xff")) == report(sent=3)
        assert await hub.publish(Prepared("x" * 70_000)) == report(sent=3)
        for seat in given:
            assert await seat.told() == ["grüße", b"\0\xff", "x" * 70_000]


async def test_topics(autojump_clock: MockClock) -> None:
    """W20: members of several topics get it once; without topics all get it."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(4, http_limits=HTTPLimits()) as given:
        a, b, both, neither = given
        hub.join(a.websocket, "a")
        hub.join(b.websocket, "b")
        hub.join(both.websocket, "a", "b")
        hub.join(neither.websocket)
        assert len(hub) == 4
        assert set(hub.topics) == {"a", "b"}
        assert hub.members("a") == [a.websocket, both.websocket]
        assert hub.topics_of(both.websocket) == {"a", "b"}
        assert hub.topics_of(neither.websocket) == frozenset()
        assert await hub.publish("1", "a") == report(sent=2)
        assert await hub.publish("2", "a", "b") == report(sent=3)
        assert await hub.publish("3") == report(sent=4)
        assert await hub.publish("4", "c") == report()
        assert await hub.publish("5", "a", but=a.websocket) == report(sent=1)
        assert await hub.publish("6", "b", but=a.websocket) == report(sent=2)
        assert await a.told() == ["1", "2", "3"]
        assert await b.told() == ["2", "3", "6"]
        assert await both.told() == ["1", "2", "3", "5", "6"]
        assert await neither.told() == ["3"]


async def test_joining_and_leaving(autojump_clock: MockClock) -> None:
    """W20: twice is once; topics one by one; a block that ends leaves what it joined."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(1) as (seat,):
        websocket = seat.websocket
        hub.leave(websocket)
        hub.leave(websocket, "a")
        assert websocket not in hub
        with hub.join(websocket, "a") as joined:
            assert joined is websocket
            with hub.join(websocket, "b"):
                hub.join(websocket, "a")
                assert hub.topics_of(websocket) == {"a", "b"}
            assert hub.topics_of(websocket) == {"a"}
        assert websocket in hub
        assert not hub.topics
        with hub.join(websocket):
            hub.join(websocket, "c")
        assert websocket not in hub
        assert not hub.topics
        assert hub.members() == []
        assert "anything" not in hub


async def test_a_hub_has_a_policy() -> None:
    """W20: there is none by default, and nothing else is one."""
    with pytest.raises(TypeError):
        Hub()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="when_slow"):
        Hub(when_slow="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [1, None, object()])
async def test_what_is_no_message_goes_to_nobody(wrong: Any, autojump_clock: MockClock) -> None:
    """W20: so it is with text that has no UTF-8."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(2) as given:
        for seat in given:
            hub.join(seat.websocket)
        with pytest.raises(TypeError):
            await hub.publish(wrong)
        with pytest.raises(LocalProtocolError):
            await hub.publish("\ud800")
        assert hub.statistics().published == 0
        assert [await seat.told() for seat in given] == [[], []]


async def test_what_is_published_is_what_it_was_at_the_call(autojump_clock: MockClock) -> None:
    """W20: though it is sent later, and was changed meanwhile."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(1) as (seat,), trio.open_nursery() as nursery:
        hub.join(seat.websocket)
        await seat.clog()
        message = bytearray(b"before")
        nursery.start_soon(hub.publish, message)
        await trio.testing.wait_all_tasks_blocked()
        message[:] = b"behind"
        seat.stream.resume()
        assert await seat.told() == ["a", "b", "c", b"before"]


COMPRESSED = [None, Deflate(threshold=0), Deflate(threshold=0, context_takeover=False)]


@pytest.mark.parametrize("compression", COMPRESSED)
async def test_what_is_published_goes_with_what_is_sent(
    compression: Deflate | None, autojump_clock: MockClock
) -> None:
    """W20, W22: in order, and whatever looks back at earlier messages finds them."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    expected: list[Message] = []
    wide = HTTPLimits()
    async with (
        seats(2, compression=compression, http_limits=wide) as squeezed,
        seats(1, http_limits=wide) as plain,
    ):
        for seat in squeezed + plain:
            hub.join(seat.websocket)
        for number in range(20):
            text = f"the same words again and again, {number} " * 5
            for seat in squeezed + plain:
                await seat.websocket.send(text)
            await hub.publish(text)
            expected += [text, text]
        for seat in squeezed + plain:
            assert await seat.told() == expected


async def test_clients_can_be_members(autojump_clock: MockClock) -> None:
    """W20, W14: each frame of theirs has a mask of its own, or it would not be taken."""
    hub = Hub(when_slow=WhenSlow.DROP_OLDEST)
    async with seats(2) as given:
        for seat in given:
            hub.join(seat.client)
        for number in range(3):
            assert await hub.publish(f"{number}") == report(sent=2)
        for seat in given:
            for number in range(3):
                await expect_message(seat.websocket, f"{number}")


# Those who end


async def test_who_closes_leaves_by_itself(autojump_clock: MockClock) -> None:
    """W20, W9: whichever side it is, whatever the cause; from all hubs."""
    hubs = [Hub(when_slow=WhenSlow.WAIT) for _ in range(2)]
    async with seats(5) as given:
        for hub in hubs:
            for seat in given:
                hub.join(seat.websocket, "room", seat)
        by_peer, by_us, broken, left, stays = given
        await by_peer.client.close(4000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(by_us.websocket.close, 4001)
            await expect_close(by_us.client, 4001)
        broken.stream.break_now()
        await trio.testing.wait_all_tasks_blocked()
        hubs[0].leave(left.websocket)
        assert hubs[0].members("room") == [stays.websocket]
        assert hubs[1].members("room") == [left.websocket, stays.websocket]
        assert set(hubs[0].topics) == {"room", stays}
        hubs[0].join(by_us.websocket, "late")  # It is too late.
        assert not hubs[0].members("late")
        assert await hubs[0].publish("x") == report(sent=1)
        await expect_message(stays.client, "x")
        given.remove(broken)


async def test_what_is_asked_of_those_who_have_ended(autojump_clock: MockClock) -> None:
    """W20: a hub knows them no more, and says so, on either side; it is no error."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with open_websocket_pair(limits=BOUNDS) as ends:
        memberships = [hub.join(each, "room") for each in ends]
    for each, membership in zip(ends, memberships, strict=True):
        assert each not in hub
        assert hub.topics_of(each) == frozenset()
        hub.leave(each)
        hub.leave(each, "room")
        membership.leave()
        with hub.join(each, "late"):
            assert hub.members() == []
        assert await hub.publish("x", but=each) == report()


async def test_a_client_that_has_lost_its_server_leaves_a_block(autojump_clock: MockClock) -> None:
    """W20, W13: its connection ends while its block runs on."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with open_websocket_with_peer(Side.CLIENT, limits=BOUNDS) as (client, peer):
        with hub.join(client, "room"):
            await peer.aclose()
            with pytest.raises(AbnormalCloseError):
                await client.receive()
            await trio.testing.wait_all_tasks_blocked()
        assert client not in hub


async def test_one_that_breaks_is_nobody_elses_failure(autojump_clock: MockClock) -> None:
    """W20: nor the publisher's, however it is told of it."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(3) as given:
        for seat in given:
            hub.join(seat.websocket)
        broken = given[1]
        await broken.clog()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_report, hub, "x", report(sent=2, skipped=1))
            await trio.testing.wait_all_tasks_blocked()
            broken.stream.break_now()
        assert broken.websocket not in hub
        assert hub.statistics().skipped == 1
        assert await given[0].told() == await given[2].told() == ["x"]


async def expect_report(hub: Hub, message: str, expected: BroadcastReport) -> None:
    assert await hub.publish(message) == expected


# Those who are slow


async def test_wait(autojump_clock: MockClock) -> None:
    """W20, B8: all others have it by then; those that are published meanwhile come in order."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(2) as given, trio.open_nursery() as nursery:
        slow, fast = given
        for seat in given:
            hub.join(seat.websocket)
        await slow.clog()
        for number in range(8):
            nursery.start_soon(expect_report, hub, f"{number}", report(sent=1, waited=1))
            await trio.testing.wait_all_tasks_blocked()
        assert await fast.told() == [f"{number}" for number in range(8)]
        assert hub.statistics().published == 0
        slow.stream.resume()
        assert await slow.told() == ["a", "b", "c", *(f"{number}" for number in range(8))]
        assert hub.statistics().waited == 8


async def test_the_newest_is_dropped(autojump_clock: MockClock) -> None:
    """W20, B8: it is counted, and the slow one gets what fits."""
    hub = Hub(when_slow=WhenSlow.DROP_NEWEST)
    async with seats(2) as given:
        slow, fast = given
        for seat in given:
            hub.join(seat.websocket)
        await slow.clog()
        assert await hub.publish("1") == report(sent=1, dropped_newest=1)
        slow.stream.resume()
        assert await slow.told() == ["a", "b", "c"]
        assert await hub.publish("2") == report(sent=2)
        assert await slow.told() == ["2"]
        assert await fast.told() == ["1", "2"]
        statistics = hub.statistics()
        assert (statistics.sent, statistics.dropped_newest, statistics.published) == (3, 1, 2)


@pytest.mark.parametrize("compression", COMPRESSED)
async def test_the_oldest_is_dropped(
    compression: Deflate | None, autojump_clock: MockClock
) -> None:
    """W20, B8, W22: however it is compressed; never what was sent."""
    hub = Hub(when_slow=WhenSlow.DROP_OLDEST)
    async with seats(1, compression=compression) as (slow,):
        hub.join(slow.websocket)
        slow.stream.stall()
        await slow.websocket.send("a")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(2):
            assert await hub.publish(f"{number}") == report(sent=1)
        for number in range(2, 9):
            assert await hub.publish(f"{number}") == report(sent=1, dropped_oldest=1)
        slow.stream.resume()
        assert await slow.told() == ["a", "7", "8"]
        await slow.websocket.send("after it")
        assert await slow.told() == ["after it"]


async def test_the_oldest_gives_way_at_a_client_too(autojump_clock: MockClock) -> None:
    """W20, B8: though each frame of a client is its own."""
    hub = Hub(when_slow=WhenSlow.DROP_OLDEST)
    ours, theirs = trio.testing.memory_stream_pair()
    stream = FaultyStream(ours)
    async with open_websocket_pair(streams=(stream, theirs), limits=BOUNDS) as (client, server):
        hub.join(client)
        stream.stall()
        last = 0
        while not (await hub.publish(bytes([last]) * 60_000)).dropped_oldest:
            last += 1
        stream.resume()
        got = [await expect_message(server)]
        while got[-1] != bytes([last]) * 60_000:
            got.append(await expect_message(server))
        assert len(got) < last + 1


async def test_a_function_that_fails_leaves_no_one_in_line(autojump_clock: MockClock) -> None:
    """W20: what is published later does not wait behind what was given up."""

    def decide(websocket: WebSocket) -> WhenSlow:
        if websocket is given[1].websocket:
            raise KeyError("a mistake")
        return WhenSlow.WAIT

    hub = Hub(when_slow=decide)
    async with seats(2) as given:
        for seat in given:
            hub.join(seat.websocket)
            await seat.clog()
        with pytest.raises(KeyError):
            await hub.publish("lost")
        for seat in given:
            seat.stream.resume()
            assert await seat.told() == ["a", "b", "c"]
        assert await hub.publish("next") == report(sent=2)
        for seat in given:
            assert await seat.told() == ["next"]


async def test_the_slow_one_is_closed(autojump_clock: MockClock) -> None:
    """W20: it is told why, what was published and not sent is not in its way, and it has left."""
    hub = Hub(when_slow=WhenSlow.DISCONNECT)
    async with seats(2) as given:
        slow, fast = given
        for seat in given:
            hub.join(seat.websocket, "room")
        slow.stream.stall()
        await slow.websocket.send("a")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(2):
            assert await hub.publish(f"{number}", "room") == report(sent=2)
            await trio.testing.wait_all_tasks_blocked()
        assert await hub.publish("2") == report(sent=1, disconnected=1)
        assert hub.members("room") == [fast.websocket]
        assert await hub.publish("3") == report(sent=1)
        slow.stream.resume()
        assert await slow.told() == ["a"]
        assert slow.client.close_received == Close(1013, "too slow to keep up")
        assert await fast.told() == ["0", "1", "2", "3"]


async def test_the_slow_one_is_cut_in_the_end(autojump_clock: MockClock) -> None:
    """W20: where it does not even take the close, after ``close_timeout``."""
    hub = Hub(when_slow=WhenSlow.DISCONNECT)
    async with seats(1) as (slow,):
        hub.join(slow.websocket)
        await slow.clog()
        began = trio.current_time()
        assert await hub.publish("x") == report(disconnected=1)
        assert trio.current_time() == began
        await slow.websocket.wait_closed()
        assert trio.current_time() - began == pytest.approx(BOUNDS.close_timeout, abs=1.5)


async def test_a_function_decides(autojump_clock: MockClock) -> None:
    """W20, B8: for each that is slow; and another one may decide for a message."""
    asked: list[WebSocket] = []

    def decide(websocket: WebSocket) -> WhenSlow:
        asked.append(websocket)
        return WhenSlow.DROP_NEWEST if websocket is given[0].websocket else WhenSlow.DISCONNECT

    hub = Hub(when_slow=decide)
    async with seats(3) as given:
        for seat in given:
            hub.join(seat.websocket)
        await given[0].clog()
        await given[1].clog()
        drop = WhenSlow.DROP_NEWEST
        assert await hub.publish("0", when_slow=drop) == report(sent=1, dropped_newest=2)
        assert not asked
        assert await hub.publish("1") == report(sent=1, dropped_newest=1, disconnected=1)
        assert asked == [given[0].websocket, given[1].websocket]
        assert len(hub) == 2


@pytest.mark.parametrize("when_slow", WhenSlow)
async def test_nothing_comes_into_a_message_that_is_sent_in_parts(
    when_slow: WhenSlow, autojump_clock: MockClock
) -> None:
    """W20, W21: who is in the middle of one is not slow, so it is not closed."""
    hub = Hub(when_slow=when_slow)
    async with seats(1) as (seat,), trio.open_nursery() as nursery:
        hub.join(seat.websocket)
        assert await hub.publish("before") == report(sent=1)
        async with seat.websocket.send_stream(str) as parts:
            await parts.send("one ")
            nursery.start_soon(hub.publish, "behind")
            await trio.testing.wait_all_tasks_blocked()
            await parts.send("message")
        dropped = when_slow in (WhenSlow.DROP_NEWEST, WhenSlow.DROP_OLDEST)
        assert await seat.told() == ["before", "one message", *([] if dropped else ["behind"])]


# At the same time


async def test_all_members_get_all_in_the_same_order(autojump_clock: MockClock) -> None:
    """W20: though many publish at the same time, and it takes many passes."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(70, http_limits=HTTPLimits()) as given, trio.open_nursery() as nursery:
        for seat in given:
            hub.join(seat.websocket)
        for number in range(10):
            nursery.start_soon(hub.publish, f"{number}")
        orders = [await seat.told() for seat in given]
        assert len(orders[0]) == 10
        assert all(order == orders[0] for order in orders)


async def test_who_joins_and_leaves_meanwhile(autojump_clock: MockClock) -> None:
    """W20: who joined later does not get it, who has left before its turn does not either."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(70, http_limits=HTTPLimits()) as given:
        *members, leaves, joins = given
        for seat in [*members, leaves]:
            hub.join(seat.websocket)

        async def meanwhile() -> None:
            await trio.lowlevel.checkpoint()  # It has been called by now, whoever was first.
            hub.leave(leaves.websocket)
            hub.join(joins.websocket)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_report, hub, "x", report(sent=68))
            nursery.start_soon(meanwhile)
        for seat in members:
            await expect_message(seat.client, "x")
        assert await leaves.told() == await joins.told() == []
        assert await hub.publish("y") == report(sent=69)


async def test_one_that_is_given_up_lets_the_others_go_on(autojump_clock: MockClock) -> None:
    """W20: in their order, while there are some before it that wait."""
    hub = Hub(when_slow=WhenSlow.WAIT)
    async with seats(1) as (slow,), trio.open_nursery() as nursery:
        hub.join(slow.websocket)
        await slow.clog()
        nursery.start_soon(hub.publish, "0")
        await trio.testing.wait_all_tasks_blocked()
        scope = trio.CancelScope()
        nursery.start_soon(cancelled, hub, "1", scope)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(hub.publish, "2")
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel(reason="given up")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(hub.publish, "3")
        await trio.testing.wait_all_tasks_blocked()
        slow.stream.resume()
        assert await slow.told() == ["a", "b", "c", "0", "2", "3"]


async def cancelled(hub: Hub, message: str, scope: trio.CancelScope) -> None:
    with scope:
        await hub.publish(message)


async def test_cancelled_at_every_await(autojump_clock: MockClock) -> None:
    """W20: each member has got it or not, and the hub goes on."""

    async def scenario(suspension: int) -> bool:
        hub = Hub(when_slow=WhenSlow.WAIT)
        async with seats(2) as given:
            slow, fast = given
            for seat in given:
                hub.join(seat.websocket)
            await slow.clog()

            async def publish() -> None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(resume_later, slow)
                    await hub.publish("x")

            struck = await cancelled_at(suspension, publish)
            slow.stream.resume()
            assert isinstance(await hub.publish("y"), BroadcastReport)
            assert (await slow.told())[-1] == "y"
            assert (await fast.told())[-1] == "y"
        return struck

    strikes = [suspension async for suspension in every_suspension(scenario)]
    assert len(strikes) > 1


async def resume_later(seat: Seat) -> None:
    await trio.sleep(1)
    seat.stream.resume()


async def test_an_empty_room_costs_a_checkpoint() -> None:
    """W20."""
    hub = Hub(when_slow=WhenSlow.DISCONNECT)
    with trio.testing.assert_checkpoints():
        assert await hub.publish("x", "nobody") == report()
    assert not hub.topics


@pytest.mark.parametrize("when_slow", WhenSlow)
async def test_fifty_publishers_while_members_come_and_go(
    when_slow: WhenSlow, autojump_clock: MockClock
) -> None:
    """W20, W19: nobody's failure is another's; the sums are those of the reports."""
    hub = Hub(when_slow=when_slow)
    reports: list[BroadcastReport] = []

    async def publish(number: int) -> None:
        for turn in range(4):
            reports.append(await hub.publish(f"{number} {turn}", "room", "hall"))

    async with seats(5) as given:
        stays, comes, breaks, closes, slow = given
        for seat in given:
            hub.join(seat.websocket, "room", "hall")
        slow.stream.stall()
        heard: list[Message] = []
        async with trio.open_nursery() as listeners:
            listeners.start_soon(hear, stays, heard)
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(publish, number)
                await come_and_go(hub, comes.websocket)
                breaks.stream.break_now()
                await closes.client.close(4000)
                if when_slow is WhenSlow.WAIT:
                    slow.stream.resume()
                    nursery.start_soon(slow.told)
            await trio.testing.wait_all_tasks_blocked()
            listeners.cancel_scope.cancel()
        if when_slow is WhenSlow.WAIT:
            check_order(heard)
        counts = hub.statistics()
        assert counts.published == len(reports) == 200
        for name in attrs.fields_dict(BroadcastReport):
            assert getattr(counts, name) == sum(getattr(each, name) for each in reports), name
        assert {breaks.websocket, closes.websocket}.isdisjoint(hub.members())
        given.remove(breaks)


async def come_and_go(hub: Hub, websocket: WebSocket) -> None:
    """Join twice and leave twice, many times."""
    for _ in range(20):
        for _ in range(2):
            hub.join(websocket, "room")
        hub.leave(websocket, "hall")
        await trio.lowlevel.checkpoint()
        for _ in range(2):
            hub.leave(websocket)


async def hear(seat: Seat, heard: list[Message]) -> None:
    async for message in seat.client:
        heard.append(message)


def check_order(heard: list[Message]) -> None:
    """Check that all of each publisher came, in its order."""
    assert len(heard) == 200
    for number in range(50):
        its_own = [each for each in heard if str(each).startswith(f"{number} ")]
        assert its_own == [f"{number} {turn}" for turn in range(4)]
