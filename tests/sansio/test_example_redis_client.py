"""The codec of ``examples/redis_client.py``."""

from __future__ import annotations

import itertools
import math
import sys
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
    Side,
)
from snowtrio.testing import check_codec, decode_chunks

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from _redis_reply import ReplyCodec
from _redis_resp import Command, RespCodec
from _redis_values import (
    Attributed,
    BigNumber,
    Double,
    Push,
    RedisError,
    Reply,
    SetReply,
    Verbatim,
)

MARKS = {list: b"*", SetReply: b"~", Push: b">"}


def wire(reply: Reply) -> bytes:  # noqa: C901 - a case a type
    """Return a reply as a server of RESP3 sends it."""
    match reply:
        case None:
            return b"_\r\n"
        case bool():
            return b"#t\r\n" if reply else b"#f\r\n"
        case BigNumber():
            return b"(%d\r\n" % reply
        case int():
            return b":%d\r\n" % reply
        case Double():
            return b",%b\r\n" % reply.text.encode()
        case str():
            return b"+%b\r\n" % reply.encode(errors="surrogateescape")
        case Verbatim():
            return b"=%d\r\n%b:%b\r\n" % (len(reply) + 4, reply.format.encode(), reply)
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case RedisError():
            text = str(reply).encode(errors="surrogateescape")
            if b"\n" in text or b"\r" in text:
                return b"!%d\r\n%b\r\n" % (len(text), text)
            return b"-%b\r\n" % text
        case dict():
            pairs = b"".join(wire(key) + wire(value) for key, value in reply.items())  # type: ignore[arg-type]
            return b"%%%d\r\n" % len(reply) + pairs
        case Attributed():
            return b"|" + wire(reply.attributes)[1:] + wire(reply.reply)
        case list():
            return MARKS[type(reply)] + b"%d\r\n" % len(reply) + b"".join(map(wire, reply))
    raise TypeError(reply)


class ServersSide(Codec[Reply, Command]):
    """Sends any reply of RESP3."""

    def __init__(self, commands: RespCodec | None = None) -> None:
        self.commands = commands or RespCodec()

    def start(self, side: Side, context: object) -> ServersSide:
        return ServersSide(self.commands.start(side, context))

    def encode(self, message: Reply) -> bytes:
        return wire(message)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Command]:
        return self.commands.decode(buffer)

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[Command]:
        return self.commands.decode_eof(buffer)


def shape(reply: object) -> object:
    """Return what can be compared: with types, and with values that are not equal to themselves."""
    match reply:
        case Attributed():
            return "attributed", shape(reply.reply), shape(reply.attributes)
        case dict():
            return "dict", [(shape(key), shape(value)) for key, value in reply.items()]
        case list() | tuple():
            return type(reply).__name__, [shape(item) for item in reply]
        case Double():
            return "Double", reply.text
        case Verbatim():
            return "Verbatim", reply.format, bytes(reply)
        case _:
            return type(reply).__name__, str(reply)


def same(one: object, other: object) -> bool:
    return shape(one) == shape(other)


def take(data: bytes, codec: ReplyCodec | None = None) -> list[Reply]:
    """Return the replies in some bytes, which must be the same whole and byte by byte."""
    codec = codec or ReplyCodec()
    whole = decode_chunks(codec, [data], side=Side.CLIENT)
    singly = decode_chunks(codec, single_bytes(data), side=Side.CLIENT)
    assert same(whole, singly)
    return whole


def single_bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


# The contract

