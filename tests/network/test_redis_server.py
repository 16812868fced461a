"""``examples/redis_server.py`` run as it is, asked by redis-cli, redis-benchmark, nc and by hand.

A real Redis, where there is one, is asked the same and must give the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from .examples import RunningExample, needs_program, run_program, running_example

Exchange: TypeAlias = Callable[[bytes], bytes]
"""Sends bytes over a new connection and returns all that comes back."""

TIMEOUT = 20.0


def wire(*words: bytes) -> bytes:
    """Return a command as clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def exchange(family: socket.AddressFamily, address: str | tuple[str, int], data: bytes) -> bytes:
    with socket.socket(family) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(address)
        connection.sendall(data)
        received = bytearray()
        while some := connection.recv(65536):
            received += some
    return bytes(received)


def exchange_with(example: RunningExample) -> Exchange:
    return functools.partial(exchange, socket.AF_INET, (example.host, example.port))


def exchange_over(path: str) -> Exchange:
    return functools.partial(exchange, socket.AF_UNIX, path)


async def read_to_end(stream: trio.SocketStream) -> bytes:
    received = bytearray()
    with trio.fail_after(TIMEOUT):
        async for data in stream:
            received += data
    return bytes(received)


async def read_exactly(stream: trio.SocketStream, size: int) -> bytes:
    received = bytearray()
    with trio.fail_after(TIMEOUT):
        while len(received) < size:
            data = await stream.receive_some(size - len(received))
            assert data, f"ended after {bytes(received)!r}"
            received += data
    return bytes(received)


