"""A handler for each request: what becomes of those under way when the connection ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    Connection,
    ConnectionLostError,
    LineCodec,
    LocalProtocolError,
    RemoteProtocolError,
    RequestHandler,
)
from snowtrio.testing import open_memory_pair

from ..serving import FaultyListener, Served, errors_in, read_all, serving
from .requests import Workshop, came

FOUR = [b"a", b"b", b"c", b"d"]
ASKED = b"a\nb\nc\nd\n"


async def leave(served: Served, stream: trio.abc.Stream, cause: Cause) -> None:
    """Close the peer's end, and check why the server's has ended."""
    await stream.aclose()
    await wait_all_tasks_blocked()
    assert served.server.statistics().pool.ended == {cause: 1}


# The peer's doing


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("most", [1, 2, 16])
async def test_the_end_of_input_is_half_a_close(
    most: int, in_order: bool, autojump_clock: MockClock
) -> None:
    """P5 for requests: those under way finish, and those that wait to be received begin."""
    workshop = Workshop()
    handler = RequestHandler(workshop.answer, max_concurrent=most, in_order=in_order)
    async with serving(handler) as served:
        stream = await served.connect(ASKED)
        assert isinstance(stream, trio.StapledStream)
        await stream.send_eof()
        await wait_all_tasks_blocked()
        assert workshop.cancelled == []
        for request in FOUR:
            workshop.release(request)
            assert await came(stream) == request.upper() + b"\n"
        assert await read_all(stream) == b""
        await leave(served, stream, Cause.PEER_CLOSED)


@pytest.mark.parametrize("most", [1, 2, 4, 16])
async def test_a_reset_cancels_all_of_them(
    most: int, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S10, S22 for requests: also where nothing is being received; no error is logged."""
    workshop, listener = Workshop(), FaultyListener()
    handler = RequestHandler(workshop.answer, max_concurrent=most)
    async with serving(handler, listener=listener) as served:
        stream = await served.connect(ASKED)
        listener.accepted[0].break_now()
        await wait_all_tasks_blocked()
        assert sorted(workshop.cancelled) == FOUR[:most]
        await leave(served, stream, Cause.LOST)
    assert errors_in(caplog) == []


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
async def test_a_write_that_fails_cancels_all_of_them(
    in_order: bool, streams: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S10, S22 for requests."""
    workshop, listener = Workshop(), FaultyListener(break_after_sent=0)
    function: Any = workshop.stream if streams else workshop.answer
    async with serving(RequestHandler(function, in_order=in_order), listener=listener) as served:
        stream = await served.connect(ASKED)
        workshop.release(b"a")
        await wait_all_tasks_blocked()
        assert sorted(workshop.cancelled) == FOUR[1:]
        await leave(served, stream, Cause.LOST)
    assert errors_in(caplog) == []


@pytest.mark.parametrize("most", [1, 2, 16])
async def test_bytes_that_break_the_protocol_end_it_when_all_before_is_answered(
    most: int, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S3, S22 for requests: as a handler that receives one by one does."""
    caplog.set_level(logging.INFO)
    workshop = Workshop()
    handler = RequestHandler(workshop.answer, max_concurrent=most)
    async with serving(handler, LineCodec(max_message_size=8)) as served:
        stream = await served.connect(ASKED + b"x" * 100)
        workshop.release(*FOUR)
        assert await read_all(stream) == ASKED.upper()
        await leave(served, stream, Cause.PROTOCOL_ERROR)
    assert [record.levelno for record in caplog.records] == [logging.INFO]


# Our own


@pytest.mark.parametrize("most", [1, 2, 16])
async def test_a_drain_waits_for_those_under_way(most: int, autojump_clock: MockClock) -> None:
    """S23, B3 for requests: what had been received is answered, and all is clean."""
    workshop = Workshop()
    reports = []
    async with serving(RequestHandler(workshop.answer, max_concurrent=most)) as served:
        stream = await served.connect(ASKED)

        async def drain() -> None:
            reports.append(await served.server.drain())

        served.nursery.start_soon(drain)
        await wait_all_tasks_blocked()
        assert not reports
        workshop.release(*FOUR)
        assert await read_all(stream) == ASKED.upper()
        await stream.aclose()
        await wait_all_tasks_blocked()
    assert [report.clean for report in reports] == [True]
    assert workshop.cancelled == []


async def test_the_last_phase_of_a_drain_cancels_them(autojump_clock: MockClock) -> None:
    """S23, B3 for requests: those that never finish."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer)) as served:
        await served.connect(ASKED)
        workshop.release(b"b")
        report = await served.server.drain()
        assert report.cut == 1
    assert sorted(workshop.cancelled) == [b"a", b"c", b"d"]


@pytest.mark.parametrize("way", ["stop_receiving", "aclose"])
async def test_a_function_may_end_the_conversation(way: str, autojump_clock: MockClock) -> None:
    """S10 for requests: its last word arrives."""

    async def answer(connection: Connection[bytes], request: bytes) -> bytes | None:
        if request != b"quit":
            return request
        if way == "stop_receiving":
            connection.stop_receiving()
            return b"bye"
        await connection.send(b"bye")
        await connection.aclose()
        return None

    async with serving(RequestHandler(answer)) as served:
        stream = await served.connect(b"a\nb\n")
        await stream.send_all(b"quit\n")
        assert await read_all(stream) == b"a\nb\nbye\n"
        await leave(served, stream, Cause.DONE if way == "stop_receiving" else Cause.CLOSED)


@pytest.mark.parametrize("most", [1, 16])
@pytest.mark.parametrize("failing", range(4))
async def test_what_a_function_raises_ends_its_connection_only(
    failing: int, most: int, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22 for requests: replies sent before leave, the others are cancelled; it is logged plain."""
    workshop = Workshop()
    requests = [*FOUR[:failing], b"fail", *FOUR[failing:]]
    async with serving(RequestHandler(workshop.answer, max_concurrent=most)) as served:
        other = await served.connect(b"other\n")
        stream = await served.connect(b"\n".join(requests) + b"\n")
        workshop.release(*FOUR[:failing])
        got = await came(stream)
        workshop.release(b"fail")
        got += await read_all(stream)
        assert got.split() == [each.upper() for each in FOUR[:failing]]
        assert sorted(workshop.cancelled) == (FOUR[failing:] if most > 1 else [])
        await leave(served, stream, Cause.HANDLER_ERROR)
        workshop.release(b"other")
        assert await came(other) == b"OTHER\n"
    assert [repr(error) for error in errors_in(caplog)] == ["LookupError('fail')"]


async def test_a_failure_behind_a_slow_request_loses_what_waits_for_its_turn(
    autojump_clock: MockClock,
) -> None:
    """S22, B5 for requests: it was not accepted by a send, so it is in no account."""
    workshop = Workshop()
    async with serving(RequestHandler(workshop.answer)) as served:
        stream = await served.connect(b"a\nb\nfail\n")
        workshop.release(b"b")
        await wait_all_tasks_blocked()
        workshop.release(b"fail")
        assert await read_all(stream) == b""
        pool = served.server.statistics().pool
        assert pool.messages_accepted == pool.messages_unsent == 0
    assert workshop.cancelled == [b"a"]


async def test_where_several_raise_all_are_raised(autojump_clock: MockClock) -> None:
    """S22 for requests; one that is alone comes plain."""
    workshop = Workshop()
    raised: list[Exception] = []

    async def handle(server: Connection[bytes]) -> None:
        try:
            await RequestHandler(workshop.answer)(server)
        except Exception as error:
            raised.append(error)

    for failing in [[b"fail 1", b"fail 2"], [b"fail 3"]]:
        async with (
            open_memory_pair(LineCodec()) as (client, server),
            trio.open_nursery() as nursery,
        ):
            await client.send_batch([*failing, b"c"])
            nursery.start_soon(handle, server)
            await wait_all_tasks_blocked()
            workshop.release(*failing)
    group, alone = raised
    assert isinstance(group, ExceptionGroup)
    assert sorted(map(str, group.exceptions)) == ["fail 1", "fail 2"]
    assert repr(alone) == "LookupError('fail 3')"
    assert workshop.cancelled == [b"c", b"c"]


async def test_what_ended_the_receiving_is_raised_at_the_end(autojump_clock: MockClock) -> None:
    """S3: to whoever called the handler, plain."""
    workshop = Workshop()
    async with open_memory_pair(LineCodec(), server_protocol=LineCodec(max_message_size=8)) as (
        client,
        server,
    ):
        await client.send_batch([b"a", b"x" * 100])
        async with trio.open_nursery() as nursery:

            async def handle() -> None:
                with pytest.raises(RemoteProtocolError, match="max_message_size"):
                    await RequestHandler(workshop.answer)(server)

            nursery.start_soon(handle)
            await wait_all_tasks_blocked()
            workshop.release(b"a")
            assert await client.receive() == b"A"


@pytest.mark.parametrize("most", [1, 16])
async def test_a_reply_that_cannot_be_encoded_ends_the_connection(
    most: int, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S6, S22: its author gets the error, the replies before it leave."""

    async def answer(connection: Connection[bytes], request: bytes) -> bytes:
        return b"two\nlines" if request == b"bad" else request

    async with serving(RequestHandler(answer, max_concurrent=most)) as served:
        stream = await served.connect(b"a\nbad\n")
        assert await read_all(stream) == b"a\n"
        await leave(served, stream, Cause.HANDLER_ERROR)
    assert [type(error) for error in errors_in(caplog)] == [LocalProtocolError]


async def test_a_plain_function_is_told_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: a mistake of the program, said in words."""
    plain: Any = lambda connection, request: request  # noqa: E731
    async with serving(RequestHandler(plain)) as served:
        stream = await served.connect(b"a\n")
        assert await read_all(stream) == b""
        await leave(served, stream, Cause.HANDLER_ERROR)
    assert "declare it async def" in str(errors_in(caplog)[0])


# Streams


class Source:
    """Yields what it is asked for, and knows whether it was left in order."""

    def __init__(self) -> None:
        self.left = 0

    async def items(self, connection: Connection[bytes], request: bytes) -> AsyncIterator[bytes]:
        try:
            yield request + b".1"
            if request == b"fail":
                raise LookupError("a stream's mistake")
            await trio.sleep_forever()
        finally:
            self.left += 1


@pytest.mark.parametrize("in_order", [True, False])
async def test_a_stream_that_raises_has_sent_what_came_before(
    in_order: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: and the others are closed, wherever they are."""
    source = Source()
    async with serving(RequestHandler(source.items, in_order=in_order)) as served:
        stream = await served.connect(b"fail\nb\nc\n")
        assert b"fail.1" in await read_all(stream)
        assert source.left == 3
        await leave(served, stream, Cause.HANDLER_ERROR)
    assert [repr(error) for error in errors_in(caplog)] == ['LookupError("a stream\'s mistake")']


@pytest.mark.parametrize("most", [1, 16])
async def test_a_reset_closes_streams(most: int, autojump_clock: MockClock) -> None:
    """S10, B6: those that wait for more, and those that wait for their turn."""
    source, listener = Source(), FaultyListener()
    handler = RequestHandler(source.items, max_concurrent=most)
    async with serving(handler, listener=listener) as served:
        stream = await served.connect(b"a\nb\nc\n")
        assert await came(stream) == b"a.1\n"
        listener.accepted[0].break_now()
        await wait_all_tasks_blocked()
        assert source.left == min(most, 3)
        await leave(served, stream, Cause.LOST)


async def test_a_stream_that_is_no_generator_is_sent_too(autojump_clock: MockClock) -> None:
    """S25: a memory channel, whose owner closes it."""
    inlet, outlet = trio.open_memory_channel[bytes](10)

    async with serving(RequestHandler(lambda connection, request: outlet)) as served, inlet, outlet:
        stream = await served.connect(b"a\n")
        await inlet.send(b"one")
        assert await came(stream) == b"one\n"
        await inlet.send(b"two")
        assert await came(stream) == b"two\n"
        await inlet.aclose()
        await stream.send_all(b"b\n")
        assert await came(stream) == b""


# A loss that the functions notice themselves


async def test_a_function_that_meets_the_loss_itself_is_no_failure(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: what it raises only says that the connection has ended."""
    met: list[Exception] = []

    async def push(connection: Connection[bytes], request: bytes) -> None:
        try:
            while True:
                await connection.send(request)
                await connection.flush()
        except ConnectionLostError as error:
            met.append(error)
            raise

    listener = FaultyListener(break_after_sent=10)
    async with serving(RequestHandler(push), listener=listener) as served:
        stream = await served.connect(b"a\nb\n")
        assert await read_all(stream) != b""
        await leave(served, stream, Cause.LOST)
    assert errors_in(caplog) == []