REPLIES: list[Any] = [
    *("OK", "", "caf\udce9", b"", b"hello", b"a\r\nb", b"\r\n", b"$3\r\nabc\r\n", b"x" * 1025),
    *(0, -1, 2**63 - 1, -(2**63), BigNumber(10**40), BigNumber(-(10**40)), True, False, None),
    *(Double("3.14"), Double("inf"), Double("-inf"), Double("nan"), Double("1e-7"), Double("10")),
    *(RedisError("ERR no"), RedisError("SYNTAX two\r\nlines"), Verbatim(b"some\r\ntext", "txt")),
    *([], {}, SetReply(), [b"a", b"b"], SetReply([b"a", 1, None]), {b"k": [1, {"x": b"y"}]}),
    *(Push([b"invalidate", [b"k"]]), [[[[]]], RedisError("ERR within"), [b"a\r\n\r\n", "OK"]]),
    [b"item"] * 20,
]
COMMANDS: list[Sequence[bytes]] = [
    [b"PING"],
    [b"GET", b"key"],
    [b"SET", b"key", b"a\r\nb", b"EX", b"10"],
    [b"ECHO", b""],
]


def test_replies_keep_the_codec_contract() -> None:
    """Row S1 for every type: whole, byte by byte, cut anywhere, one at a time."""
    check_codec(
        ServersSide(),
        REPLIES,
        peer=ReplyCodec(max_message_size=2048),
        side=Side.SERVER,
        equal=same,
        too_large=b"$2050\r\n" + b"x" * 2050 + b"\r\n",
    )


def test_attributes_keep_the_codec_contract() -> None:
    replies: list[Reply] = [
        Attributed(1, {"ttl": 10}),
        [b"a", Attributed([b"b"], {"of": [b"b"]}), Attributed(Attributed(b"c", {"x": 1}), {})],
    ]
    codec = ReplyCodec(keep_attributes=True)
    check_codec(ServersSide(), replies[:1], peer=codec, side=Side.SERVER, equal=same)
    assert same(take(wire(replies[0]), codec), replies[:1])
    assert same(take(wire(replies[0])), [1])
    assert same(take(wire(replies[1])), [[b"a", [b"b"], b"c"]])


def test_commands_keep_the_codec_contract() -> None:
    check_codec(
        ReplyCodec(max_message_size=1000),
        COMMANDS,
        peer=RespCodec(),
        side=Side.CLIENT,
        refused=[[], [b"SET", None], [True], [b"SET", [b"a"]], [b"ECHO", b"x" * 1000]],
    )


def test_words_are_bytes_text_or_numbers() -> None:
    coder = ReplyCodec().start(Side.CLIENT, None)
    said = coder.encode(("SET", "caf\u00e9", 1, -2.5, bytearray(b"x"), Verbatim(b"v", "txt")))
    (words,) = decode_chunks(RespCodec(), [said])
    assert list(words) == [b"SET", b"caf\xc3\xa9", b"1", b"-2.5", b"x", b"v"]
    with pytest.raises(LocalProtocolError, match="None"):
        coder.encode(("SET", None))  # type: ignore[arg-type]
    with pytest.raises(SendTooLargeError):
        ReplyCodec(max_message_size=20).start(Side.CLIENT, None).encode([b"ECHO", b"x" * 20])


def test_it_is_the_clients_side() -> None:
    with pytest.raises(ValueError, match="client"):
        ReplyCodec().start(Side.SERVER, None)


# Any reply at all

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers().map(BigNumber),
    st.floats().map(lambda number: Double(repr(number))),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20),
    st.binary(max_size=40),
    st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"$1", b"a"]), max_size=6).map(b"".join),
    st.text("ab \r\n", max_size=20).map(RedisError),
    st.binary(max_size=20).map(lambda data: Verbatim(data, "txt")),
)
KEYS = st.one_of(
    st.binary(max_size=10), st.integers(-(2**63), 2**63 - 1), st.text("ab", max_size=3)
)
ANY_REPLY: st.SearchStrategy[Reply] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(SetReply),
        st.lists(inner, max_size=5).map(Push),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=20,
)