@contextlib.asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[str]:
    """Run a real Redis on a Unix socket, whose path it gives."""
    path = str(folder / "redis.sock")
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
    command += ["--appendonly", "no", "--dir", str(folder)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with process.stdout:
        try:
            said = b""
            with trio.fail_after(TIMEOUT):
                while b"eady to accept connections" not in said:
                    data = await process.stdout.receive_some()
                    assert data, said.decode()
                    said += data
            yield path
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


# Alone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_and_what_was_asked_is_answered(number: signal.Signals) -> None:
    """Rows P11 and S23: exit status 0, and the client sees the end of input, not a reset."""
    async with running_example("redis_server") as example, await example.connect() as client:
        await client.send_all(wire(b"PING"))
        assert await read_exactly(client, 7) == b"+PONG\r\n"
        example.process.send_signal(number)
        assert await read_to_end(client) == b""
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


def resident_bytes(example: RunningExample) -> int:
    status = Path(f"/proc/{example.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
async def test_commands_wait_for_a_client_that_does_not_read() -> None:
    """Row S13: replies of 200 MB are asked for at once, and not made at once."""
    value, times = b"v" * 1000, 200
    async with running_example("redis_server") as example, await example.connect() as client:
        await client.send_all(wire(b"RPUSH", b"l", *[value] * 1000))
        await read_exactly(client, len(b":1000\r\n"))
        before = resident_bytes(example)
        await client.send_all(wire(b"LRANGE", b"l", b"0", b"-1") * times)
        reply = b"*1000\r\n" + (b"$1000\r\n" + value + b"\r\n") * 1000
        for _ in range(times):
            assert await read_exactly(client, len(reply)) == reply
            assert resident_bytes(example) - before < 30_000_000


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


SCRIPT = rb"""
PING
ping "two words"
ECHO "a\r\nb\x00\xff"
SET greeting hello
GET greeting
TYPE greeting
SET greeting bye NX
SET greeting bye XX GET
SET other x GET
SET session 1 EX 100
TTL session
PERSIST session
TTL session
EXPIRE session 50
TTL session
SET session 2 KEEPTTL
TTL session
SET session 3
TTL session
TTL nothing
PTTL nothing
EXPIRE nothing 10
PEXPIRE session 1000000
EXPIRE session -1
EXISTS session greeting greeting
MSET a 1 b 2 c three
MGET a b c nothing
MSET a 1 b
INCR a
INCR c
DECR nothing2
INCRBY a 10
DECRBY a 20
INCRBY a x
SET big 9223372036854775807
INCR big
LPUSH list 1 2 3
RPUSH list 4
LRANGE list 0 -1
LRANGE list -2 -1
LRANGE list 5 9
LLEN list
LPOP list
RPOP list 2
LPOP nothing
LPOP nothing 2
LPOP list 9
EXISTS list
LPUSH greeting x
RPUSH l2 x
GET l2
INCR l2
TYPE l2
SET l2 plain
GET l2
DEL a b nothing
DBSIZE
KEYS gree*
KEYS gr[^a-d]eting
SELECT 0
SELECT x
CLIENT GETNAME
CLIENT SETNAME me
CLIENT GETNAME
CLIENT SETNAME "two words"
CLIENT SETNAME
CLIENT NOSUCH
CONFIG NOSUCH
HELLO 4
HELLO x
nosuch
nosuch with "some args"
get
GET a b
set a
set a b huh
set a b EX
set a b EX 0
set a b EX x
set a b EX 1 PX 1
set a b NX XX
set a b PX 9223372036854775807
set a b EX 9223372036854775807
lpop
lpop l2 -1
lpop l2 x
lrange l2 x 1
lrange l2 0 1
expire l2 x
expire l2 9223372036854775807
FLUSHALL now
FLUSHALL SYNC
DBSIZE
""".strip()


@needs_program("redis-cli")
@needs_program("redis-server")
async def test_redis_cli_gets_what_a_real_redis_answers(tmp_path: Path) -> None:
    async with running_redis(tmp_path) as path, running_example("redis_server") as example:
        port = str(example.port)
        ours = await run_program("redis-cli", "-h", example.host, "-p", port, stdin=SCRIPT)
        theirs = await run_program("redis-cli", "-s", path, stdin=SCRIPT)
    assert ours.stdout.decode("latin-1") == theirs.stdout.decode("latin-1")
    assert ours.returncode == theirs.returncode == 0
    assert ours.stdout.count(b"\n") > SCRIPT.count(b"\n")


# The same bytes as a real Redis

KEY = st.sampled_from([b"a", b"b", b"list", b"", b"k\r\n"])
NUMBER = st.one_of(
    st.integers(-3, 3).map(lambda number: b"%d" % number),
    st.sampled_from([b"9223372036854775807", b"-9223372036854775808", b"+1", b"01", b"x", b""]),
)
VALUE = st.one_of(NUMBER, st.binary(max_size=5), st.just(b"\r\n"), st.just(b"v" * 2000))
# Far away, so that no second turns between the two servers.
SECONDS = st.sampled_from([b"1000", b"0", b"-1", b"x", b"9223372036854775807"])
SET_OPTION = st.one_of(
    st.sampled_from([[b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"], [b"EX"], [b"huh"]]),
    st.tuples(st.sampled_from([b"EX", b"ex", b"px"]), SECONDS).map(list),
)


def words(name: bytes, *arguments: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.tuples(*arguments).map(lambda rest: [name, *rest])


def some(name: bytes, *arguments: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Return the command with its arguments any number of times over."""
    many = st.lists(st.tuples(*arguments), max_size=3)
    return many.map(lambda groups: [name, *(word for group in groups for word in group)])


COMMAND = st.one_of(
    words(b"GET", KEY),
    words(b"SET", KEY, VALUE),
    st.tuples(words(b"SET", KEY, VALUE), st.lists(SET_OPTION, max_size=3)).map(
        lambda parts: parts[0] + [word for option in parts[1] for word in option]
    ),
    some(b"MSET", KEY, VALUE),
    some(b"mget", KEY),
    some(b"Del", KEY),
    some(b"EXISTS", KEY),
    words(b"TYPE", KEY),
    words(b"INCR", KEY),
    words(b"DECR", KEY),
    words(b"INCRBY", KEY, NUMBER),
    words(b"DECRBY", KEY, NUMBER),
    words(b"EXPIRE", KEY, SECONDS),
    words(b"TTL", KEY),
    words(b"PERSIST", KEY),
    words(b"LPUSH", KEY, VALUE, VALUE),
    words(b"RPUSH", KEY, VALUE),
    words(b"LPOP", KEY),
    words(b"RPOP", KEY, NUMBER),
    words(b"LLEN", KEY),
    words(b"LRANGE", KEY, NUMBER, NUMBER),
    words(b"DBSIZE"),
    some(b"ping", VALUE),
    some(b"NOSUCH", VALUE),
)


@needs_program("redis-server")
async def test_random_commands_get_the_bytes_that_a_real_redis_sends(tmp_path: Path) -> None:
    async with running_redis(tmp_path) as path, running_example("redis_server") as example:
        ours, theirs = exchange_with(example), exchange_over(path)

        @settings(max_examples=150, deadline=None)
        @given(st.lists(COMMAND, max_size=25))
        def compare(commands: list[list[bytes]]) -> None:
            script = [[b"FLUSHALL"], *commands, [b"QUIT"]]
            data = b"".join(wire(*command) for command in script)
            assert ours(data) == theirs(data)

        await trio.to_thread.run_sync(compare)


@needs_program("redis-server")
async def test_random_lines_are_split_as_a_real_redis_splits_them(tmp_path: Path) -> None:
    async with running_redis(tmp_path) as path, running_example("redis_server") as example:
        ours, theirs = exchange_with(example), exchange_over(path)
        piece = st.sampled_from(["a", " ", "\t", '"', "'", "\\", "\\n", "\\x4", "\\x41", "é"])

        @settings(max_examples=200, deadline=None)
        @given(st.lists(piece, max_size=12).map("".join))
        def compare(typed: str) -> None:
            data = b"echo " + typed.encode() + b"\r\nQUIT\r\n"
            assert ours(data) == theirs(data)

        await trio.to_thread.run_sync(compare)


@needs_program("redis-server")
async def test_random_patterns_match_as_a_real_redis_matches_them(tmp_path: Path) -> None:
    async with running_redis(tmp_path) as path, running_example("redis_server") as example:
        ours, theirs = exchange_with(example), exchange_over(path)

        @settings(max_examples=200, deadline=None)
        @given(st.text("ab*?[]^-\\", max_size=8), st.text("ab]^-\\", min_size=1, max_size=4))
        def compare(pattern: str, key: str) -> None:
            commands = [[b"FLUSHALL"], [b"SET", key.encode(), b""], [b"KEYS", pattern.encode()]]
            data = b"".join(wire(*command) for command in [*commands, [b"QUIT"]])
            assert ours(data) == theirs(data)

        await trio.to_thread.run_sync(compare)


WRONG = [
    b"*1\r\n:1\r\n",
    b"*1\r\n*1\r\n",
    b"*x\r\n",
    b"*99999999999\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$9999999999\r\n",
    b"*1\r\n$9223372036854775808\r\n",
    b'get "a\r\n',
    b"x" * 70_000,
]


@needs_program("redis-server")
async def test_wrong_bytes_get_what_a_real_redis_says(tmp_path: Path) -> None:
    def ask(one: Exchange) -> dict[bytes, bytes]:
        return {wrong: one(wire(b"SET", b"k", b"v") + wrong) for wrong in WRONG}

    async with running_redis(tmp_path) as path, running_example("redis_server") as example:
        ours = await trio.to_thread.run_sync(ask, exchange_with(example))
        theirs = await trio.to_thread.run_sync(ask, exchange_over(path))
    assert ours == theirs
    assert all(said.startswith(b"+OK\r\n-ERR Protocol error: ") for said in ours.values())
