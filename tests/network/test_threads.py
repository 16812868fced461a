"""Functions that block, in threads of a server's own, on real sockets (row W32)."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio

from snowtrio import (
    Cause,
    Client,
    Connection,
    ConnectionLostError,
    DrainTimeouts,
    LineCodec,
    RequestHandler,
    Server,
    Threads,
)

from ..serving import LIMIT, ask, errors_in, lines_of, read_all, read_line
from .held import Held, holding
from .tcp import connect, reset, serving_tcp, until, until_closed

MANY = 50


def blocking_echo(held: Held, threads: Threads) -> Any:
    """Return a handler that echoes, and blocks on ``wait``."""

    @threads
    def answer(connection: Connection[bytes], line: bytes) -> bytes:
        if line == b"wait":
            held.hold()
        return line

    return answer


@contextlib.asynccontextmanager
async def waiting(
    server: Server[Any, Any, Any], count: int = MANY
) -> AsyncGenerator[list[trio.SocketStream], None]:
    """Have so many connections that each have sent a line which blocks."""
    streams = [await connect(server) for _ in range(count)]
    async with contextlib.AsyncExitStack() as stack:
        for stream in streams:
            await stack.enter_async_context(stream)
            await stream.send_all(b"wait\n")
        yield streams


def is_lost(connection: Connection[bytes]) -> bool:
    try:
        connection.send_nowait(b"?")
    except ConnectionLostError:
        return True
    return False


async def test_another_connection_is_answered_while_fifty_block() -> None:
    """Row W32."""
    threads = Threads(MANY + 1)
    with holding() as held:
        async with (
            serving_tcp(blocking_echo(held, threads)) as server,
            waiting(server) as streams,
            await connect(server) as other,
        ):
            await held.wait_running(MANY)
            for number in range(20):
                assert await ask(other, b"%d" % number) == b"%d" % number
            held.let_go()
            for stream in streams:
                assert await read_line(stream) == b"wait\n"


async def test_the_bound_holds_is_named_and_stops_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row W32: eight run, the others wait; what needs no thread of these goes on."""
    threads = Threads(8, name="reports")
    with holding() as held:
        async with (
            serving_tcp(blocking_echo(held, threads)) as server,
            serving_tcp() as plain,
            waiting(server) as streams,
            await connect(plain) as other,
        ):
            await held.wait_running(8)
            await until(lambda: threads.statistics().waiting == MANY - 8)
            counts = threads.statistics()
            assert (counts.max_threads, counts.busy, counts.abandoned) == (8, 8, 0)
            assert lines_of(caplog, logging.WARNING) == [
                "all 8 threads of 'reports' are busy: calls wait"
            ]
            assert await ask(other, b"hello") == b"hello"
            assert await trio.to_thread.run_sync(len, "abc") == 3
            held.let_go()
            for stream in streams:
                assert await read_line(stream) == b"wait\n"
            counts = threads.statistics()
            assert (held.most, counts.peak, counts.finished, counts.busy) == (8, 8, MANY, 0)


async def test_more_threads_are_given_to_those_who_wait() -> None:
    """Row W32: the bound may change."""
    threads = Threads(1)
    with holding() as held:
        async with serving_tcp(blocking_echo(held, threads)) as server, waiting(server, 5):
            await held.wait_running(1)
            threads.max_threads = 4
            await held.wait_running(4)
            assert threads.statistics().waiting == 1
            held.let_go()


async def test_one_connection_is_answered_one_after_the_other() -> None:
    """Row W32: in order, also of what came in one piece; the rest is answered at the end."""
    threads = Threads()
    lines = b"".join(b"%d\n" % number for number in range(500))
    with holding() as held:
        async with (
            serving_tcp(blocking_echo(held, threads)) as server,
            await connect(server) as stream,
        ):
            await stream.send_all(b"wait\n" + lines)
            await stream.send_eof()
            await held.wait_running(1)
            assert (threads.statistics().busy, threads.statistics().waiting) == (1, 0)
            held.let_go()
            assert await read_all(stream) == b"wait\n" + lines
            assert threads.statistics().peak == 1


async def test_a_connection_is_not_read_further_than_its_bounds() -> None:
    """Row W32: no queue of work grows behind a function that blocks."""
    with holding() as held:
        async with (
            serving_tcp(blocking_echo(held, Threads())) as server,
            await connect(server) as stream,
        ):
            await stream.send_all(b"wait\n")
            await held.wait_running(1)
            with trio.move_on_after(0.5) as scope:
                while True:
                    await stream.send_all(b"more\n" * 200_000)
            assert scope.cancelled_caught
            (connection,) = server.connections
            assert connection.statistics().bytes_received < 2**20
            reset(stream)