@given(st.lists(ANY_REPLY, max_size=8), st.data())
def test_any_replies_come_back(replies: list[Reply], data: st.DataObject) -> None:
    stream = b"".join(map(wire, replies))
    assert same(take(stream), replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    ends = [0, *cuts, len(stream)]
    chunks = [stream[begin:end] for begin, end in itertools.pairwise(ends)]
    assert same(decode_chunks(ReplyCodec(), chunks, side=Side.CLIENT), replies)


GARBLED = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"*2\r\n", b"%1\r\n", b"|1\r\n", b"*?\r\n", b"$?\r\n", b".\r\n"]),
        st.sampled_from(
            [b";1\r\n", b";0\r\n", b"$3\r\nabc\r\n", b":1\r\n", b"*-1\r\n", b"$-1\r\n"]
        ),
        st.binary(max_size=5),
    ),
    max_size=20,
).map(b"".join)


@given(GARBLED)
def test_whatever_comes_is_replies_or_an_error_of_the_protocol(data: bytes) -> None:
    """Row S2: and it makes no difference how it is cut."""

    def outcome(chunks: Iterable[bytes]) -> tuple[list[object], type[Exception] | None]:
        coder, buffer = ReplyCodec().start(Side.CLIENT, None), ReceiveBuffer()
        replies: list[object] = []
        try:
            for chunk in chunks:
                buffer.append(chunk)
                replies.extend(map(shape, coder.decode(buffer)))
            list(coder.decode_eof(buffer))
        except RemoteProtocolError as error:
            return replies, type(error)
        return replies, None

    assert outcome([data]) == outcome(single_bytes(data))


# Single cases


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"*-1\r\n", None),
        (b"$-1\r\n", None),
        (b":+5\r\n", 5),
        (b"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", b"Hello"),
        (b"$?\r\n;2\r\n\r\n\r\n;0\r\n", b"\r\n"),
        (b"$?\r\n;0\r\n", b""),
        (
            b"*?\r\n:1\r\n*?\r\n.\r\n%?\r\n+k\r\n$?\r\n;1\r\nv\r\n;0\r\n.\r\n.\r\n",
            [1, [], {"k": b"v"}],
        ),
        (b"~?\r\n#t\r\n.\r\n", SetReply([True])),
        (b"%2\r\n*2\r\n:1\r\n:2\r\n+a\r\n%1\r\n:1\r\n:2\r\n+b\r\n", {(1, 2): "a", ((1, 2),): "b"}),
        (b"|0\r\n:1\r\n", 1),
    ],
)
def test_what_is_seldom_seen(data: bytes, reply: Reply) -> None:
    (came,) = take(data)
    assert shape(came) == shape(reply)


def test_values_can_be_used_as_what_they_are() -> None:
    double, number, error, text = take(
        b",1.50\r\n(12345678901234567890\r\n-WRONGTYPE x y\r\n=6\r\nmkd:hi\r\n"
    )
    assert isinstance(double, Double)
    assert (double, double.text) == (1.5, "1.50")
    assert number == 12345678901234567890
    assert isinstance(error, RedisError)
    assert (error.kind, str(error)) == ("WRONGTYPE", "WRONGTYPE x y")
    assert isinstance(text, Verbatim)
    assert (text, text.format) == (b"hi", "mkd")
    assert math.isinf(take(b",-inf\r\n")[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\r\n",
            b"x\r\n",
            b"?\r\n",
            b":\r\n",
            b":1_0\r\n",
            b": 1\r\n",
            b":9223372036854775808\r\n",
        ),
        *(b"#x\r\n", b"_x\r\n", b",\r\n", b",1_0\r\n", b",infinity\r\n", b"(\r\n", b"(1.5\r\n"),
        *(
            b"$x\r\n",
            b"$-2\r\n",
            b"*-2\r\n",
            b"$3\r\nabcd\r\n",
            b"$1\r\nabc",
            b"$2000\r\n" + b"x" * 2002,
        ),
        *(
            b"=2\r\nab\r\n",
            b"=4\r\ntext\r\n",
            b"%-1\r\n",
            b".\r\n",
            b"*1\r\n.\r\n",
            b"*?\r\n.x\r\n",
        ),
        *(b"%?\r\n:1\r\n.\r\n", b";1\r\na\r\n", b";0\r\n", b"$?\r\n$1\r\na\r\n", b"$?\r\n:1\r\n"),
        *(b"$?\r\n.\r\n", b"|?\r\n", b">?\r\n", b"*1\r\n$-1x\r\n", b"(" + b"1" * 5000 + b"\r\n"),
        *(b"*1\r\n" * 33, b"+" + b"x" * 65536 + b"\r\n", b"+" + b"x" * 70000),
    ],
)
@pytest.mark.parametrize("singly", [False, True])
def test_broken_replies(data: bytes, singly: bool) -> None:
    """Row S2; a reply before it is given."""
    coder, buffer = ReplyCodec().start(Side.CLIENT, None), ReceiveBuffer()
    stream = b"+OK\r\n" + data
    came: list[Reply] = []

    def feed() -> None:
        for chunk in single_bytes(stream) if singly else [stream]:
            buffer.append(chunk)
            came.extend(coder.decode(buffer))

    with pytest.raises(RemoteProtocolError):
        feed()
    assert came == ["OK"]


