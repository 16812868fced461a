"""A handler for each request: the order of replies, the bound, streams of replies."""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import AsyncIterator
from typing import Any

import hypothesis
import pytest
import trio
from hypothesis import strategies
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    Connection,
    LineCodec,
    Protocol,
    RequestHandler,
    ServerLimits,
    SkippedMessageError,
)

from ..serving import FaultyListener, Served, ask, read_all, serving
from .requests import Workshop, came

SIX = [b"a", b"b", b"c", b"d", b"e", b"f"]


def lines_of(*messages: bytes) -> bytes:
    return b"".join(message + b"\n" for message in messages)


def prefix_of(requests: list[bytes], done: set[bytes]) -> list[bytes]:
    return list(itertools.takewhile(done.__contains__, requests))


def writes_of(served: Served) -> int:
    (connection,) = served.server.connections
    return connection.statistics().writes


# Order


@pytest.mark.parametrize("cut", [None, 1])
@pytest.mark.parametrize("finishing", list(itertools.permutations(SIX[:4])))
async def test_replies_are_in_order_however_the_functions_finish(
    finishing: tuple[bytes, ...], cut: int | None, autojump_clock: MockClock
) -> None:
    """B5: after each that finishes the peer has exactly those before which nothing is missing."""
    workshop, requests = Workshop(), SIX[:4]
    listener = FaultyListener(chunk_size=cut)
    async with serving(RequestHandler(workshop.answer), listener=listener) as served:
        stream = await served.connect(lines_of(*requests))
        got, done = b"", set[bytes]()
        for request in finishing:
            workshop.release(request)
            done.add(request)
            while (more := await came(stream)) != b"":
                got += more
            assert got == lines_of(*prefix_of(requests, done)).upper()
        assert got == lines_of(*requests).upper()


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    finishing=strategies.permutations(SIX),
    cuts=strategies.lists(strategies.integers(1, 5), max_size=4),
    in_order=strategies.booleans(),
)
async def test_what_is_ready_together_leaves_in_one_write(
    finishing: list[bytes], cuts: list[int], in_order: bool
) -> None:
    """S12 for requests: whichever of those that finish in one moment comes first."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer, in_order=in_order)) as served:
        stream = await served.connect(lines_of(*SIX))
        sent, done, writes = 0, set[bytes](), 0
        for start, end in itertools.pairwise(sorted({0, *cuts, 6})):
            workshop.release(*finishing[start:end])
            done.update(finishing[start:end])
            await wait_all_tasks_blocked()
            ready = len(prefix_of(SIX, done)) if in_order else len(done)
            if ready > sent:
                writes += 1
                got = (await stream.receive_some()).split()
                assert len(got) == ready - sent
                if in_order:
                    assert got == [each.upper() for each in SIX[sent:ready]]
            assert writes_of(served) == writes
            sent = ready
        assert sent == 6


async def test_replies_leave_as_they_are_ready_where_order_does_not_matter(
    autojump_clock: MockClock,
) -> None:
    """B5: for protocols with ids."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer, in_order=False)) as served:
        stream = await served.connect(lines_of(*SIX))
        for request in reversed(SIX):
            workshop.release(request)
            assert await came(stream) == request.upper() + b"\n"


@pytest.mark.parametrize("in_order", [True, False])
async def test_notifications_are_not_answered(in_order: bool, autojump_clock: MockClock) -> None:
    """B5: and hold up nobody once they are done."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer, in_order=in_order)) as served:
        stream = await served.connect(b"note 1\na\nnote 2\nb\nnote 3\n")
        workshop.release(b"note 1", b"note 3", b"b")
        assert await came(stream) == (b"" if in_order else b"B\n")
        workshop.release(b"note 2", b"a")
        assert await came(stream) == (b"A\nB\n" if in_order else b"A\n")


async def test_pending_replies_count_as_sent_by_nobody(autojump_clock: MockClock) -> None:
    """B7: what waits for its turn is not in the outbox, and not accepted yet."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer)) as served:
        stream = await served.connect(lines_of(*SIX))
        workshop.release(*SIX[1:])
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        assert connection.pending == connection.statistics().messages_accepted == 0
        workshop.release(SIX[0])
        assert await came(stream) == lines_of(*SIX).upper()
        counts = connection.statistics()
        assert (counts.messages_received, counts.messages_sent, counts.writes) == (6, 6, 1)


