"""The parts of ``examples/redis_server.py`` behind its codec: patterns, store, commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import _redis_admin
import _redis_data
import _redis_keys
from _redis_glob import MAX_PATTERN_SIZE, PatternError, compile_glob
from _redis_resp import NIL, OK, Fixed, Reply, RespCodec, failure, status
from _redis_store import Store
from _redis_table import WRONG_TYPE, Session, execute

# Each puts its commands into the table that `execute` looks into.
COMMAND_MODULES = (_redis_admin, _redis_data, _redis_keys)

# Patterns


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        (b"*", [b"", b"a", b"a\nb"], []),
        (b"", [b""], [b"a"]),
        (b"h?llo", [b"hello", b"h\nllo"], [b"hllo", b"heello", b"hello "]),
        (b"h*llo", [b"hllo", b"heeello", b"hllollo"], [b"hll", b"hlloo"]),
        (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo", b"h]llo"]),
        (b"h[^e]llo", [b"hallo"], [b"hello", b"hllo"]),
        (b"h[a-b]llo", [b"hallo", b"hbllo"], [b"hcllo", b"h-llo"]),
        (b"h[b-a]llo", [b"hallo"], [b"hcllo"]),
        (b"[\\]x]", [b"]", b"x"], [b"\\"]),
        (b"[\\^a]", [b"^", b"a"], [b"b"]),
        (b"[a", [b"a"], [b"[a"]),
        (b"[]", [], [b"", b"]", b"a"]),
        (b"[^]", [b"a", b"]"], [b""]),
        (b"a\\*", [b"a*"], [b"ab", b"a\\*"]),
        (b"a\\", [b"a\\"], [b"a"]),
        (b"a.c", [b"a.c"], [b"abc"]),
        (b"*a*b*", [b"ab", b"xaybz"], [b"ba"]),
        (b"*ab*ab", [b"abab", b"xabyab"], [b"ab", b"aba"]),
    ],
)
def test_patterns(pattern: bytes, matches: list[bytes], others: list[bytes]) -> None:
    compiled = compile_glob(pattern)
    assert [key for key in matches + others if compiled.match(key)] == matches


def matches_by_definition(pattern: bytes, key: bytes) -> bool:
    if not pattern:
        return not key
    if pattern[:1] == b"*":
        return any(matches_by_definition(pattern[1:], key[at:]) for at in range(len(key) + 1))
    return (
        key != b""
        and pattern[:1] in (b"?", key[:1])
        and matches_by_definition(pattern[1:], key[1:])
    )


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_stars_match_as_their_definition_says(pattern: str, key: str) -> None:
    expected = matches_by_definition(pattern.encode(), key.encode())
    assert bool(compile_glob(pattern.encode()).match(key.encode())) is expected


def test_no_pattern_takes_for_ever() -> None:
    """A peer chooses pattern and key. Backtracking over these would outlive the test's timeout."""
    assert not compile_glob(b"*a" * 50 + b"*b").match(b"a" * 10_000)
    assert compile_glob(b"*" * MAX_PATTERN_SIZE).match(b"a" * 10_000)
    with pytest.raises(PatternError, match="4096 bytes"):
        compile_glob(b"*" * (MAX_PATTERN_SIZE + 1))


# Store


