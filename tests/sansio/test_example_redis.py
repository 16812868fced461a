"""The parts of ``examples/redis_server.py`` without I/O: codec, patterns, store, commands."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snowtrio import (
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    Side,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import _redis_admin
import _redis_data
import _redis_keys
from _redis_glob import MAX_PATTERN_SIZE, PatternError, compile_glob
from _redis_resp import NIL, OK, Command, Fixed, Reply, RespCodec, failure, parse_integer, status
from _redis_store import Store
from _redis_table import WRONG_TYPE, Session, execute

# Each puts its commands into the table that `execute` looks into.
COMMAND_MODULES = (_redis_admin, _redis_data, _redis_keys)

# With a limit below what the plain way may take, every command goes the careful way.
CODECS = [
    pytest.param({}, id="plain way"),
    pytest.param({"max_inline_size": 1000}, id="careful way"),
]


def wire(*words: bytes) -> bytes:
    """Return a command as clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def feed(codec: RespCodec, chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Decode bytes as they come, by one connection's coder."""
    coder, buffer = codec.start(Side.SERVER, None), ReceiveBuffer()
    for chunk in chunks:
        buffer.append(chunk)
        yield from map(list, coder.decode(buffer))
    yield from map(list, coder.decode_eof(buffer))


def single_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


LONG = b"v" * 1025
COMMANDS: list[tuple[bytes, list[list[bytes]]]]
COMMANDS = [
    (b"*1\r\n$4\r\nPING\r\n", [[b"PING"]]),
    (wire(b"GET", b"k") * 9, [[b"GET", b"k"]] * 9),
    (wire(b"GET", b"k") * 5 + wire(b"PING"), [[b"GET", b"k"]] * 5 + [[b"PING"]]),
    (wire(b"GET", b"k") * 5 + wire(b"GET", b"\r\n"), [[b"GET", b"k"]] * 5 + [[b"GET", b"\r\n"]]),
    (wire(b"GET", b"k") * 5 + wire(b"GET", LONG), [[b"GET", b"k"]] * 5 + [[b"GET", LONG]]),
    (wire(b"SET", b"key", b"value"), [[b"SET", b"key", b"value"]]),
    (wire(b"SET", b"", b""), [[b"SET", b"", b""]]),
    (wire(b"ECHO", b"a\r\nb") + wire(b"PING"), [[b"ECHO", b"a\r\nb"], [b"PING"]]),
    (wire(b"ECHO", b"\r\n$4\r\nPING\r\n"), [[b"ECHO", b"\r\n$4\r\nPING\r\n"]]),
    (wire(b"ECHO", b"ab\r\n$1") + wire(b"PING"), [[b"ECHO", b"ab\r\n$1"], [b"PING"]]),
    (wire(b"ECHO", LONG) + wire(b"PING"), [[b"ECHO", LONG], [b"PING"]]),
    (wire(*[b"k"] * 65) + wire(b"PING"), [[b"k"] * 65, [b"PING"]]),
    (wire(b"ECHO", bytes(range(256))), [[b"ECHO", bytes(range(256))]]),
    # What asks for nothing gets no answer.
    (b"*0\r\n" + wire(b"PING"), [[b"PING"]]),
    (b"*-1\r\n" + wire(b"PING"), [[b"PING"]]),
    (b"\r\n\n  \r\n" + wire(b"PING"), [[b"PING"]]),
    # Typed by a person.
    (b"PING\r\n", [[b"PING"]]),
    (b"PING\n", [[b"PING"]]),
    (b"PING\nPING\r\nPING\n", [[b"PING"]] * 3),
    (b"  set\tkey  value \r\n" + wire(b"PING"), [[b"set", b"key", b"value"], [b"PING"]]),
    (b"set k \"a b\\n\\x41\\\"\\q\"\r\n", [[b"set", b"k", b'a b\nA"q']]),
    (b"set k 'a \\' \"b\\n'\r\n", [[b"set", b"k", b"a ' \"b\\n"]]),
    (b'set k "" \'\'\r\n', [[b"set", b"k", b"", b""]]),
    (b'set k a"b c"\r\n', [[b"set", b"k", b"ab c"]]),
    (b"set k a\\nb\r\n", [[b"set", b"k", b"a\\nb"]]),
]  # fmt: skip


@pytest.mark.parametrize("limits", CODECS)
@pytest.mark.parametrize(("data", "commands"), COMMANDS)
def test_commands_are_decoded_however_they_are_cut(
    data: bytes, commands: list[list[bytes]], limits: dict[str, int]
) -> None:
    """Rows S12 and S25: whole, byte by byte, and cut in two at every place."""
    codec = RespCodec(**limits)
    assert list(feed(codec, [data])) == commands
    assert list(feed(codec, single_bytes(data))) == commands
    for cut in range(len(data)) if len(data) < 300 else ():
        assert list(feed(codec, [data[:cut], data[cut:]])) == commands


@pytest.mark.parametrize("limits", CODECS)
@pytest.mark.parametrize(("data", "commands"), COMMANDS)
def test_an_unfinished_command_stays_in_the_buffer(
    data: bytes, commands: list[list[bytes]], limits: dict[str, int]
) -> None:
    codec = RespCodec(**limits)
    coder, buffer = codec.start(Side.SERVER, None), ReceiveBuffer()
    trailing = b"*2\r\n$4\r\nECHO\r\n$5\r\nhe"
    buffer.append(data + trailing)
    assert [list(words) for words in coder.decode(buffer)] == commands
    assert buffer.peek(100) == trailing
    buffer.append(b"llo\r\n")
    assert list(coder.decode(buffer)) == [[b"ECHO", b"hello"]]
    assert not buffer


WORD = st.binary(max_size=20) | st.sampled_from([b"\r\n", b"$1\r\n", b"*2\r\n"])


@given(
    st.one_of(
        st.lists(st.lists(WORD, min_size=1, max_size=4)),
        st.lists(st.lists(WORD, min_size=2, max_size=2), min_size=4),
    ),
    st.lists(st.integers(1, 40)),
)
@example([[b"*1"], [b"$4", b"\r\n"]], [1, 2])
def test_both_ways_of_decoding_agree(commands: list[list[bytes]], sizes: list[int]) -> None:
    """Row S25: what is encoded comes back, at whatever places it was cut."""
    rest = b"".join(wire(*words) for words in commands)
    chunks: list[bytes] = []
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    chunks.append(rest)
    for limits in ({}, {"max_inline_size": 1000}):
        assert list(feed(RespCodec(**limits), chunks)) == commands


WRONG = [
    (b"*1\r\n:4\r\n", "expected '$', got ':'"),
    (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
    (b"*x\r\n", "invalid multibulk length"),
    (b"*1_0\r\n", "invalid multibulk length"),
    (b"* 1\r\n", "invalid multibulk length"),
    (b"*\r\n", "invalid multibulk length"),
    (b"*65537\r\n", "invalid multibulk length"),
    (b"*9223372036854775808\r\n", "invalid multibulk length"),
    (b"*" + b"1" * 31, "invalid multibulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$04\r\n", "invalid bulk length"),
    (b"*1\r\n$+4\r\n", "invalid bulk length"),
    (b"*1\r\n$16777217\r\n", "invalid bulk length"),
    (b"*1\r\n$9223372036854775808\r\n", "invalid bulk length"),
    (b"*1\r\n$" + b"1" * 31, "invalid bulk length"),
    (b"*1\r\n$4\r\nPINGxx", "expected a line end after an argument"),
    (b"*1\r\n$3\r\nPING\r\n", "expected a line end after an argument"),
    (b'set k "a\r\n', "unbalanced quotes in request"),
    (b"set k 'a\\'\r\n", "unbalanced quotes in request"),
    (b'set k "a"b\r\n', "unbalanced quotes in request"),
    (b"x" * 65537, "too big inline request"),
    (b"x" * 65537 + b"\r\n", "too big inline request"),
]


@pytest.mark.parametrize(("data", "text"), WRONG)
def test_a_wrong_byte_ends_it_after_what_came_before(data: bytes, text: str) -> None:
    good = wire(b"SET", b"k", b"v") + b"PING\r\n"
    for chunks in ([good + data], [good, data], single_bytes((good + data)[:200])):
        if sum(map(len, chunks)) < len(good + data):
            continue
        decoded = feed(RespCodec(), chunks)
        assert [next(decoded), next(decoded)] == [[b"SET", b"k", b"v"], [b"PING"]]
        with pytest.raises(RemoteProtocolError) as caught:
            next(decoded)
        assert str(caught.value) == text


def expect_limit(limits: dict[str, int], fits: bytes, above: bytes) -> RemoteProtocolError:
    codec = RespCodec(**limits)
    assert len(list(feed(codec, [fits]))) == 1
    assert len(list(feed(codec, single_bytes(fits)))) == 1
    with pytest.raises(RemoteProtocolError) as caught:
        list(feed(codec, [above]))
    return caught.value


def test_max_bulk_size_is_told_from_the_header() -> None:
    """Row S3: no byte of the argument has to come."""
    error = expect_limit({"max_bulk_size": 5}, wire(b"12345"), b"*1\r\n$6\r\n")
    assert str(error) == "invalid bulk length"


def test_max_arguments_is_told_from_the_header() -> None:
    """Row S3."""
    error = expect_limit({"max_arguments": 3}, wire(b"a", b"b", b"c"), b"*4\r\n")
    assert str(error) == "invalid multibulk length"


def test_max_arguments_holds_for_a_typed_line() -> None:
    """Row S3."""
    expect_limit({"max_arguments": 3}, b"a b c\r\n", b"a b c d\r\n")


def test_max_message_size_counts_the_whole_command() -> None:
    """Row S3."""
    fits = wire(b"ECHO", b"hello")
    error = expect_limit({"max_message_size": len(fits)}, fits, b"*2\r\n$4\r\nECHO\r\n$6\r\n")
    assert isinstance(error, ReceiveTooLargeError)
    assert (error.size, error.limit) == (len(fits) + 1, len(fits))


def test_max_inline_size_counts_the_line() -> None:
    """Row S3: before its end has come, too."""
    expect_limit({"max_inline_size": 5}, b"PING\r\n", b"PING  ")


def nest(depth: int) -> Reply:
    reply: Reply = []
    for _ in range(depth - 1):
        reply = [reply]
    return reply


def test_max_nesting_is_the_senders_error() -> None:
    """Row S6: nothing that cannot be encoded is half sent."""
    codec = RespCodec(max_nesting=3)
    assert codec.encode(nest(3)) == b"*1\r\n*1\r\n*0\r\n"
    with pytest.raises(LocalProtocolError, match="max_nesting"):
        codec.encode(nest(4))


REPLIES: list[tuple[Reply, bytes]] = [
    (b"", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n"),
    (-7, b":-7\r\n"),
    (OK, b"+OK\r\n"),
    (NIL, b"$-1\r\n"),
    (status("two\r\nlines"), b"+two  lines\r\n"),
    (failure("ERR not\nthis"), b"-ERR not this\r\n"),
    ([], b"*0\r\n"),
    ([b"a", 1, NIL, [OK]], b"*4\r\n$1\r\na\r\n:1\r\n$-1\r\n*1\r\n+OK\r\n"),
]


@pytest.mark.parametrize(("reply", "data"), REPLIES)
def test_replies_are_encoded(reply: Reply, data: bytes) -> None:
    """Row S25: any object can be a message if the codec takes it."""
    assert RespCodec().encode(reply) == data


@pytest.mark.parametrize("message", [None, True, "text", 1.5, [b"a", None], [["text"]]])
def test_what_has_no_form_is_the_senders_error(message: object) -> None:
    """Row S6."""
    with pytest.raises(LocalProtocolError, match="no form"):
        RespCodec().encode(message)  # type: ignore[arg-type]


def test_the_end_of_input_inside_a_command_is_an_error() -> None:
    """Row S4: and between commands it is not."""
    assert list(feed(RespCodec(), [wire(b"PING")])) == [[b"PING"]]
    cut = wire(b"SET", b"k", b"value")[:-3]
    with pytest.raises(IncompleteFrameError) as caught:
        list(feed(RespCodec(), single_bytes(cut)))
    assert caught.value.partial == cut


def test_each_connection_has_its_own_coder() -> None:
    codec = RespCodec(max_arguments=100)
    one, other = codec.start(Side.SERVER, None), codec.start(Side.SERVER, None)
    half = ReceiveBuffer(b"*2\r\n$4\r\nECHO\r\n")
    assert list(one.decode(half)) == []
    assert list(other.decode(ReceiveBuffer(wire(b"PING")))) == [[b"PING"]]
    assert other.max_arguments == 100
    with pytest.raises(ValueError, match="server"):
        codec.start(Side.CLIENT, None)


class CountingBuffer(ReceiveBuffer):
    """Counts the bytes that a decoder looks at."""

    __slots__ = ("looked_at",)

    def __init__(self) -> None:
        super().__init__()
        self.looked_at = 0

    def peek(self, size: int, offset: int = 0) -> bytes:
        seen = super().peek(size, offset)
        self.looked_at += len(seen)
        return seen


@pytest.mark.parametrize(
    "words",
    [[b"SET", b"k", b"v" * 100_000], [b"LPUSH", *[b"v"] * 20_000], [b"ECHO", b"\r\n" * 50_000]],
    ids=["long value", "many values", "many line ends"],
)
def test_a_command_that_comes_in_pieces_is_not_read_again_for_each(words: list[bytes]) -> None:
    """Row S3: the work goes with the bytes, and not with the bytes times the pieces."""
    data = wire(*words)
    coder, buffer = RespCodec().start(Side.SERVER, None), CountingBuffer()
    commands: list[Command] = []
    pieces = [data[at : at + 10] for at in range(0, len(data), 10)]
    for piece in pieces:
        buffer.append(piece)
        commands.extend(coder.decode(buffer))
    assert commands == [words]
    # Up to one header is looked at for each piece, and two for each argument.
    assert buffer.looked_at < 40 * (len(pieces) + 2 * len(words))


def test_many_commands_that_are_not_plain_are_read_once() -> None:
    """Row S12: one look at the whole of a read, whatever it holds."""
    data = wire(b"ECHO", b"\r\n") * 5_000
    coder, buffer = RespCodec().start(Side.SERVER, None), CountingBuffer()
    buffer.append(data)
    assert len(list(coder.decode(buffer))) == 5_000
    assert buffer.looked_at < len(data) + 5_000 * 4 * 40


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        (b"0", 0),
        (b"-1", -1),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"9223372036854775808", None),
        (b"-9223372036854775809", None),
        (b"", None),
        (b"-0", None),
        (b"+1", None),
        (b"01", None),
        (b" 1", None),
        (b"1\n", None),
        (b"1_0", None),
        (b"1.0", None),
        (b"\xd9\xa1", None),
        (b"1" * 5000, None),
    ],
)
def test_integers_are_read_as_redis_reads_them(digits: bytes, number: int | None) -> None:
    assert parse_integer(digits) == number


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
    store.delete(b"k")
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
