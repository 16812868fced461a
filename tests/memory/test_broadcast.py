"""One message to many connections, and what becomes of it where a peer is slow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    BroadcastReport,
    Cause,
    Codec,
    Connection,
    LineCodec,
    LocalProtocolError,
    Protocol,
    ReceiveBuffer,
    ServerLimits,
    Side,
    WhenSlow,
    broadcast,
)
from snowtrio.testing import FaultyStream, open_memory_pair

from ..serving import LIMIT
from .cancelling import cancelled_at, every_suspension

LIMITS = ServerLimits(max_outbox_messages=3, drain_timeout=1, linger_timeout=0)


@attrs.frozen(eq=False)
class Seat:
    """A server's connection, the client's end of it, and the stream between that can stall."""

    connection: Connection[bytes, bytes, Any]
    client: Connection[bytes, bytes, Any]
    stream: FaultyStream

    async def told(self) -> list[bytes]:
        """Return what the client gets until nothing more comes."""
        lines: list[bytes] = []
        with trio.move_on_after(1):
            async for line in self.client:
                lines.append(line)
        return lines

    async def clog(self, *lines: bytes) -> None:
        """Let the peer take nothing; the first of the lines is then in the writer's hand."""
        self.stream.stall()
        for line in lines:
            self.connection.send_nowait(line)
            await trio.testing.wait_all_tasks_blocked()

    def balances(self) -> bool:
        """Whether every message that was accepted is accounted for."""
        counts = self.connection.statistics()
        held = counts.messages_sent + counts.outbox_messages + counts.messages_dropped
        ending = self.connection.ending
        if ending is not None:
            held += len(ending.unsent) + len(ending.in_doubt)
        return counts.messages_accepted == held


@asynccontextmanager
async def seats(
    number: int, codec: Codec[bytes] | Protocol[bytes] | None = None, limits: ServerLimits = LIMITS
) -> AsyncIterator[list[Seat]]:
    """Open connections; at the end check the account of each."""
    codec = codec or LineCodec()
    made: list[Seat] = []
    async with AsyncExitStack() as stack:
        for _ in range(number):
            ours, theirs = trio.testing.memory_stream_pair()
            stream = FaultyStream(theirs)
            pair = open_memory_pair(codec, streams=(ours, stream), limits=limits)
            client, connection = await stack.enter_async_context(pair)
            made.append(Seat(connection, client, stream))
        yield made
        for seat in made:
            seat.stream.resume()
    assert all(seat.balances() for seat in made)


class Suspensions(trio.abc.Instrument):
    """Counts how often the task is suspended within a block."""

    def __init__(self) -> None:
        self.count = 0
        self._task = trio.lowlevel.current_task()

    def __enter__(self) -> Suspensions:
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is self._task


def connections(given: list[Seat]) -> list[Connection[bytes, bytes, Any]]:
    return [seat.connection for seat in given]


def report(**counts: int) -> BroadcastReport:
    names = [field.name for field in attrs.fields(BroadcastReport)]
    return BroadcastReport(**(dict.fromkeys(names, 0) | counts))


class Counting(LineCodec):
    """Lines; counts how often it encodes."""

    encoded = 0

    def encode(self, message: Any) -> bytes:
        type(self).encoded += 1
        return super().encode(message)


class Numbered(Codec[bytes]):
    """Lines with their number before them: a coder with memory."""

    def __init__(self) -> None:
        self.number = 0

    def start(self, side: Side, context: object) -> Numbered:
        return Numbered()

    def encode(self, message: bytes) -> bytes:
        if message == b"bad":
            raise LocalProtocolError("that cannot be said")
        self.number += 1
        return b"%d:%b\n" % (self.number, message)

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while (line := buffer.take_until(b"\n")) is not None:
            yield line


class Forgetful(Counting):
    """A coder for each connection, which remembers nothing of what it has sent."""

    alike = LineCodec

    def start(self, side: Side, context: object) -> Forgetful:
        return Forgetful()


