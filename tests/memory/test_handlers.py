"""Handlers: coroutine functions once a connection, plain functions once a message."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    Cause,
    Connection,
    JSONLinesCodec,
    LineCodec,
    Protocol,
    Server,
    ServerLimits,
)

from ..serving import FaultyListener, ask, echo, errors_in, read_all, read_line, serving


class Shouting(Protocol[bytes]):
    """Has a handler of its own."""

    codec = LineCodec()

    async def handle(self, connection: Connection[bytes]) -> None:
        async for line in connection:
            await connection.send(line.upper())


class Repeater:
    """Handlers that are not functions."""

    async def method(self, connection: Connection[bytes]) -> None:
        await echo(connection)

    async def __call__(self, connection: Connection[bytes]) -> None:
        await echo(connection)


async def echo_with(prefix: bytes, connection: Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(prefix + line)


def shout(connection: Connection[bytes], line: bytes) -> bytes | None:
    if line == b"raise":
        raise LookupError("a handler's mistake")
    return None if line == b"quiet" else line.upper()


@pytest.mark.parametrize(
    ("handler", "answer"),
    [
        (echo, b"x"),
        (Repeater().method, b"x"),
        (Repeater(), b"x"),
        (functools.partial(echo_with, b">"), b">x"),
        (shout, b"X"),
        (functools.partial(lambda mark, _, line: line + mark, b"!"), b"x!"),
    ],
)
async def test_anything_callable_can_be_a_handler(
    handler: Callable[..., Any], answer: bytes, autojump_clock: MockClock
) -> None:
    """S7: called with the connection, or with it and each message."""
    async with serving(handler) as served:
        assert await ask(await served.connect(), b"x") == answer


async def test_protocol_can_have_the_handler(autojump_clock: MockClock) -> None:
    """S7: as a method, or set on the object."""
    protocol = Protocol[bytes](LineCodec())
    protocol.handle = echo  # type: ignore[method-assign]
    async with serving(protocol=Shouting()) as served:
        assert await ask(await served.connect(), b"x") == b"X"
    async with serving(None, protocol) as served:
        assert await ask(await served.connect(), b"x") == b"x"


def test_two_handlers_or_none_are_an_error_at_construction() -> None:
    """S22: a mistake of the program shows before anything is opened."""
    with pytest.raises(TypeError, match="give no handler"):
        Server(echo, Shouting())
    with pytest.raises(TypeError, match="needs a handler"):
        Server(None, LineCodec())
    with pytest.raises(TypeError, match="coroutine function or a plain function"):
        Server("echo", LineCodec())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Protocol or Codec"):
        Server(echo, LineCodec)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs a codec"):
        Protocol()
    with pytest.raises(ValueError, match="when_full"):
        Server(echo, LineCodec(), when_full="later")  # type: ignore[arg-type]


async def test_plain_function_answers_each_message_or_none(autojump_clock: MockClock) -> None:
    """B1: in order, and what it does not answer is not answered."""
    async with serving(shout) as served:
        stream = await served.connect(b"one\nquiet\ntwo\n")
        assert await read_line(stream) == b"ONE\n"
        assert await read_line(stream) == b"TWO\n"
        assert await ask(stream, b"three") == b"THREE"


async def test_plain_function_takes_any_message(autojump_clock: MockClock) -> None:
    """S25."""

    def add(connection: object, message: Any) -> Any:
        return sum(message)

    async with serving(add, JSONLinesCodec()) as served:
        assert await ask(await served.connect(), b"[1, 2, 3]") == b"6"


async def test_plain_functions_answers_to_a_batch_leave_together(
    autojump_clock: MockClock,
) -> None:
    """S12, B1: a function is called a message at a time and batched all the same."""
    async with serving(shout) as served:
        stream = await served.connect(b"x\n" * 100)
        assert await stream.receive_some() == b"X\n" * 100


async def test_plain_function_that_raises_ends_its_connection_only(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: what it had answered before in the same batch is sent."""
    async with serving(shout) as served:
        other = await served.connect()
        stream = await served.connect(b"one\nraise\ntwo\n")
        assert await read_all(stream) == b"ONE\n"
        await stream.aclose()
        assert await ask(other, b"x") == b"X"
        assert served.server.statistics().pool.ended == {Cause.HANDLER_ERROR: 1}
    assert [type(error) for error in errors_in(caplog)] == [LookupError]


