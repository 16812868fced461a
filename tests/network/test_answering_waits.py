"""Plain functions whose answers have to wait, or that are ended: for room, a rate, a drain."""

from __future__ import annotations

import contextvars
import hashlib
from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import Cause, Connection, DrainTimeouts, LineCodec, PoolLimits, ServerLimits
from snowtrio.testing import open_memory_pair

from ..serving import LIMIT, ask, errors_in, read_all
from .pairs import SMALL, tcp_streams
from .tcp import connect, reset, serving_tcp, until

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]

LARGE = hashlib.shake_256(b"snowtrio").hexdigest(30_000).encode()

named: contextvars.ContextVar[str] = contextvars.ContextVar("named")


def large(_: object, line: bytes) -> bytes:
    return line + b" " + LARGE


async def test_a_slow_peer_stops_the_reading_and_gets_all_in_order() -> None:
    """S13: and the reading goes on as it takes what there is."""
    asked = 0

    def count(_: object, line: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return large(_, line)

    limits = PoolLimits(max_outbox_messages=4, max_inbox_messages=8, receive_size=64)
    streams = tcp_streams(buffer_size=SMALL)
    lines = [b"%d" % number for number in range(300)]
    async with open_memory_pair(
        LineCodec(), limits=limits, client_limits=PoolLimits(max_inbox_messages=2), streams=streams
    ) as (client, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.answer, count)
            await client.send_batch(lines)
            await wait_all_tasks_blocked(0.02)
            assert asked < 150
            assert server.statistics().outbox_messages <= 4
            stopped = server.statistics().bytes_received
            await wait_all_tasks_blocked(0.02)
            assert server.statistics().bytes_received == stopped
            got = []
            with trio.fail_after(LIMIT):
                for _ in lines:
                    got.append((await client.receive()).partition(b" ")[0])
            assert got == lines
            await client.send_eof()
        assert server.statistics().messages_accepted == 300


async def test_a_drain_while_answers_wait_for_room() -> None:
    """B3, S23: what was received is answered before the end."""
    asked: list[bytes] = []

    def answer(_: object, line: bytes) -> bytes:
        asked.append(line)
        return large(_, line)

    limits = ServerLimits(max_outbox_messages=1, max_inbox_messages=64, linger_timeout=0.1)
    async with serving_tcp(answer, limits=limits) as server, await connect(server) as stream:
        await stream.send_all(b"".join(b"%d\n" % number for number in range(200)))
        await until(lambda: server.connections and server.connections[0].pending)
        await wait_all_tasks_blocked(0.02)
        assert len(asked) < 200
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain, DrainTimeouts(goodbye=1, wait=10))
            await wait_all_tasks_blocked(0.01)
            answers = await read_all(stream)
        numbers = [int(line.partition(b" ")[0]) for line in answers.splitlines()]
        assert numbers == list(range(len(asked)))


async def test_it_answers_what_was_received_before() -> None:
    """B1: a handler may begin with a conversation of its own."""

    async def handle(connection: Connection[bytes]) -> None:
        greeting = await connection.receive()
        named.set(greeting.decode())
        await connection.answer(lambda _, line: line + b" " + named.get().encode())
        await connection.send(b"bye")

    async with serving_tcp(handle) as server, await connect(server) as stream:
        await stream.send_all(b"ada\none\ntwo\n")
        await wait_all_tasks_blocked(0.01)
        await stream.send_all(b"three\n")
        await stream.send_eof()
        assert (await read_all(stream)).splitlines() == [
            b"one ada",
            b"two ada",
            b"three ada",
            b"bye",
        ]


async def test_each_connection_has_its_context_variables() -> None:
    """Those of the handler, whoever calls the function."""

    async def handle(connection: Connection[bytes]) -> None:
        named.set((await connection.receive()).decode())

        def answer(_: object, line: bytes) -> bytes:
            before = named.get()
            named.set(before + line.decode())
            return before.encode()

        await connection.answer(answer)

    async with serving_tcp(handle) as server:
        streams = [await connect(server) for _ in range(3)]
        for number, stream in enumerate(streams):
            await stream.send_all(b"%d\n" % number)
        for letter in (b"a", b"b", b"c"):
            for number, stream in enumerate(streams):
                assert (await ask(stream, letter))[:1] == b"%d" % number
        for number, stream in enumerate(streams):
            assert await ask(stream, b"") == b"%dabc" % number
            await stream.aclose()