# The bound


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("most", [1, 2, 5])
async def test_so_many_are_under_way_and_no_more_is_received(
    most: int, in_order: bool, autojump_clock: MockClock
) -> None:
    """S13 for requests: with each that leaves the next one begins."""
    workshop = Workshop()
    handler = RequestHandler(workshop.answer, max_concurrent=most, in_order=in_order)
    requests = [b"%02d" % number for number in range(20)]
    async with serving(handler) as served:
        stream = await served.connect(lines_of(*requests))
        for index, request in enumerate(requests):
            assert sorted(workshop.started) == requests[: index + most]
            workshop.release(request)
            assert await came(stream) == request + b"\n"
        assert workshop.peak == most
        assert workshop.finished == requests


async def test_those_that_wait_for_their_turn_count(autojump_clock: MockClock) -> None:
    """S13: replies behind a slow one are as many as the bound, not as many as the peer likes."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer, max_concurrent=3)) as served:
        stream = await served.connect(lines_of(*SIX))
        workshop.release(*SIX[1:])
        assert await came(stream) == b""
        assert sorted(workshop.started) == SIX[:3]
        workshop.release(SIX[0])
        assert await came(stream) == lines_of(*SIX).upper()


async def test_a_bound_is_each_connections_own(autojump_clock: MockClock) -> None:
    """S13: one object serves many."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer, max_concurrent=2)) as served:
        for _ in range(3):
            await served.connect(lines_of(*SIX))
        assert workshop.at_work == 6
        workshop.release(b"a", b"b")
        await wait_all_tasks_blocked()
        assert workshop.at_work == 6
        assert sorted(workshop.started) == sorted(3 * SIX[:4])


def test_a_bound_below_one_is_an_error() -> None:
    """S13."""
    with pytest.raises(ValueError, match="at least 1, not 0"):
        RequestHandler(Workshop().answer, max_concurrent=0)