async def test_plain_function_that_returns_a_coroutine_is_told_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: the usual cause is a lambda around a coroutine function; nothing is left unawaited."""

    async def answer(connection: object, line: bytes) -> bytes:
        return line

    async with serving(lambda *arguments: answer(*arguments)) as served:
        stream = await served.connect(b"x\n")
        assert await read_all(stream) == b""
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
    assert "declare the handler async def" in str(errors_in(caplog)[0])


async def test_full_outbox_stops_the_reading(autojump_clock: MockClock) -> None:
    """S13: a peer that sends and does not read takes a bounded part of our memory."""
    calls = 0

    def count(connection: object, line: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return line

    limits = ServerLimits(max_outbox_messages=4, max_inbox_messages=4, receive_size=8)
    listener = FaultyListener(lockstep=True)
    async with serving(count, listener=listener, limits=limits) as served:
        stream = await listener.connect()
        with trio.move_on_after(1) as scope:
            await stream.send_all(b"x\n" * 1000)
        assert scope.cancelled_caught
        assert calls < 20
        (connection,) = served.server.connections
        assert connection.statistics().outbox_peak <= 4
        assert connection.statistics().bytes_received < 100


async def test_end_of_input_is_half_a_close(autojump_clock: MockClock) -> None:
    """P5: the handler goes on, and its replies are sent."""

    async def think(connection: Connection[bytes]) -> None:
        async for line in connection:
            await trio.sleep(5)
            await connection.send(line)
        await connection.send(b"that was all")

    async with serving(think) as served:
        stream = await served.connect(b"one\ntwo\n")
        assert isinstance(stream, trio.StapledStream)
        await stream.send_eof()
        assert await read_all(stream) == b"one\ntwo\nthat was all\n"
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {Cause.PEER_CLOSED: 1}


async def test_end_of_input_is_departure_where_the_protocol_says_so(
    autojump_clock: MockClock,
) -> None:
    """S10: then it cancels a handler that waits for something else."""
    protocol = Protocol[bytes](LineCodec())
    protocol.eof_is_departure = True
    cancelled = trio.Event()

    async def wait(connection: Connection[bytes]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with serving(wait, protocol) as served:
        stream = await served.connect()
        assert not cancelled.is_set()
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert cancelled.is_set()
        assert served.server.statistics().pool.ended == {Cause.PEER_CLOSED: 1}


async def test_loss_cancels_the_handler(autojump_clock: MockClock) -> None:
    """S10: nobody is there to be answered."""
    cancelled = trio.Event()

    async def wait(connection: Connection[bytes]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    listener = FaultyListener()
    async with serving(wait, listener=listener) as served:
        stream = await served.connect()
        listener.accepted[0].break_now()
        await stream.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert cancelled.is_set()
        assert served.server.statistics().pool.ended == {Cause.LOST: 1}


async def test_handler_that_returns_closes_in_order(autojump_clock: MockClock) -> None:
    """S10: what it sent last arrives, though it returned at once."""

    async def greet(connection: Connection[bytes]) -> None:
        for number in range(100):
            await connection.send(b"%d" % number)

    async with serving(greet) as served:
        stream = await served.connect()
        assert (await read_all(stream)).split() == [b"%d" % number for number in range(100)]
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {Cause.DONE: 1}


async def test_skipped_message_does_not_stop_a_plain_function(autojump_clock: MockClock) -> None:
    """S3: a codec that goes on after a line that is too long loses that line alone."""
    codec = LineCodec(max_message_size=8, resync=True)
    async with serving(shout, codec) as served:
        stream = await served.connect(b"one\n" + b"x" * 100 + b"\ntwo\n")
        assert await read_line(stream) == b"ONE\n"
        assert await read_line(stream) == b"TWO\n"
        assert served.server.statistics().pool.messages_skipped == 1


async def test_peers_mistake_is_no_handlers_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S22: bytes that break the protocol end the connection with one line and no traceback."""
    caplog.set_level(logging.INFO)
    async with serving(shout, LineCodec(max_message_size=8)) as served:
        stream = await served.connect(b"one\n" + b"x" * 100)
        assert await read_line(stream) == b"ONE\n"
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.server.statistics().pool.ended == {Cause.PROTOCOL_ERROR: 1}
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "max_message_size" in caplog.text