class Stop(BaseException):
    """More than an error."""


@pytest.mark.parametrize("error", [LookupError("a mistake"), Stop()])
async def test_what_it_raises_comes_out_of_answer(error: BaseException) -> None:
    """S22: once the answers before it are accepted, whatever it is."""

    def answer(_: object, line: bytes) -> bytes:
        if line == b"fail":
            raise error
        return line

    async with open_memory_pair(LineCodec(), streams=tcp_streams()) as (client, server):
        await client.send_batch([b"one", b"fail", b"two"])
        with pytest.raises(type(error)), trio.fail_after(LIMIT):
            await server.answer(answer)
        assert await client.receive() == b"one"
        await client.send(b"three")
        received = await server.receive()
        assert received == b"three"


async def test_one_that_raises_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """S22."""

    def answer(_: object, line: bytes) -> bytes:
        if line == b"fail":
            raise LookupError("a mistake")
        return line

    async with serving_tcp(answer) as server, await connect(server) as other:
        assert await ask(other, b"before") == b"before"
        async with await connect(server) as stream:
            await stream.send_all(b"one\ntwo\nfail\nthree\n")
            assert await read_all(stream) == b"one\ntwo\n"
        assert await ask(other, b"after") == b"after"
        await until(lambda: len(server.connections) == 1)
        assert server.statistics().pool.ended == {Cause.HANDLER_ERROR: 1}
    assert [type(error) for error in errors_in(caplog)] == [LookupError]


async def test_one_that_stops_the_receiving() -> None:
    """S10: the batch that it is in is answered, and that is the end."""

    def answer(connection: Connection[bytes], line: bytes) -> bytes:
        if line == b"stop":
            connection.stop_receiving()
        return line

    async with serving_tcp(answer) as server, await connect(server) as stream:
        await stream.send_all(b"one\nstop\ntwo\n")
        assert await read_all(stream) == b"one\nstop\ntwo\n"


async def test_a_rate_holds_up_the_peer() -> None:
    """B11."""
    limits = ServerLimits(max_receive_rate=2000, linger_timeout=0.1)
    serving = serving_tcp(lambda _, line: line, limits=limits)
    async with serving as server, await connect(server) as stream:
        began = trio.current_time()
        # More than a second's worth at once: whatever the machine, what follows has to wait.
        for size in (2999, 1):
            assert await ask(stream, b"x" * size) == b"x" * size
        assert trio.current_time() - began >= 0.2
        (connection,) = server.connections
        assert connection.statistics().rate_limited >= 1


async def test_a_memory_budget_is_kept_and_given_back() -> None:
    """B11."""
    limits = ServerLimits(memory_budget=20_000, linger_timeout=0.1)
    async with serving_tcp(lambda _, line: line, limits=limits) as server:
        streams = [await connect(server) for _ in range(6)]
        for stream in streams:
            await stream.send_all(b"x" * 1500)
        for stream in streams:
            assert await ask(stream, b"y") == b"x" * 1500 + b"y"
        assert server.statistics().memory_held == 0
        assert server.statistics().memory_peak > 0
        for stream in streams:
            await stream.aclose()


async def test_who_says_nothing_is_idle() -> None:
    """S27."""
    limits = ServerLimits(idle_timeout=0.1, linger_timeout=0.1)
    async with serving_tcp(lambda _, line: line, limits=limits) as server:
        async with await connect(server) as stream:
            assert await ask(stream, b"x") == b"x"
            assert await read_all(stream) == b""
        await until(lambda: not server.connections)
        assert server.statistics().pool.ended == {Cause.IDLE: 1}


async def test_peers_that_leave_by_the_hundred() -> None:
    """B5, S10: in all ways, in the middle of their answers; each is counted once."""
    async with serving_tcp(large, limits=ServerLimits(linger_timeout=0.05)) as server:
        for number in range(200):
            stream = await connect(server)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(b"x\n" * (number % 7) + b"y" * (number % 3))
            if number % 2:
                reset(stream)
            else:
                await stream.aclose()
        await until(lambda: server.statistics().pool.opened == 200 and not server.connections)
        ended = server.statistics().pool.ended
        assert ended.keys() <= {Cause.PEER_CLOSED, Cause.LOST, Cause.PROTOCOL_ERROR}
        assert sum(ended.values()) == 200