@pytest.mark.parametrize("most", [1, 4])
async def test_a_peer_that_reads_no_replies_stops_the_reading(
    most: int, autojump_clock: MockClock
) -> None:
    """S13, B5: it takes a bounded part of our memory, and gets all when it reads again."""
    calls = 0

    async def count(connection: Connection[bytes], line: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return line

    limits = ServerLimits(max_outbox_messages=4, max_inbox_messages=4, receive_size=8)
    listener = FaultyListener(lockstep=True)
    handler = RequestHandler(count, max_concurrent=most)
    async with serving(handler, listener=listener, limits=limits) as served:
        stream = await listener.connect()
        sent = lines_of(*(b"%03d" % number for number in range(200)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, sent)
            await wait_all_tasks_blocked()
            assert calls < 20
            (connection,) = served.server.connections
            assert connection.statistics().outbox_peak <= 4
            assert connection.statistics().bytes_received < 100
            got = b""
            while len(got) < len(sent):
                got += await stream.receive_some()
        assert got == sent


async def test_one_at_a_time_takes_no_task(autojump_clock: MockClock) -> None:
    """The function runs in the handler's own; and its replies to one read leave together (S12)."""
    tasks: set[Any] = set()

    async def note_task(connection: Connection[bytes], line: bytes) -> bytes:
        tasks.add(trio.lowlevel.current_task())
        return line

    async with serving(RequestHandler(note_task, max_concurrent=1)) as served:
        stream = await served.connect(lines_of(*SIX))
        assert await came(stream) == lines_of(*SIX)
        assert writes_of(served) == 1
    assert len(tasks) == 1


# Streams of replies


async def test_a_streams_items_leave_as_they_are_made_in_their_turn(
    autojump_clock: MockClock,
) -> None:
    """B5: before that it makes the first, and is not resumed."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.stream)) as served:
        stream = await served.connect(b"a\nb\nc\n")
        workshop.release(b"c", b"c.2", b"b")
        assert await came(stream) == b""
        assert sorted(workshop.finished) == [b"b", b"c"]
        workshop.release(b"a")
        assert await came(stream) == b"a.1\n"
        workshop.release(b"a.2")
        assert await came(stream) == b"a.2\nb.1\n"
        assert b"c.1" not in workshop.finished
        workshop.release(b"b.2")
        assert await came(stream) == b"b.2\nc.1\nc.2\n"


async def test_streams_and_single_replies_wait_for_each_other(autojump_clock: MockClock) -> None:
    """B5: a stream behind a reply, a reply behind a stream, an empty stream between."""
    workshop = Workshop()

    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    def answer(connection: Connection[bytes], request: bytes) -> Any:
        if request == b"empty":
            return nothing()
        if request.startswith(b"s"):
            return workshop.stream(connection, request)
        return workshop.answer(connection, request)

    async with serving(RequestHandler(answer)) as served:
        stream = await served.connect(b"a\ns1\nempty\nb\ns2\n")
        workshop.release(b"b", b"s1", b"s1.2", b"s2")
        assert await came(stream) == b""
        workshop.release(b"a")
        assert await came(stream) == b"A\ns1.1\ns1.2\nB\ns2.1\n"
        workshop.release(b"s2.2")
        assert await came(stream) == b"s2.2\n"


async def test_streams_leave_between_each_other_where_order_does_not_matter(
    autojump_clock: MockClock,
) -> None:
    """B5."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.stream, in_order=False)) as served:
        stream = await served.connect(b"a\nb\n")
        for released, item in [(b"b", b"b.1"), (b"a", b"a.1"), (b"a.2", b"a.2"), (b"b.2", b"b.2")]:
            workshop.release(released)
            assert await came(stream) == item + b"\n"


@pytest.mark.parametrize("most", [1, 16])
async def test_a_stream_waits_for_a_peer_that_does_not_read(
    most: int, autojump_clock: MockClock
) -> None:
    """S13: it is resumed as there is room in the outbox."""
    made = 0

    async def count(connection: Connection[bytes], request: bytes) -> AsyncIterator[bytes]:
        nonlocal made
        for number in range(1000):
            made = number
            yield b"%d" % number

    limits = ServerLimits(max_outbox_messages=4)
    listener = FaultyListener(lockstep=True)
    handler = RequestHandler(count, max_concurrent=most)
    async with serving(handler, listener=listener, limits=limits):
        stream = await listener.connect()
        await stream.send_all(b"x\n")
        await wait_all_tasks_blocked()
        assert made < 20
        got = b""
        while not got.endswith(b"\n999\n"):
            got += await stream.receive_some()
        assert got.split() == [b"%d" % number for number in range(1000)]


# What else it does


async def test_a_function_may_send_on_its_own(autojump_clock: MockClock) -> None:
    """S25: pushes, before the reply and between those of others."""

    async def push(connection: Connection[bytes], request: bytes) -> bytes:
        await connection.send(b"push " + request)
        return request

    async with serving(RequestHandler(push)) as served:
        stream = await served.connect(b"a\n")
        assert await came(stream) == b"push a\na\n"


async def test_a_function_runs_in_the_handlers_context_variables(
    autojump_clock: MockClock,
) -> None:
    """S7: and what one request sets there is not seen by others."""
    name: contextvars.ContextVar[bytes] = contextvars.ContextVar("name")

    async def answer(connection: Connection[bytes], request: bytes) -> bytes:
        before = name.get()
        name.set(request)
        return before

    handler = RequestHandler(answer)

    async def handle(connection: Connection[bytes]) -> None:
        name.set(b"handler")
        await handler(connection)

    async with serving(handle) as served:
        stream = await served.connect()
        assert await ask(stream, b"a") == await ask(stream, b"b") == b"handler"


async def test_it_can_be_a_protocols_handle(autojump_clock: MockClock) -> None:
    """S25: as an attribute."""

    class Shouting(Protocol[bytes]):
        codec = LineCodec()

        async def shout(self, connection: Connection[bytes], request: bytes) -> bytes:
            return request.upper()

        def __init__(self) -> None:
            super().__init__()
            self.handle = RequestHandler(self.shout)  # type: ignore[method-assign]

    async with serving(protocol=Shouting()) as served:
        assert await ask(await served.connect(), b"x") == b"X"


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("most", [1, 16])
@pytest.mark.parametrize("told", [True, False])
async def test_what_the_codec_threw_away_can_be_answered_in_its_turn(
    told: bool, most: int, in_order: bool, autojump_clock: MockClock
) -> None:
    """S3: or is skipped, and the requests after it are answered."""

    def tell(connection: Connection[bytes], error: SkippedMessageError) -> bytes:
        return b"too long"

    async def answer(connection: Connection[bytes], request: bytes) -> bytes:
        return request

    codec = LineCodec(max_message_size=8, resync=True)
    handler = RequestHandler(
        answer, max_concurrent=most, in_order=in_order, on_skipped=tell if told else None
    )
    async with serving(handler, codec) as served:
        stream = await served.connect(b"one\n" + b"x" * 100 + b"\ntwo\n")
        assert isinstance(stream, trio.StapledStream)
        await stream.send_eof()
        got = (await read_all(stream)).splitlines()
        expected = [b"one", b"too long", b"two"] if told else [b"one", b"two"]
        assert got == expected if in_order else sorted(got) == sorted(expected)
        await stream.aclose()
        await wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {Cause.PEER_CLOSED: 1}
