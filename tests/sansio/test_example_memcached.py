"""The codec of ``examples/memcached_client.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

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

from memcached_client import STORING, Answer, Command, MemcachedCodec, MemcachedError, Value

LONGEST_KEY = b"k" * 250
COMMANDS = [
    Command(b"set", (b"key", b"5", b"60"), b"value"),
    Command(b"add", (b"key", b"4294967295", b"-1"), b""),
    Command(b"replace", (LONGEST_KEY, b"0", b"0"), b"\r\nEND\r\n"),
    Command(b"append", (b"key", b"0", b"0"), b"set a 0 0 1\r\nx\r\n", noreply=True),
    Command(b"prepend", (b"key", b"0", b"0"), bytes(range(256))),
    Command(b"cas", (b"key", b"1", b"2", b"17"), b"value"),
    Command(b"cas", (b"key", b"1", b"2", b"9" * 19), b"value", noreply=True),
    Command(b"get", (b"key",)),
    Command(b"get", (b"noreply",)),
    Command(b"gets", (b"key", LONGEST_KEY, "schlüssel".encode())),
    Command(b"get", (LONGEST_KEY,) * 100),
    Command(b"gat", (b"60", b"key")),
    Command(b"gats", (b"-1", b"key")),
    Command(b"delete", (b"key",)),
    Command(b"delete", (b"noreply",), noreply=True),
    Command(b"incr", (b"key", b"1")),
    Command(b"decr", (b"key", b"1"), noreply=True),
    Command(b"touch", (b"key", b"60")),
    Command(b"stats"),
    Command(b"stats", (b"cachedump", b"1", b"0")),
    Command(b"version"),
    Command(b"flush_all"),
    Command(b"flush_all", (b"10",), noreply=True),
]
REPLIES: list[Answer | MemcachedError] = [
    b"STORED",
    (),
    (Value(b"key", b"value", 5),),
    b"0",
    (Value(b"a", b"", 0, 1), Value(LONGEST_KEY, b"\r\nEND\r\n", 4294967295, 2**64 - 1)),
    (b"STAT pid 1", b"STAT version 1.6 or so"),
    MemcachedError("ERROR"),
    MemcachedError("SERVER_ERROR out of memory storing object"),
    b"18446744073709551615",
    *(b"NOT_STORED", b"EXISTS", b"NOT_FOUND", b"DELETED", b"TOUCHED", b"OK", b"RESET"),
    b"VERSION 1.6.18",
]


class ServersSide(Codec[Answer | MemcachedError, Command]):
    """What a memcached does, written down once more."""

    def encode(self, message: Answer | MemcachedError) -> bytes:
        if isinstance(message, MemcachedError):
            return str(message).encode() + b"\r\n"
        if isinstance(message, bytes):
            return message + b"\r\n"
        return b"".join(map(encode_part, message)) + b"END\r\n"

    def decode(self, buffer: ReceiveBuffer) -> Iterator[Command]:
        while (end := buffer.find(b"\r\n")) != -1:
            name, *words = buffer.peek(end).split(b" ")
            size, value = end + 2, None
            if name in STORING:
                size += int(words[3]) + 2
                if len(buffer) < size:
                    return
                value = buffer.peek(int(words.pop(3)), end + 2)
            asks_for_none = len(words) > (1 if name != b"flush_all" else 0)
            noreply = name != b"get" and asks_for_none and words[-1] == b"noreply"
            assert buffer.take(size).endswith(b"\r\n")
            yield Command(name, tuple(words[:-1] if noreply else words), value, noreply)


def encode_part(part: Value | bytes) -> bytes:
    if isinstance(part, bytes):
        return part + b"\r\n"
    cas = b"" if part.cas is None else b" %d" % part.cas
    head = b"VALUE %b %d %d%b\r\n" % (part.key, part.flags, len(part.data), cas)
    return head + part.data + b"\r\n"


def same(sent: object, received: object) -> bool:
    if isinstance(sent, MemcachedError):
        return isinstance(received, MemcachedError) and str(sent) == str(received)
    return sent == received


def decode(data: bytes, codec: MemcachedCodec | None = None) -> list[Answer | MemcachedError]:
    return decode_chunks(codec or MemcachedCodec(), [data], side=Side.CLIENT)


# The contract


def test_the_codec_keeps_its_contract() -> None:
    """Row S7: commands one way, replies the other."""
    check_codec(MemcachedCodec(), COMMANDS, side=Side.CLIENT, peer=ServersSide(), refused=REFUSED)
    check_codec(
        ServersSide(),
        REPLIES,
        side=Side.SERVER,
        peer=MemcachedCodec(max_message_size=1000),
        equal=same,
        too_large=b"VALUE key 0 1001\r\n" + b"x" * 3000,
    )


PART = st.builds(
    Value,
    st.binary(min_size=1, max_size=250).map(lambda key: b"".join(key.split()) or b"key"),
    st.binary(),
    st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**64 - 1),
)
REPLY = st.lists(PART).map(tuple) | st.sampled_from(REPLIES)


@given(st.lists(REPLY), st.data())
def test_replies_come_out_however_they_are_cut(
    replies: list[Answer | MemcachedError], data: st.DataObject
) -> None:
    """Row S7."""
    wire = b"".join(map(ServersSide().encode, replies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    received = decode_chunks(MemcachedCodec(), chunks, side=Side.CLIENT)
    assert all(map(same, replies, received))
    assert len(replies) == len(received)


def take_all(chunks: list[bytes]) -> tuple[list[object], bool]:
    """Return what comes out of them, and whether their end is an error."""
    coder, buffer = MemcachedCodec(max_message_size=100).start(Side.CLIENT, None), ReceiveBuffer()
    taken: list[object] = []
    try:
        for chunk in chunks:
            buffer.append(chunk)
            taken += map(repr, coder.decode(buffer))
        taken += map(repr, coder.decode_eof(buffer))
    except RemoteProtocolError:
        return taken, True
    return taken, False


PIECES = [
    b"VALUE k 0 1",
    b"VALUE",
    b"\r\n",
    b"\n",
    b"x",
    b"END",
    b"STORED",
    b"1",
    b" ",
    b"-",
    b"\xff",
]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_anything_may_come(data: bytes) -> None:
    """Row S3: what is no reply is an error of its own kind, and the same one however it is cut."""
    assert take_all([data]) == take_all([data[i : i + 1] for i in range(len(data))])


# What is never sent

INJECTED = b"k 0 0 1\r\nx\r\nflush_all"
REFUSED = [
    *(
        Command(b"get", (word,))
        for word in (
            b"",
            b"k" * 251,
            b"a b",
            b"a\rb",
            b"a\nb",
            b"a\0b",
            b"a\tb",
            b"a\x7fb",
            INJECTED,
        )
    ),
    Command(b"get"),
    Command(b"get", (b"a", b"b c")),
    Command(b"get", (b"k",), noreply=True),
    Command(b"get", (b"k",), b"value"),
    Command(b"set", (INJECTED, b"0", b"0"), b"value"),
    Command(b"set", (b"k", b"0"), b"value"),
    Command(b"set", (b"k", b"0", b"0")),
    # Numbers that the server does not take: it would take the value for a command.
    Command(b"set", (b"k", b"9" * 11, b"0"), b"flush_all"),
    Command(b"set", (b"k", b"0", b"9" * 11), b"flush_all"),
    Command(b"set", (b"k", b"-1", b"0"), b"flush_all"),
    Command(b"set", (b"k", b"x", b"0"), b"flush_all"),
    Command(b"cas", (b"k", b"0", b"0", b"9" * 20), b"flush_all"),
    Command(b"cas", (b"k", b"0", b"0"), b"flush_all"),
    # A noreply that this side would not know of, or the other.
    Command(b"set", (b"k", b"0", b"noreply"), b"value"),
    Command(b"delete", (b"k", b"noreply")),
    Command(b"incr", (b"k", b"noreply")),
    Command(b"touch", (b"k", b"1", b"noreply")),
    Command(b"flush_all", (b"noreply",)),
    Command(b"stats", noreply=True),
    # Whatever is answered in another way, or not at all.
    *(Command(name) for name in (b"", b"quit", b"mn", b"watch", b"shutdown", b"version\r\nquit")),
    Command(b"mg", (b"k", b"v")),
    Command(b"stats", (b"a", b"b", b"c", b"d")),
]


@pytest.mark.parametrize("command", REFUSED, ids=repr)
def test_what_could_be_taken_for_something_else_is_refused(command: Command) -> None:
    """Row S6: with an error for its author, who can read it."""
    with pytest.raises(LocalProtocolError) as caught:
        MemcachedCodec().encode(command)
    assert 10 < len(str(caught.value)) < 1200


def test_a_value_above_the_limit_is_refused() -> None:
    """Row S3: and the largest one is not."""
    codec = MemcachedCodec(max_message_size=1000)
    assert codec.encode(Command(b"set", (b"k", b"0", b"0"), b"x" * 1000))
    with pytest.raises(SendTooLargeError):
        codec.encode(Command(b"set", (b"k", b"0", b"0"), b"x" * 1001))
    with pytest.raises(ValueError, match="max_message_size"):
        MemcachedCodec(max_message_size=2**31)  # The server would not take such a size.


# What must not come


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"HD\r\n",
        b"STORED \r\n",
        b"stored\r\n",
        b"-1\r\n",
        b"STORED\n\r\n",
        b"ERRORS\r\n",
        b"VALUE k 0\r\n",
        b"VALUE k 0 -1\r\n",
        b"VALUE k 0 x\r\n",
        b"VALUE k 0 1 2 3\r\n",
        b"VALUE " + b"k" * 251 + b" 0 1\r\n",
        b"VALUE k 0 1\r\nab\r\n",
        b"VALUE k 0 1\r\na\n\r",
        b"VALUE k 0 1\r\na\r\nSTORED\r\n",
        b"STAT a b\r\n7\r\n",
    ],
)
def test_what_is_no_reply_ends_the_connection(data: bytes) -> None:
    """Row S3: and what came before it is there."""
    coder, buffer = MemcachedCodec().start(Side.CLIENT, None), ReceiveBuffer(b"OK\r\n" + data)
    replies = iter(coder.decode(buffer))
    assert next(replies) == b"OK"
    with pytest.raises(RemoteProtocolError):
        next(replies)


@pytest.mark.parametrize(
    "data",
    [b"STORE", b"STORED\r", b"VALUE k 0 1\r\n", b"VALUE k 0 1\r\na\r\n", b"STAT a b\r\n", b"\r"],
)
def test_an_end_within_a_reply(data: bytes) -> None:
    """Row S4."""
    with pytest.raises(IncompleteFrameError):
        decode(b"OK\r\n" + data)


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 3000,
        b"VERSION " + b"x" * 3000 + b"\r\n",
        b"VALUE k 0 1001\r\n",
        b"VALUE k 0 500\r\n" + b"x" * 500 + b"\r\nVALUE k 0 480\r\n",
        b"STAT name value\r\n" * 100,
    ],
)
def test_a_reply_above_the_limit(data: bytes) -> None:
    """Row S3: known before its bytes have come."""
    with pytest.raises(ReceiveTooLargeError):
        decode(data, MemcachedCodec(max_message_size=1000))


def test_the_limit_is_for_each_reply() -> None:
    """Row S3."""
    (one,) = [encode_part(Value(b"k", b"x" * 900, 0)) + b"END\r\n"]
    assert len(decode(one * 10, MemcachedCodec(max_message_size=1000))) == 10


def test_an_error_takes_the_place_of_what_was_begun() -> None:
    """The server may run out of memory among the values."""
    replies = decode(
        b"VALUE k 0 1\r\na\r\nSERVER_ERROR out of memory\r\nVALUE k 0 1\r\nb\r\nEND\r\n"
    )
    assert same(MemcachedError("SERVER_ERROR out of memory"), replies[0])
    assert replies[1:] == [(Value(b"k", b"b", 0),)]