async def test_coders_that_are_alike_share_what_they_encode(autojump_clock: MockClock) -> None:
    """B8: and what is old may be dropped, as where all have one coder."""
    async with seats(3, Forgetful()) as given:
        Forgetful.encoded = 0
        done = await broadcast(connections(given), b"hello", when_slow=WhenSlow.WAIT)
        assert done == report(sent=3)
        assert Forgetful.encoded == 1
        assert [await seat.told() for seat in given] == [[b"hello"]] * 3
        slow = given[0]
        await slow.clog(b"0")
        for number in range(1, 6):
            await broadcast([slow.connection], b"%d" % number, when_slow=WhenSlow.DROP_OLDEST)
        slow.stream.resume()
        assert await slow.told() == [b"0", b"4", b"5"]


@pytest.mark.parametrize("when_slow", WhenSlow)
async def test_everybody_gets_it_encoded_once(
    when_slow: WhenSlow, autojump_clock: MockClock
) -> None:
    """B8: while nobody is slow the policy makes no difference."""
    Counting.encoded = 0
    async with seats(3, Counting()) as room:
        result = await broadcast(iter(connections(room)), b"hello", when_slow=when_slow)
        assert result == report(sent=3)
        assert [await seat.told() for seat in room] == [[b"hello"]] * 3
        assert Counting.encoded == 1


async def test_a_coder_with_memory_encodes_for_itself_and_only_what_is_sent(
    autojump_clock: MockClock,
) -> None:
    """B8: what was dropped is unknown to it; so the oldest cannot give way."""
    async with seats(2, Numbered()) as room:
        slow, quick = room
        await slow.clog(b"a")
        results: list[BroadcastReport] = []
        for number in range(4):
            line = b"%d" % number
            results.append(await broadcast(connections(room), line, when_slow=WhenSlow.DROP_OLDEST))
            await trio.testing.wait_all_tasks_blocked()
        assert results == [report(sent=2)] * 2 + [report(sent=1, dropped_newest=1)] * 2
        slow.stream.resume()
        assert await slow.told() == [b"1:a", b"2:0", b"3:1"]
        assert await quick.told() == [b"1:0", b"2:1", b"3:2", b"4:3"]
        await broadcast(connections(room), b"x", when_slow=WhenSlow.DROP_OLDEST)
        assert await slow.told() == [b"4:x"]


async def test_nobody_gets_what_cannot_be_encoded(autojump_clock: MockClock) -> None:
    """B8, S6: for coders that share and those with memory; all live on."""
    for codec, message in ((LineCodec(), b"two\nlines"), (Numbered(), b"bad")):
        async with seats(2, codec) as room:
            with pytest.raises(LocalProtocolError):
                await broadcast(connections(room), message, when_slow=WhenSlow.WAIT)
            assert [await seat.told() for seat in room] == [[], []]
            await broadcast(connections(room), b"fine", when_slow=WhenSlow.WAIT)
            assert all([await seat.told() for seat in room])


async def test_one_codec_refuses_before_any_other_has_sent(autojump_clock: MockClock) -> None:
    """B8: a message is encoded for all that share coders before it goes to anybody."""
    async with seats(2) as room, seats(2, LineCodec(max_message_size=4)) as strict:
        with pytest.raises(LocalProtocolError):
            await broadcast(connections(room + strict), b"hello", when_slow=WhenSlow.WAIT)
        assert [await seat.told() for seat in room] == [[], []]


