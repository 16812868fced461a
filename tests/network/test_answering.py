"""Plain functions on real sockets: what they may do while they are called."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Coroutine, Iterable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from typing_extensions import override

from snowtrio import (
    Cause,
    Connection,
    DelimiterCodec,
    LineCodec,
    LocalProtocolError,
    PoolLimits,
    ReceiveBuffer,
)
from snowtrio.testing import open_memory_pair

from ..serving import LIMIT, ask, errors_in, read_all
from .pairs import SMALL, tcp_streams
from .tcp import connect, serving_tcp, until

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]

LARGE = hashlib.shake_256(b"snowtrio").hexdigest(500_000).encode()


class Upgrading(LineCodec):
    """Lines, up to one that says UPGRADE: what follows it belongs to another codec."""

    @override
    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        while (line := buffer.take_until(b"\n")) is not None:
            if line == b"UPGRADE":
                buffer.pause()
            yield line
            if buffer.paused:
                return


async def test_a_function_can_change_the_protocol() -> None:
    """B1: answers to what came before are the old codec's, whoever sends them."""

    def upgrade(connection: Connection[bytes], message: bytes) -> bytes:
        if message == b"UPGRADE":
            connection.switch(DelimiterCodec(b";"))
        return message

    async with serving_tcp(upgrade, Upgrading()) as server, await connect(server) as stream:
        await stream.send_all(b"one\ntwo\nUPGRADE\nthree;four;")
        expected = b"one\ntwo\nUPGRADE;three;four;"
        read = b""
        with trio.fail_after(LIMIT):
            while len(read) < len(expected):
                read += await stream.receive_some()
        assert read == expected
        await stream.send_all(b"five;")
        assert await stream.receive_some() == b"five;"


async def test_its_own_sends_leave_before_what_it_returns() -> None:
    """S13, B1: and behind the answers to what came before."""

    def answer(connection: Connection[bytes], line: bytes) -> bytes | None:
        if line == b"quiet":
            return None
        connection.send_nowait(b"<" + line)
        return line + b">"

    async with serving_tcp(answer) as server, await connect(server) as stream:
        await stream.send_all(b"one\ntwo\nquiet\nthree\n")
        await stream.send_eof()
        expected = [b"<one", b"one>", b"<two", b"two>", b"<three", b"three>"]
        assert (await read_all(stream)).split() == expected


async def test_an_answer_that_cannot_be_encoded_is_met_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S6, B5: though a send of the function's own meets it first, those before it go once."""

    def answer(connection: Connection[bytes], line: bytes) -> bytes:
        if line == b"two":
            return b"not\none line"
        if line == b"three":
            connection.send_nowait(b"own")
        return line

    async with serving_tcp(answer) as server, await connect(server) as stream:
        await stream.send_all(b"one\ntwo\nthree\nfour\n")
        assert await read_all(stream) == b"one\n"
    assert [type(error) for error in errors_in(caplog)] == [LocalProtocolError]


async def test_a_second_answer_is_refused_and_the_first_goes_on() -> None:
    """P7: as a second reader is."""
    pair = open_memory_pair(LineCodec(), streams=tcp_streams())
    async with pair as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.answer, lambda _, line: line.upper())
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await server.answer(lambda _, line: line)
        with pytest.raises(trio.BusyResourceError):
            await server.receive()
        for _ in range(3):
            await client.send(b"x")
            assert await client.receive() == b"X"
        await client.send_eof()


async def test_who_answers_what_was_received_is_receiving() -> None:
    """P7: from the beginning, though the first answers wait for room."""
    limits = PoolLimits(max_outbox_messages=1)
    streams = tcp_streams(buffer_size=SMALL)
    async with open_memory_pair(LineCodec(), limits=limits, streams=streams) as (client, server):
        await client.send_batch([b"%d" % number for number in range(8)])
        assert await server.receive() == b"0"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.answer, lambda _, line: line + LARGE[:60_000])
            await wait_all_tasks_blocked(0.01)
            with pytest.raises(trio.BusyResourceError):
                await server.receive()
            with pytest.raises(trio.BusyResourceError):
                await server.answer(lambda _, line: line)
            assert [(await client.receive())[:1] for _ in range(7)] == [
                b"%d" % number for number in range(1, 8)
            ]
            await client.send_eof()


async def test_while_another_task_receives_nothing_is_answered() -> None:
    """P7."""
    async with open_memory_pair(LineCodec(), streams=tcp_streams()) as (client, server):
        got: list[bytes] = []

        async def receive() -> None:
            got.extend([line async for line in server])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await server.answer(lambda _, line: line)
            await client.send(b"x")
            await client.send_eof()
        assert got == [b"x"]


async def test_cancelled_it_leaves_what_was_not_answered_to_a_receiver() -> None:
    """B6: each message is answered or can be received, in order; none of them is both."""
    limits = PoolLimits(max_outbox_messages=1)
    streams = tcp_streams(buffer_size=SMALL)
    asked: list[bytes] = []

    def answer(_: object, line: bytes) -> bytes:
        asked.append(line)
        return line + LARGE[:60_000]

    lines = [b"%d" % number for number in range(300)]
    async with open_memory_pair(LineCodec(), limits=limits, streams=streams) as (client, server):
        await client.send_batch(lines)
        with trio.move_on_after(0.05) as scope:
            await server.answer(answer)
        assert scope.cancelled_caught
        answered = len(asked)
        assert 0 < answered < 300
        received: list[bytes] = []
        with trio.fail_after(LIMIT):
            async with trio.open_nursery() as nursery:

                async def drain() -> None:
                    async for _ in client:
                        pass

                nursery.start_soon(drain)
                while len(received) < 300 - answered:
                    received += await server.receive_batch()
                nursery.cancel_scope.cancel()
        assert asked + received == lines


async def test_a_function_that_drops_its_connection_and_raises() -> None:
    """S22: its error is not lost because the connection is."""

    def answer(connection: Connection[bytes], line: bytes) -> bytes:
        connection.drop()
        raise LookupError("a handler's mistake")

    async with open_memory_pair(LineCodec(), streams=tcp_streams()) as (client, server):
        await client.send(b"x")
        with pytest.raises(LookupError):
            await server.answer(answer)


async def test_a_function_that_drops_its_connection() -> None:
    """S10: nothing more is answered, and nothing of it is an error."""
    asked: list[bytes] = []

    def answer(connection: Connection[bytes], line: bytes) -> bytes:
        asked.append(line)
        if line == b"drop":
            connection.drop()
        return line

    async with serving_tcp(answer) as server, await connect(server) as stream:
        assert await ask(stream, b"one") == b"one"
        await stream.send_all(b"drop\n")
        assert await read_all(stream) == b""
        await until(lambda: not server.connections)
        assert server.statistics().pool.ended == {Cause.DROPPED: 1}
    assert asked == [b"one", b"drop"]


async def test_coroutines_for_answers_are_all_closed(caplog: pytest.LogCaptureFixture) -> None:
    """S22: a warning for each that was never awaited would hide the error."""
    made: list[Coroutine[Any, Any, bytes]] = []

    async def answer(line: bytes) -> bytes:
        return line

    def begin(_: object, line: bytes) -> Any:
        made.append(answer(line))
        return made[-1]

    async with serving_tcp(begin) as server, await connect(server) as stream:
        await stream.send_all(b"one\ntwo\nthree\n")
        assert await read_all(stream) == b""
    assert ["declare the handler async def" in str(error) for error in errors_in(caplog)] == [True]
    assert [inspect.getcoroutinestate(each) for each in made] == [inspect.CORO_CLOSED] * len(made)
