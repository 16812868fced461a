"""The codec of ``examples/redis_server.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    Side,
)
from snowtrio.testing import check_codec

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from _redis_resp import NIL, OK, Command, Reply, RespCodec, failure, parse_integer, status

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
    (wire(b"A", b"k") * 4 + wire(b"B", b"k", b"v"), [[b"A", b"k"]] * 4 + [[b"B", b"k", b"v"]]),
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


class ClientCodec(Codec[Command, Reply]):
    """As much of the client's side as the server's side is checked with."""

    def encode(self, message: Command) -> bytes:
        return wire(*message)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Reply]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("limits", "too_large"),
    [
        pytest.param({"max_bulk_size": 2**30}, b"*1\r\n$99999999\r\n", id="plain way"),
        pytest.param({"max_message_size": 100}, b"*1\r\n$90\r\n", id="careful way"),
    ],
)
def test_it_keeps_the_contract_of_a_codec(limits: dict[str, int], too_large: bytes) -> None:
    """Row S25."""
    check_codec(
        ClientCodec(),
        [[b"PING"], [b"SET", b"k", b"\r\n*1"], *[[b"GET", b"k"]] * 5, [b"ECHO", b""], [b"a"] * 9],
        side=Side.CLIENT,
        peer=RespCodec(**limits),
        equal=lambda sent, came: sent == list(came),
        too_large=too_large,
    )


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
    ("data", "words"),
    [
        pytest.param(wire(*words), words, id=name)
        for name, words in {
            "a long value": [b"SET", b"k", b"v" * 100_000],
            "many values": [b"LPUSH", *[b"v"] * 20_000],
            "many line ends": [b"ECHO", b"\r\n" * 50_000],
        }.items()
    ]
    + [pytest.param(b"ECHO %b\n" % (b"v" * 60_000), [b"ECHO", b"v" * 60_000], id="a long line")],
)
def test_a_command_that_comes_in_pieces_is_not_read_again_for_each(
    data: bytes, words: list[bytes]
) -> None:
    """Row S3: the work goes with the bytes, and not with the bytes times the pieces."""
    coder, buffer = RespCodec().start(Side.SERVER, None), CountingBuffer()
    commands: list[list[bytes]] = []
    pieces = [data[at : at + 10] for at in range(0, len(data), 10)]
    for piece in pieces:
        buffer.append(piece)
        commands.extend(map(list, coder.decode(buffer)))
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