async def test_who_has_left_is_skipped(autojump_clock: MockClock) -> None:
    """B8: closed, broken, or closing with messages still to send."""
    async with seats(4) as room:
        closed, broken, closing, stays = room
        await closed.connection.aclose()
        broken.stream.break_now()
        await trio.testing.wait_all_tasks_blocked()
        await closing.clog(b"a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(closing.connection.aclose)
            await trio.testing.wait_all_tasks_blocked(0.1)
            result = await broadcast(connections(room), b"x", when_slow=WhenSlow.WAIT)
            closing.stream.resume()
        assert result == report(sent=1, skipped=3)
        assert await stays.told() == [b"x"]
        assert await closing.told() == [b"a"]


async def test_the_newest_is_dropped(autojump_clock: MockClock) -> None:
    """B8, B7: it counts as accepted and as dropped, and is not purged."""
    async with seats(2) as room:
        slow, quick = room
        await slow.clog(b"a", b"b", b"c")
        result = await broadcast(connections(room), b"x", when_slow=WhenSlow.DROP_NEWEST)
        assert result == report(sent=1, dropped_newest=1)
        counts = slow.connection.statistics()
        assert (counts.messages_accepted, counts.messages_dropped) == (4, 1)
        slow.stream.resume()
        assert await slow.told() == [b"a", b"b", b"c"]
        assert await quick.told() == [b"x"]
    ending = slow.connection.ending
    assert ending is not None
    assert ending.unsent == ending.in_doubt == ()


async def test_the_oldest_broadcast_gives_way(autojump_clock: MockClock) -> None:
    """B8: not what is in the writer's hand, and never what was sent with `send`."""
    async with seats(1) as room:
        (slow,) = room
        slow.stream.stall()
        results: list[BroadcastReport] = []

        async def say(line: bytes) -> None:
            given = connections(room)
            results.append(await broadcast(given, line, when_slow=WhenSlow.DROP_OLDEST))
            await trio.testing.wait_all_tasks_blocked()

        await say(b"in hand")
        await say(b"1")
        await slow.connection.send(b"private")
        await say(b"2")
        await say(b"3")
        assert results == [report(sent=1)] * 2 + [report(sent=1, dropped_oldest=1)] * 2
        assert slow.connection.statistics().messages_dropped == 2
        slow.stream.resume()
        assert await slow.told() == [b"in hand", b"private", b"3"]


async def test_what_the_writer_has_taken_up_can_still_give_way(autojump_clock: MockClock) -> None:
    """B8: but for the 16 KiB that are being given to the kernel."""
    limits = attrs.evolve(LIMITS, max_outbox_messages=6)
    async with seats(1, limits=limits) as room:
        (slow,) = room
        lines = [b"%d" % number * 10_000 for number in range(9)]
        await slow.clog(b"a")
        for line in lines[:5]:
            await broadcast(connections(room), line, when_slow=WhenSlow.WAIT)
        slow.stream.chunk_size = 1000
        slow.stream.resume()
        while not slow.connection.statistics().messages_sent:
            await trio.lowlevel.checkpoint()
        slow.stream.stall()
        await trio.testing.wait_all_tasks_blocked()
        assert slow.connection.pending == 5
        results = [
            await broadcast(connections(room), line, when_slow=WhenSlow.DROP_OLDEST)
            for line in lines[5:]
        ]
        assert [each.dropped_oldest for each in results] == [0, 1, 1, 1]
        slow.stream.resume()
        kept = [lines[number] for number in (0, 1, 5, 6, 7, 8)]
        assert await slow.told() == [b"a", *kept]


async def test_where_none_can_give_way_the_new_one_is_dropped(autojump_clock: MockClock) -> None:
    """B8: the outbox is full of what was sent with `send`."""
    async with seats(1) as room:
        (slow,) = room
        await slow.clog(b"a", b"b", b"c")
        result = await broadcast(connections(room), b"x", when_slow=WhenSlow.DROP_OLDEST)
        assert result == report(dropped_newest=1)
        slow.stream.resume()
        assert await slow.told() == [b"a", b"b", b"c"]


async def test_as_many_of_the_oldest_give_way_as_the_new_one_is_large(
    autojump_clock: MockClock,
) -> None:
    """B8, S13: the bound in bytes holds."""
    limits = attrs.evolve(LIMITS, max_outbox_messages=100, max_outbox_bytes=100)
    async with seats(1, limits=limits) as room:
        (slow,) = room
        await slow.clog(b"a" * 50)
        dropped: list[int] = []
        held: list[int] = []
        for size in (20, 20, 20, 45, 300, 10):
            line = b"x" * (size - 1)
            result = await broadcast(connections(room), line, when_slow=WhenSlow.DROP_OLDEST)
            await trio.testing.wait_all_tasks_blocked()
            dropped.append(result.dropped_oldest)
            held.append(slow.connection.statistics().outbox_bytes)
        assert dropped == [0, 0, 0, 1, 2, 1]
        # The message that crosses the bound is accepted, as by `send`; above it nothing grows.
        assert held == [71, 91, 111, 136, 396, 361]
        slow.stream.resume()
        assert [len(line) for line in await slow.told()] == [50, 299, 9]


async def test_a_slow_one_is_disconnected(autojump_clock: MockClock) -> None:
    """B8: and what it had not been sent is purged."""
    async with seats(2) as room:
        slow, quick = room
        await slow.clog(b"a", b"b", b"c")
        result = await broadcast(connections(room), b"x", when_slow=WhenSlow.DISCONNECT)
        assert result == report(sent=1, disconnected=1)
        assert await quick.told() == [b"x"]
    ending = slow.connection.ending
    assert ending is not None
    assert ending.cause is Cause.DROPPED
    assert (ending.in_doubt, ending.unsent) == ((b"a",), (b"b", b"c"))


async def test_slow_ones_are_waited_for_together_after_all_others(
    autojump_clock: MockClock,
) -> None:
    """B8: whichever is ready first goes first, and those before them in line keep their place."""
    async with seats(3) as room:
        one, other, quick = room
        await one.clog(b"a", b"b", b"c")
        await other.clog(b"a", b"b", b"c")
        results: list[BroadcastReport] = []

        async def say() -> None:
            results.append(await broadcast(connections(room), b"x", when_slow=WhenSlow.WAIT))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.connection.send, b"in line")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(say)
            assert await quick.told() == [b"x"]
            other.stream.resume()
            assert await other.told() == [b"a", b"b", b"c", b"x"]
            assert not results
            one.stream.resume()
            assert await one.told() == [b"a", b"b", b"c", b"in line", b"x"]
        assert results == [report(sent=1, waited=2)]