@pytest.mark.parametrize(
    "data", [b"$3\r\nab", b"*2\r\n:1\r\n", b"|1\r\n:1\r\n:2\r\n", b"$3\r\n", b"$?\r\n", b":1"]
)
def test_the_end_inside_a_reply(data: bytes) -> None:
    """Also where every byte that came has been taken."""
    with pytest.raises(IncompleteFrameError):
        decode_chunks(ReplyCodec(), [data], side=Side.CLIENT)


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"$1001\r\n",
            b"*334\r\n",
            b"%167\r\n",
            b"=1001\r\n",
            b"*2\r\n$600\r\n" + b"x" * 600 + b"\r\n$600\r\n",
        ),
        *(
            b"*?\r\n" + b"$9\r\n123456789\r\n" * 100,
            b"*?\r\n" + b":1\r\n" * 250,
            b"|1\r\n:1\r\n$1000\r\n",
        ),
    ],
)
def test_a_reply_that_is_too_large_is_told_from_what_has_come(data: bytes) -> None:
    """Row S3: from its headers, and from the sum of elements nobody had announced."""
    for chunks in ([data], single_bytes(data)):
        with pytest.raises(ReceiveTooLargeError):
            decode_chunks(ReplyCodec(max_message_size=1000), chunks, side=Side.CLIENT, eof=False)


def test_the_limit_is_exact() -> None:
    """However the reply is cut."""
    reply: list[Any] = [*[b"value"] * 300, b"a\r\nb", 1, {"x": b"y" * 200}]
    stream = wire(reply)
    for chunks in ([stream], list(single_bytes(stream))):
        for spare in (0, 1000):
            codec = ReplyCodec(max_message_size=len(stream) + spare)
            assert len(decode_chunks(codec, chunks, side=Side.CLIENT)) == 1
        with pytest.raises(ReceiveTooLargeError):
            decode_chunks(ReplyCodec(max_message_size=len(stream) - 1), chunks, side=Side.CLIENT)


def test_a_large_reply_that_comes_slowly_is_looked_at_once() -> None:
    """A buffer that notes what is looked at: no more than some times what came."""

    class Counting(ReceiveBuffer):
        looked = 0

        def peek(self, size: int, offset: int = 0) -> bytes:
            data = super().peek(size, offset)
            Counting.looked += len(data)
            return data

    reply: list[Any] = [*[[b"a", b"value"]] * 500, b"long" * 5000, "x" * 3000]
    stream = wire(reply)
    coder, buffer = ReplyCodec().start(Side.CLIENT, None), Counting()
    came: list[Reply] = []
    for chunk in single_bytes(stream):
        buffer.append(chunk)
        came.extend(coder.decode(buffer))
    assert same(came, [reply])
    assert Counting.looked < 3 * len(stream)


def test_an_announced_array_takes_no_memory() -> None:
    coder, buffer = ReplyCodec().start(Side.CLIENT, None), ReceiveBuffer(b"*20000000\r\n")
    tracemalloc.start()
    try:
        assert list(coder.decode(buffer)) == []
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