async def test_a_request_handler_runs_several_and_keeps_the_order() -> None:
    """Row W32: as many of a connection as it says."""
    threads = Threads()
    with holding() as held:
        handler = RequestHandler(blocking_echo(held, threads), max_concurrent=3)
        async with serving_tcp(handler) as server, await connect(server) as stream:
            await stream.send_all(b"wait\n" * 5)
            await held.wait_running(3)
            assert (threads.statistics().busy, threads.statistics().waiting) == (3, 0)
            held.let_go()
            await stream.send_all(b"last\n")
            await stream.send_eof()
            assert await read_all(stream) == b"wait\n" * 5 + b"last\n"
            assert held.most == 3


async def test_a_client_answers_from_threads_too() -> None:
    """Row W32: a handler is a handler on both sides."""
    came = threading.Event()

    @Threads(1)
    def note(connection: Connection[bytes], line: bytes) -> None:
        came.set()

    async with (
        serving_tcp() as server,
        Client(LineCodec(), "127.0.0.1", server.port, handler=note) as client,
    ):
        await client.send(b"hello")
        await until(came.is_set)


# Errors


async def test_an_error_ends_its_own_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Row W32: as any handler's, after the answers before it."""
    threads = Threads()

    @threads
    def invert(connection: Connection[bytes], line: bytes) -> bytes:
        return b"%d" % (100 // int(line))

    async with serving_tcp(invert) as server, await connect(server) as other:
        async with await connect(server) as stream:
            await stream.send_all(b"50\n0\n20\n")
            assert await read_all(stream) == b"2\n"
        await until(lambda: len(server.connections) == 1)
        (error,) = errors_in(caplog)
        assert isinstance(error, ZeroDivisionError)
        assert await ask(other, b"4") == b"25"
        assert server.statistics().pool.ended[Cause.HANDLER_ERROR] == 1
        assert threads.statistics().busy == 0


async def test_an_error_propagates_where_it_is_told_to() -> None:
    """Row W32."""

    @Threads()
    def fail(connection: Connection[bytes], line: bytes) -> bytes:
        raise KeyError(line)

    with pytest.RaisesGroup(KeyError):
        async with (
            serving_tcp(fail, propagate_errors=True) as server,
            await connect(server) as stream,
        ):
            await stream.send_all(b"hello\n")
            await trio.sleep_forever()


async def test_what_the_codec_throws_away_ends_nothing() -> None:
    """Row W32: as with a function that is not in a thread."""
    codec = LineCodec(max_message_size=10, resync=True)
    with holding() as held:
        handler = blocking_echo(held, Threads())
        async with serving_tcp(handler, codec) as server, await connect(server) as stream:
            await stream.send_all(b"a\n" + b"x" * 100 + b"\nb\n")
            assert [await read_line(stream), await read_line(stream)] == [b"a\n", b"b\n"]


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_bound_below_one_is_refused(wrong: int) -> None:
    """Row W32."""
    with pytest.raises(ValueError, match="at least 1"):
        Threads(wrong)
    with pytest.raises(ValueError, match="at least 1"):
        Threads().max_threads = wrong


async def coroutine_function() -> None: ...


async def async_generator_function() -> AsyncGenerator[int, None]:
    yield 1


def generator_function() -> Any:
    yield 1


@pytest.mark.parametrize(
    "wrong", [coroutine_function, async_generator_function, generator_function, 7]
)
def test_only_a_plain_function_can_be_marked(wrong: Any) -> None:
    """Row W32: a thread would only make a coroutine, and not run it."""
    with pytest.raises(TypeError, match="function"):
        Threads()(wrong)


# Its surroundings


NAME = contextvars.ContextVar("NAME", default="nobody")


async def test_it_sees_the_context_variables_of_its_caller() -> None:
    """Row W32."""

    @Threads()
    def who(connection: Connection[bytes], line: bytes) -> bytes:
        return NAME.get().encode()

    NAME.set("somebody")
    async with serving_tcp(who) as server, await connect(server) as stream:
        assert await ask(stream, b"?") == b"somebody"


async def test_it_may_call_back_into_trio() -> None:
    """Row W32: what it sends goes before what it returns."""

    @Threads()
    def count(connection: Connection[bytes], line: bytes) -> bytes:
        for number in range(int(line)):
            trio.from_thread.run(connection.send, b"%d" % number)
        return b"end"

    async with serving_tcp(count) as server, await connect(server) as stream:
        await stream.send_all(b"3\n")
        assert [await read_line(stream) for _ in range(4)] == [b"0\n", b"1\n", b"2\n", b"end\n"]


async def test_a_coroutine_takes_a_thread_for_a_part_of_its_work() -> None:
    """Row W32: methods too, which remain methods."""
    threads = Threads(2, name="shop")

    class Shop:
        @threads
        def price(self, name: str, *, pence: int) -> str:
            return f"{name}: {pence} in {threading.current_thread().name}"

    assert await threads.run(divmod, 7, 2) == (3, 1)
    name = Shop.price.function.__qualname__
    assert await Shop().price("tea", pence=3) == f"tea: 3 in shop: {name}"
    assert Shop.price.threads is threads
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)