class Clock:
    """A time in milliseconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)


def test_a_key_is_gone_for_its_reader_at_its_deadline(store: Store, clock: Clock) -> None:
    store.write(b"k", b"v")
    store.expire(b"k", 100)
    clock.now += 99
    assert store.read(b"k") == b"v"
    clock.now += 1
    assert store.read(b"k") is None
    assert len(store) == store.mortals == 0


def test_sweeping_takes_out_what_nobody_reads_some_at_a_time(store: Store, clock: Clock) -> None:
    for number in range(10):
        store.write(b"%d" % number, b"v")
        store.expire(b"%d" % number, 100 + number)
    assert store.sweep(4) == 0
    clock.now += 106
    assert store.sweep(4) == 4
    assert len(store) == 6
    assert store.sweep(4) == 3
    assert store.keys(b"*") == [b"7", b"8", b"9"]


def test_a_deadline_that_was_changed_or_taken_away_does_not_count(
    store: Store, clock: Clock
) -> None:
    for key in (b"later", b"never", b"again"):
        store.write(key, b"v")
        store.expire(key, 100)
    store.expire(b"later", 200)
    store.persist(b"never")
    store.delete(b"again")
    store.write(b"again", b"v")
    clock.now += 150
    store.sweep(100)
    assert sorted(store.keys(b"*")) == [b"again", b"later", b"never"]
    clock.now += 50
    store.sweep(100)
    assert sorted(store.keys(b"*")) == [b"again", b"never"]


def test_moving_deadlines_does_not_grow_the_store(store: Store) -> None:
    """A peer that says EXPIRE for ever costs no more memory than one that says it once."""
    store.write(b"k", b"v")
    for milliseconds in range(10_000):
        store.expire(b"k", 1_000_000 + milliseconds)
    assert len(store._due) < 100


def test_deleting_keys_does_not_leave_their_deadlines(store: Store) -> None:
    for number in range(1_000):
        store.write(b"%d" % number, b"v")
        store.expire(b"%d" % number, 1_000_000)
    for number in range(1_000):
        store.delete(b"%d" % number)
    store.sweep(1)
    assert len(store._due) < 100


def test_keys_leaves_out_what_has_expired(store: Store, clock: Clock) -> None:
    for key in (b"a1", b"a2", b"b1"):
        store.write(key, b"v")
    store.expire(b"a1", 10)
    clock.now += 10
    assert store.keys(b"a*") == [b"a2"]


# Commands


@pytest.fixture
def session(store: Store) -> Session:
    return Session(store)


def run(session: Session, line: str) -> Reply:
    return execute(session, line.encode().split())


SYNTAX = failure("ERR syntax error")
NOT_AN_INTEGER = failure("ERR value is not an integer or out of range")
OVERFLOW = failure("ERR increment or decrement would overflow")
NOT_POSITIVE = failure("ERR value is out of range, must be positive")

SCRIPTS: list[list[tuple[str, Reply]]] = [
    [("ping", status("PONG")), ("PiNg hello", b"hello"), ("echo hi", b"hi")],
    [("set k v", OK), ("get k", b"v"), ("get other", NIL), ("type k", status("string"))],
    [("set k v nx", OK), ("set k w nx", NIL), ("get k", b"v"), ("set k w xx", OK)],
    [("set k v xx", NIL), ("exists k", 0), ("set k v nx xx", SYNTAX), ("set k v huh", SYNTAX)],
    [("set k v get", NIL), ("set k w get", b"v"), ("set k x nx get", b"w"), ("get k", b"w")],
    [("set k v ex 100", OK), ("ttl k", 100), ("pttl k", 100_000), ("set k v", OK), ("ttl k", -1)],
    [("set k v px 1500", OK), ("ttl k", 2), ("set k w keepttl", OK), ("pttl k", 1500)],
    [("set k v ex", SYNTAX), ("set k v ex x", NOT_AN_INTEGER), ("set k v ex 1 px 1", SYNTAX)],
    [("set k v ex 0", failure("ERR invalid expire time in 'set' command")), ("exists k", 0)],
    [("set k v ex 9223372036854775807", failure("ERR invalid expire time in 'set' command"))],
    [("ttl k", -2), ("set k v", OK), ("expire k 10", 1), ("ttl k", 10), ("persist k", 1)],
    [("expire k 10", 0), ("persist k", 0), ("set k v", OK), ("persist k", 0), ("expire k 0", 1)],
    [("set k v", OK), ("pexpire k 1", 1), ("pexpire k -1", 1), ("exists k", 0)],
    [("mset a 1 b 2", OK), ("mget a x b", [b"1", NIL, b"2"]), ("exists a a x", 2)],
    [("mset a 1 b 2", OK), ("del a x b", 2), ("dbsize", 0)],
    [("set k v ex 100", OK), ("mset k w", OK), ("ttl k", -1)],
    [("incr n", 1), ("incrby n 10", 11), ("decr n", 10), ("decrby n 20", -10), ("get n", b"-10")],
    [("set n 9223372036854775807", OK), ("incr n", OVERFLOW), ("decr n", 2**63 - 2)],
    [("decrby n -9223372036854775808", failure("ERR decrement would overflow"))],
    [("set n x", OK), ("incr n", NOT_AN_INTEGER), ("incrby n x", NOT_AN_INTEGER)],
    [("rpush l a b", 2), ("lpush l c d", 4), ("lrange l 0 -1", [b"d", b"c", b"a", b"b"])],
    [("rpush l a b c", 3), ("lpop l", b"a"), ("rpop l", b"c"), ("llen l", 1), ("rpop l", b"b")],
    [("rpush l a b c", 3), ("lpop l 2", [b"a", b"b"]), ("rpop l 9", [b"c"]), ("exists l", 0)],
    [("lpop l", NIL), ("lpop l 1", Fixed(b"*-1\r\n")), ("lpop l -1", NOT_POSITIVE)],
    [("rpush l a", 1), ("lpop l 0", []), ("rpop l x", NOT_POSITIVE), ("llen l", 1)],
    [("lrange l 0 -1", []), ("llen l", 0), ("rpush l a b c", 3), ("lrange l 1 1", [b"b"])],
    [("rpush l a b c", 3), ("lrange l -2 99", [b"b", b"c"]), ("lrange l 2 1", [])],
    [("rpush l a b c", 3), ("lrange l -99 0", [b"a"]), ("lrange l 3 5", []), ("lrange l 0 -9", [])],
    [("rpush l a", 1), ("get l", WRONG_TYPE), ("incr l", WRONG_TYPE), ("type l", status("list"))],
    [("set k v", OK), ("lpush k a", WRONG_TYPE), ("lrange k 0 1", WRONG_TYPE), ("get k", b"v")],
    [("rpush l a", 1), ("set l v get", WRONG_TYPE), ("set l v", OK), ("mget l", [b"v"])],
    [("mset a 1 b 2", OK), ("keys [a]", [b"a"]), ("flushall", OK), ("keys *", [])],
    [("flushdb async", OK), ("flushall now", SYNTAX)],
    [("get", failure("ERR wrong number of arguments for 'get' command"))],
    [("GET a b", failure("ERR wrong number of arguments for 'get' command"))],
    [("mset a 1 b", failure("ERR wrong number of arguments for 'mset' command"))],
    [("nope", failure("ERR unknown command 'nope', with args beginning with: "))],
    [("nope a b", failure("ERR unknown command 'nope', with args beginning with: 'a' 'b' "))],
    [("client|id", failure("ERR unknown command 'client|id', with args beginning with: "))],
    [("select 0", OK), ("select 1", failure("ERR DB index is out of range"))],
    [("hello 3", failure("NOPROTO unsupported protocol version"))],
    [("hello x", failure("ERR Protocol version is not an integer or out of range"))],
    [("hello 2 auth a b", failure("ERR Syntax error in HELLO option 'auth'"))],
    [("client getname", NIL), ("client setname me", OK), ("client getname", b"me")],
    [("client setname", failure("ERR wrong number of arguments for 'client|setname' command"))],
    [("client huh", failure("ERR unknown subcommand 'huh'. Try CLIENT HELP."))],
    [("client setinfo lib-name x", OK)],
    [("config get save", [b"save", b""]), ("CONFIG GET nothing", [])],
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script[0][0])
def test_commands(session: Session, script: list[tuple[str, Reply]]) -> None:
    for line, expected in script:
        assert run(session, line) == expected, line


def test_a_key_that_expires_is_a_new_one_for_every_command(session: Session, clock: Clock) -> None:
    lines = [
        "incr k",
        "lpush k a",
        "set k v xx",
        "set k v keepttl",
        "persist k",
        "expire k 5",
        "del k",
    ]
    for line, expected in zip(lines, (1, 1, NIL, OK, 0, 0, 0), strict=True):
        run(session, "flushall")
        run(session, "set k 5 px 10")
        clock.now += 10
        assert run(session, line) == expected, line
        assert run(session, "ttl k") in (-1, -2)


def test_hello_describes_the_server(session: Session) -> None:
    reply = run(session, "hello 2 setname me")
    assert isinstance(reply, list)
    facts = dict(zip(reply[::2], reply[1::2], strict=True))
    assert facts[b"proto"] == 2
    assert facts[b"id"] == session.number
    assert run(session, "client getname") == b"me"


def test_names_are_one_word(session: Session) -> None:
    reply = execute(session, [b"CLIENT", b"SETNAME", b"two words"])
    assert isinstance(reply, Fixed)
    assert b"cannot contain spaces" in reply.wire


def test_command_describes_every_command(session: Session) -> None:
    described = run(session, "command")
    assert isinstance(described, Sequence)
    assert run(session, "command count") == len(described)
    assert run(session, "command info get nothing") == [
        [b"get", 2, [status("readonly"), status("fast")], 1, 1, 1],
        Fixed(b"*-1\r\n"),
    ]
    docs = run(session, "command docs set")
    assert isinstance(docs, list)
    assert docs[0] == b"set"
    assert docs[1][:2] == [b"summary", b"Sets the string value of a key, whatever it held."]
    # Whatever a client asks, the codec can say it.
    for line in ("command", "command docs", "info", "info server", "hello"):
        assert RespCodec().encode(run(session, line))


def test_info_counts_the_keys(session: Session) -> None:
    run(session, "set a 1 ex 10")
    run(session, "set b 2")
    keyspace = run(session, "info keyspace")
    assert keyspace == b"# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0"


def test_quit_marks_the_session(session: Session) -> None:
    assert not session.quitting
    assert run(session, "quit") == OK
    assert session.quitting