async def test_who_leaves_while_it_is_waited_for_is_skipped(autojump_clock: MockClock) -> None:
    """B8: as those that had left before."""
    async with seats(1) as room:
        (slow,) = room
        await slow.clog(b"a", b"b", b"c")
        async with trio.open_nursery() as nursery:

            async def leave() -> None:
                await trio.testing.wait_all_tasks_blocked()
                slow.connection.drop()

            nursery.start_soon(leave)
            result = await broadcast(connections(room), b"x", when_slow=WhenSlow.WAIT)
        assert result == report(skipped=1)


async def test_a_function_gives_each_slow_one_its_policy(autojump_clock: MockClock) -> None:
    """B8: and is asked about the slow ones only."""
    async with seats(4) as room:
        policies = dict(zip(connections(room), WhenSlow, strict=True))
        waits = room[0]
        for seat in room:
            seat.stream.stall()
            for line in (b"1", b"2"):
                await broadcast([seat.connection], line, when_slow=WhenSlow.WAIT)
                await trio.testing.wait_all_tasks_blocked()
            await seat.connection.send(b"a")
        asked: list[object] = []

        def choose(connection: Connection[bytes, bytes, Any]) -> WhenSlow:
            asked.append(connection)
            waits.stream.resume()
            return policies[connection]

        async with seats(1) as (quick,):
            result = await broadcast([quick.connection, *policies], b"x", when_slow=choose)
        assert asked == list(policies)
        assert result == report(
            sent=2, waited=1, dropped_oldest=1, dropped_newest=1, disconnected=1
        )


