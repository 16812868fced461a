"""``examples/redis_server.py`` and a real Redis are asked the same and must give the same bytes."""

from __future__ import annotations

from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from .examples import needs_program, run_program, running_example
from .redis_peers import Exchange, exchange_over, exchange_with, running_redis, wire

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
