"""``examples/redis_server.py`` as it is, asked by redis-cli, redis-benchmark, nc and by hand."""

from __future__ import annotations

import signal

import pytest
import trio

from .examples import needs_program, run_program, running_example
from .redis_peers import TIMEOUT, read_exactly, read_to_end, wire

# Alone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_and_what_was_asked_is_answered(number: signal.Signals) -> None:
    """Rows P11, S23 and B3: exit status 0, and every client gets its replies whole."""
    times, size = 20, 1_000_000
    reply = b"$%d\r\n%b\r\n" % (size, b"v" * size)
    async with running_example("redis_server") as example, await example.connect() as client:
        await client.send_all(wire(b"SET", b"k", b"v" * size))
        assert await read_exactly(client, 5) == b"+OK\r\n"
        # Far more than fits between the two, so most of it is still to be sent at the signal.
        await client.send_all(wire(b"GET", b"k") * times)
        assert await read_exactly(client, len(reply)) == reply
        example.process.send_signal(number)
        assert await read_to_end(client) == reply * (times - 1)
        await client.aclose()
        await example.wait_stopped()
        assert example.lines == [f"listening on {example.host}:{example.port}"]
        assert example.read_errors() == ""


async def test_quit_is_answered_and_nothing_after_it() -> None:
    """Row B9: what the peer goes on sending does not cost it the last reply."""
    async with running_example("redis_server") as example, await example.connect() as client:
        await client.send_all(wire(b"SET", b"k", b"v") + wire(b"QUIT") + wire(b"FLUSHALL") * 1000)
        assert await read_to_end(client) == b"+OK\r\n+OK\r\n"
        async with await example.connect() as other:
            await other.send_all(wire(b"GET", b"k") + wire(b"QUIT"))
            assert await read_to_end(other) == b"$1\r\nv\r\n+OK\r\n"


async def test_a_protocol_error_is_told_after_what_came_before_and_ends_that_client_only() -> None:
    """Rows S22 and B9."""
    async with (
        running_example("redis_server") as example,
        await example.connect() as bad,
        await example.connect() as good,
    ):
        await bad.send_all(wire(b"PING") + b"*1\r\n:1\r\n" + wire(b"PING") * 1000)
        assert await read_to_end(bad) == b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n"
        await good.send_all(wire(b"PING"))
        assert await read_exactly(good, 7) == b"+PONG\r\n"
        assert example.read_errors() == ""


async def test_replies_follow_the_end_of_a_clients_input() -> None:
    """Row P5: half-close."""
    async with running_example("redis_server") as example, await example.connect() as client:
        await client.send_all(wire(b"ECHO", b"hello") * 1000)
        await client.send_eof()
        assert await read_to_end(client) == b"$5\r\nhello\r\n" * 1000


async def test_a_place_is_refused_in_the_words_of_redis() -> None:
    """Row S20."""
    async with (
        running_example("redis_server", "--max-connections", "1") as example,
        await example.connect() as first,
    ):
        await first.send_all(wire(b"PING"))
        await read_exactly(first, 7)
        async with await example.connect() as second:
            assert await read_to_end(second) == b"-ERR max number of clients reached\r\n"


async def test_keys_that_nobody_reads_expire() -> None:
    async with running_example("redis_server") as example, await example.connect() as client:
        await client.send_all(wire(b"SET", b"k", b"v", b"PX", b"1") + wire(b"DBSIZE"))
        await read_exactly(client, len(b"+OK\r\n:1\r\n"))
        with trio.fail_after(TIMEOUT):
            while True:
                await client.send_all(wire(b"DBSIZE"))
                if await read_exactly(client, 4) == b":0\r\n":
                    break


async def test_commands_wait_for_a_client_that_does_not_read() -> None:
    """Row S13: long replies are asked for all at once, and not made all at once."""
    times, size = 40, 1_000_000
    reply = b"$%d\r\n%b\r\n" % (size, b"v" * size)
    async with (
        running_example("redis_server") as example,
        await example.connect() as client,
        await example.connect() as witness,
    ):
        await client.send_all(wire(b"SET", b"k", b"v" * size))
        await read_exactly(client, len(b"+OK\r\n"))
        await client.send_all(wire(b"GET", b"k") * times + wire(b"SET", b"done", b"1"))
        # Now the first of them have been run. Between the two there is no room for all replies.
        await read_exactly(client, len(reply))
        await witness.send_all(wire(b"EXISTS", b"done"))
        assert await read_exactly(witness, 4) == b":0\r\n"
        assert await read_exactly(client, len(reply) * (times - 1)) == reply * (times - 1)
        assert await read_exactly(client, 5) == b"+OK\r\n"
        await witness.send_all(wire(b"EXISTS", b"done"))
        assert await read_exactly(witness, 4) == b":1\r\n"


# Asked by programs


@needs_program("nc")
async def test_nc_can_type_commands() -> None:
    async with running_example("redis_server") as example:
        typed = b'PING\r\nset greeting "hello, you"\r\nGET greeting\n'
        done = await run_program("nc", "-N", example.host, str(example.port), stdin=typed)
    assert done.stdout == b"+PONG\r\n+OK\r\n$10\r\nhello, you\r\n"


@needs_program("redis-benchmark")
@pytest.mark.parametrize("pipeline", ["1", "16"])
async def test_redis_benchmark_runs_to_the_end(pipeline: str) -> None:
    """Row S12."""
    tests = "ping,set,get,incr,lpush,rpop,mset"
    async with running_example("redis_server") as example:
        done = await run_program(
            *("redis-benchmark", "-h", example.host, "-p", str(example.port), "-t", tests),
            *("-P", pipeline, "-n", "2000", "--csv"),
        )
        assert example.read_errors() == ""
    names = [line.split(",")[0].strip('"') for line in done.stdout.decode().splitlines()[1:]]
    assert done.returncode == 0
    assert names == [
        *("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPOP", "MSET (10 keys)")
    ]


@needs_program("redis-cli")
async def test_redis_cli_asks_about_the_server() -> None:
    """What has no equal in a real Redis: its answers need only be understood."""
    script = b"hello 2\nhello 3\ncommand count\ncommand docs get\ninfo\nconfig get save\n"
    async with running_example("redis_server") as example:
        port = str(example.port)
        done = await run_program("redis-cli", "-h", example.host, "-p", port, stdin=script)
        whole = await run_program("redis-cli", "-h", example.host, "-p", port, "command")
        newer = await run_program("redis-cli", "-3", "-h", example.host, "-p", port, "ping")
    assert done.returncode == whole.returncode == 0
    assert b"proto\n2\n" in done.stdout
    assert b"NOPROTO unsupported protocol version\n" in done.stdout
    assert b"Returns the string value of a key.\n" in done.stdout
    assert b"redis_version:7" in done.stdout
    assert b"lrange\n4\nreadonly\n1\n1\n1\n" in whole.stdout
    # It asks for RESP3, is refused, and goes on in RESP2.
    assert newer.stdout.endswith(b"PONG\n")