async def test_what_is_no_policy_is_refused(autojump_clock: MockClock) -> None:
    """B8: nobody has got anything then."""
    async with seats(1) as room:
        with pytest.raises(TypeError, match="when_slow"):
            await broadcast(connections(room), b"x", when_slow="wait")  # type: ignore[arg-type]
        await room[0].clog(b"a", b"b", b"c")
        with pytest.raises(ValueError, match="not a valid WhenSlow"):
            await broadcast(connections(room), b"x", when_slow=lambda _: None)  # type: ignore[arg-type,return-value]
        room[0].stream.resume()
        assert await room[0].told() == [b"a", b"b", b"c"]


async def test_flush_does_not_wait_for_what_was_dropped(autojump_clock: MockClock) -> None:
    """B8, B10: but for all else that was accepted before it."""
    async with seats(1) as room:
        (slow,) = room
        await slow.clog(b"a")
        await broadcast(connections(room), b"1", when_slow=WhenSlow.WAIT)
        await slow.connection.send(b"b")
        flushed: list[int] = []

        async def flush() -> None:
            await slow.connection.flush()
            flushed.append(slow.connection.statistics().messages_sent)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flush)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(2, 6):
                line = b"%d" % number
                await broadcast(connections(room), line, when_slow=WhenSlow.DROP_OLDEST)
            await trio.testing.wait_all_tasks_blocked()
            assert not flushed
            slow.stream.resume()
        assert flushed[0] in (2, 3)  # What came after may have left in the same write.
        assert await slow.told() == [b"a", b"b", b"5"]


async def test_flush_comes_to_an_end_though_many_gave_way_to_one(
    autojump_clock: MockClock,
) -> None:
    """B8, B10: there are fewer messages to send then than there were."""
    limits = attrs.evolve(LIMITS, max_outbox_messages=100, max_outbox_bytes=100)
    async with seats(1, limits=limits) as room:
        (slow,) = room
        await slow.clog(b"a" * 50)
        for size in (20, 20, 40):
            await broadcast(connections(room), b"x" * size, when_slow=WhenSlow.DROP_OLDEST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.connection.flush)
            await trio.testing.wait_all_tasks_blocked()
            result = await broadcast(connections(room), b"y" * 300, when_slow=WhenSlow.DROP_OLDEST)
            assert result.dropped_oldest == 2
            slow.stream.resume()
            with trio.fail_after(LIMIT):
                assert [len(line) for line in await slow.told()] == [50, 40, 300]
            nursery.cancel_scope.deadline = trio.current_time() + LIMIT
        assert not nursery.cancel_scope.cancelled_caught


async def test_other_tasks_run(autojump_clock: MockClock) -> None:
    """B8: at least once, and once for every 64 connections."""
    async with seats(130) as room:
        for given, least in ((room, 3), (room[:1], 1), ([], 1)):
            with Suspensions() as suspensions:
                await broadcast(connections(given), b"x", when_slow=WhenSlow.WAIT)
            assert suspensions.count >= least


async def test_cancelled_at_every_await(autojump_clock: MockClock) -> None:
    """B6, B8: those that have been served get it, once, and the others never."""

    async def strike(suspension: int) -> bool:
        async with seats(66) as room:
            slow = room[-1]
            await slow.clog(b"a", b"b", b"c")

            async def resume() -> None:
                await trio.testing.wait_all_tasks_blocked()
                slow.stream.resume()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(resume)
                struck = await cancelled_at(
                    suspension,
                    lambda: broadcast(connections(room), b"x", when_slow=WhenSlow.WAIT),
                )
            accepted = [seat.connection.statistics().messages_accepted for seat in room]
            told = [len(await seat.told()) for seat in room]
            assert told == accepted
            served = [count == 1 for count in accepted[:-1]]
            assert served == sorted(served, reverse=True)
            assert struck or accepted == [1] * 65 + [4]
            # The next one finds everything as it should be.
            result = await broadcast(connections(room), b"y", when_slow=WhenSlow.WAIT)
            assert result == report(sent=66)
            assert [await seat.told() for seat in room] == [[b"y"]] * 66
        return struck

    strikes = [suspension async for suspension in every_suspension(strike)]
    assert len(strikes) >= 3