def test_each_run_of_trio_has_all_its_threads() -> None:
    """Row W32: a thread that outlives its run takes nothing from the next one."""
    threads = Threads(1)

    async def abandon_one(held: Held) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(threads.run, held.hold)
            await held.wait_running(1)
            nursery.cancel_scope.cancel()
        assert threads.statistics().abandoned == 1

    async def take_one() -> None:
        with trio.fail_after(LIMIT):
            assert await threads.run(len, "abc") == 3
        assert threads.statistics().finished == 1

    with holding() as held:
        trio.run(abandon_one, held)
        trio.run(take_one)


# Cancellation, and drains


async def test_a_peer_that_leaves_abandons_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Row W32: the connection ends at once; the thread counts until it ends, its error is told."""
    threads = Threads(2)
    with holding() as held:

        @threads
        def fail(connection: Connection[bytes], line: bytes) -> None:
            held.hold()
            raise KeyError("too late")

        async with serving_tcp(fail) as server:
            stream = await connect(server)
            await stream.send_all(b"hello\n")
            await held.wait_running(1)
            reset(stream)
            await until(lambda: not server.connections)
            counts = threads.statistics()
            assert (counts.busy, counts.abandoned) == (1, 1)
            held.let_go()
            await until(lambda: not threads.statistics().busy)
            assert threads.statistics().abandoned == 0
            (error,) = errors_in(caplog)
            assert isinstance(error, KeyError)


async def test_an_abandoned_function_can_learn_of_it() -> None:
    """Row W32: by Trio's own means."""
    threads = Threads()
    learned = threading.Event()

    @threads
    def watch(connection: Connection[bytes], line: bytes) -> None:
        try:
            while True:
                trio.from_thread.check_cancelled()
        except trio.Cancelled:
            learned.set()
            raise

    async with serving_tcp(watch) as server:
        stream = await connect(server)
        await stream.send_all(b"hello\n")
        await until(lambda: threads.statistics().busy)
        reset(stream)
        await until(learned.is_set)
        await until(lambda: not threads.statistics().busy)


async def test_a_thread_that_is_not_abandoned_is_waited_for() -> None:
    """Row W32: by choice, the connection keeps its place until the function has returned."""
    threads = Threads(abandon_on_cancel=False)
    with holding() as held:
        async with serving_tcp(blocking_echo(held, threads)) as server:
            async with waiting(server, 1) as (stream,):
                await held.wait_running(1)
                reset(stream)
            await until(lambda: is_lost(server.connections[0]))
            assert (threads.statistics().busy, threads.statistics().abandoned) == (1, 0)
            assert len(server.connections) == 1
            held.let_go()
            await until(lambda: not server.connections)


async def test_a_call_that_waits_for_a_thread_is_cancelled_without_one() -> None:
    """Row W32: nothing is called, and nothing is left in the line."""
    threads = Threads(1)
    called: list[int] = []
    with holding() as held:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(threads.run, held.hold)
            await held.wait_running(1)
            with trio.move_on_after(0.01):
                await threads.run(called.append, 1)
            assert (threads.statistics().waiting, threads.statistics().abandoned) == (0, 0)
            held.let_go()
        await threads.run(called.append, 2)
    assert called == [2]


async def test_a_drain_waits_for_work_that_runs() -> None:
    """Rows W32 and B3: what was taken is answered."""
    with holding() as held:
        async with serving_tcp(blocking_echo(held, Threads())) as server:
            async with waiting(server, 5) as streams, trio.open_nursery() as nursery:
                await held.wait_running(5)
                nursery.start_soon(server.drain)
                await until_closed(server.port)
                held.let_go()
                for stream in streams:
                    assert await read_all(stream) == b"wait\n"
            assert (await server.drain()).clean


async def test_a_thread_that_never_returns_does_not_hold_up_a_drain() -> None:
    """Rows W32 and B3: at the deadline the connection is cut."""
    threads = Threads()
    with holding() as held:
        async with (
            serving_tcp(blocking_echo(held, threads)) as server,
            waiting(server, 1) as (stream,),
        ):
            await held.wait_running(1)
            with trio.fail_after(LIMIT):
                report = await server.drain(DrainTimeouts(goodbye=0.05, wait=0.05))
            assert report.cut == 1
            assert held.running == threads.statistics().abandoned == 1
            assert await read_all(stream) == b""
