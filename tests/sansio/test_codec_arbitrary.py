"""Every codec, with arbitrary messages in arbitrary pieces."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any, assert_type

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snowtrio.codecs
from snowtrio import (
    Codec,
    DelimiterCodec,
    FixedSizeCodec,
    JSONLinesCodec,
    LengthPrefixCodec,
    LineCodec,
    NetstringCodec,
    RawCodec,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    Side,
    SkippedMessageError,
)
from snowtrio.testing import check_codec, decode_chunks

# Few bytes, so that whatever a codec looks for is frequent.
anything = st.text("a-\r\n,:0\x00\xff", max_size=20).map(lambda text: text.encode("latin-1"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("aé\n", max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def without(delimiter: bytes) -> st.SearchStrategy[bytes]:
    """Return messages before which the delimiter is first found where it was put."""
    return anything.filter(lambda message: (message + delimiter).find(delimiter) == len(message))


lines = without(b"\n")
CODECS: list[tuple[Codec[Any, Any], st.SearchStrategy[Any]]] = [
    (LineCodec(), lines.filter(lambda line: not line.endswith(b"\r"))),
    (LineCodec(send_newline="crlf"), lines),
    (LineCodec(keep_newline=True), lines.map(lambda line: line + b"\n")),
    (LineCodec(keep_newline=True), lines.map(lambda line: line + b"\r\n")),
    (LineCodec("lf", max_message_size=20), lines),
    (LineCodec("lf", keep_newline=True), lines.map(lambda line: line + b"\n")),
    (LineCodec("crlf"), without(b"\r\n")),
    (LineCodec("crlf", max_message_size=20, resync=True), without(b"\r\n")),
    (LineCodec("lf", deliver_unterminated=True), lines),
    (DelimiterCodec(b"\0"), without(b"\0")),
    (DelimiterCodec(b"\r\n-"), without(b"\r\n-")),
    (DelimiterCodec(b"--", max_message_size=20), without(b"--")),
    (DelimiterCodec(b"a-a", resync=True), without(b"a-a")),
    (DelimiterCodec(b"--", keep_delimiter=True), without(b"--").map(lambda m: m + b"--")),
    (LengthPrefixCodec(1), anything),
    (LengthPrefixCodec(2, "little"), anything),
    (LengthPrefixCodec(3, includes_header=True), anything),
    (LengthPrefixCodec(4, max_message_size=20), anything),
    (LengthPrefixCodec(8, "little", includes_header=True), anything),
    (LengthPrefixCodec(2, offset=3), anything.map(b"abc".__add__)),
    (LengthPrefixCodec(2, offset=1, adjustment=2), anything.map(b"abc".__add__)),
    (
        LengthPrefixCodec(2, offset=1, adjustment=-1, includes_header=True),
        anything.map(b"a".__add__),
    ),
    (NetstringCodec(), anything),
    (NetstringCodec(max_message_size=20), anything),
    (FixedSizeCodec(1), st.binary(min_size=1, max_size=1)),
    (FixedSizeCodec(7), st.binary(min_size=7, max_size=7)),
    (JSONLinesCodec(), json_values),
    (JSONLinesCodec(deliver_unterminated=True), json_values),
]
TABLE = [pytest.param(*row, id=repr(row[0])) for row in CODECS]


def cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut a stream into pieces of these sizes, again and again."""
    while stream:
        for size in sizes:
            if stream:
                yield stream[:size]
            stream = stream[size:]


sizes = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@pytest.mark.parametrize(("codec", "strategy"), TABLE)
def test_messages_come_out_as_they_went_in(
    codec: Codec[Any, Any], strategy: st.SearchStrategy[Any]
) -> None:
    """S1, S2, S12, S25: whatever the messages are and however they are cut."""

    @settings(max_examples=20)
    @given(st.lists(strategy, max_size=8), sizes)
    def check(messages: list[Any], sizes: list[int]) -> None:
        coder = codec.start(Side.CLIENT, None)
        stream = b"".join([coder.encode(message) for message in messages])
        assert decode_chunks(codec, cut(stream, sizes)) == messages

    check()


@pytest.mark.parametrize(("codec", "strategy"), TABLE)
def test_the_contract_is_kept(codec: Codec[Any, Any], strategy: st.SearchStrategy[Any]) -> None:
    """S1, S2, S4: whole, byte by byte, cut everywhere, and ended everywhere."""

    @settings(max_examples=5)
    @given(st.lists(strategy, min_size=1, max_size=3))
    def check(messages: list[Any]) -> None:
        check_codec(codec, messages)

    check()


@pytest.mark.parametrize("codec", [codec for codec, _ in CODECS] + [RawCodec()], ids=repr)
def test_arbitrary_bytes_do_the_same_however_they_are_cut(codec: Codec[Any, Any]) -> None:
    """S1, S2, S3: a peer gains nothing from where it cuts its bytes, and makes no other error."""

    def outcome(pieces: Iterator[bytes]) -> tuple[list[Any], int, str]:
        skipped: list[SkippedMessageError] = []
        messages: list[Any] = []
        buffer, coder = ReceiveBuffer(), codec.start(Side.SERVER, None)
        error = ""
        try:
            for piece in pieces:
                buffer.append(piece)
                take_all(coder, buffer, messages, skipped)
            messages.extend(coder.decode_eof(buffer))
        except RemoteProtocolError as raised:
            error = type(raised).__name__
        if isinstance(codec, RawCodec):
            messages = [b"".join(messages)]
        return messages, len(skipped), error

    @settings(max_examples=20)
    @given(st.lists(anything, max_size=8).map(b"".join), sizes)
    def check(stream: bytes, sizes: list[int]) -> None:
        assert outcome(cut(stream, sizes)) == outcome(cut(stream, [1000]))

    check()


def take_all(
    coder: Codec[Any, Any],
    buffer: ReceiveBuffer,
    messages: list[Any],
    skipped: list[SkippedMessageError],
) -> None:
    """Decode what is there, in the way in which a connection does."""
    while True:
        try:
            messages.extend(coder.decode(buffer))
        except SkippedMessageError as error:
            skipped.append(error)
        else:
            return


class CountingBuffer(ReceiveBuffer):
    """Counts what it is asked to do."""

    asked: int

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "asked":
            self.asked += 1
        return super().__getattribute__(name)


def count_calls(codec: Codec[Any, Any], messages: list[Any]) -> int:
    """Return how often the buffer is used for messages that come in one read."""
    buffer = CountingBuffer(b"".join([codec.encode(message) for message in messages]))
    buffer.asked = 0
    assert list(codec.start(Side.SERVER, None).decode(buffer)) == messages
    return buffer.asked


@pytest.mark.parametrize(
    "codec",
    [
        LineCodec(),
        LineCodec("crlf"),
        LineCodec(resync=True),
        LineCodec("lf", max_message_size=1024),
        DelimiterCodec(b"\0\1"),
        LengthPrefixCodec(),
        LengthPrefixCodec(2, offset=2),
        NetstringCodec(),
        FixedSizeCodec(8),
    ],
    ids=repr,
)
def test_the_frames_of_one_read_are_decoded_in_one_step(codec: Codec[Any, Any]) -> None:
    """S12: the work on the buffer does not grow with the number of frames."""
    assert count_calls(codec, [b"messages"] * 64) == count_calls(codec, [b"messages"])


@pytest.mark.parametrize("codec", [codec for codec, _ in CODECS] + [RawCodec()], ids=repr)
def test_a_codec_can_be_compared_copied_and_pickled(codec: Codec[Any, Any]) -> None:
    assert repr(codec).startswith(type(codec).__name__)
    for other in (copy.copy(codec), pickle.loads(pickle.dumps(codec))):
        assert other == codec
        assert hash(other) == hash(codec)
        assert repr(other) == repr(codec)


def test_a_codec_cannot_be_changed() -> None:
    for codec in (codec for codec, _ in CODECS):
        with pytest.raises(AttributeError):
            codec.max_message_size = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "codec",
    [
        LineCodec(),
        LineCodec(resync=True),
        DelimiterCodec(b"-"),
        LengthPrefixCodec(),
        NetstringCodec(),
        FixedSizeCodec(3),
        RawCodec(),
    ],
    ids=repr,
)
def test_whatever_is_like_bytes_can_be_sent(codec: Codec[Any, Any]) -> None:
    """S25."""
    coder = codec.start(Side.CLIENT, None)
    frame = coder.encode(b"abc")
    alike: list[Any] = [bytearray(b"abc"), memoryview(b"abc"), memoryview(b"aXbXc")[::2]]
    for message in alike:
        encoded = coder.encode(message)
        assert encoded == frame
        assert type(encoded) is bytes
    unlike: list[Any] = ["abc", 3, [97, 98, 99]]
    for message in unlike:
        with pytest.raises(TypeError):
            coder.encode(message)


def test_types_of_messages_are_known() -> None:
    """S25: checked by the type checkers."""
    assert_type(decode_chunks(LineCodec(), [b"a\n"]), list[bytes])
    values: Codec[dict[str, int], list[int]] = JSONLinesCodec()
    assert_type(decode_chunks(values, [b"[1]\n"]), list[list[int]])


@pytest.mark.parametrize("name", snowtrio.codecs.__all__)
def test_a_codec_says_that_it_comes_from_the_package(name: str) -> None:
    assert getattr(snowtrio.codecs, name).__module__ == "snowtrio.codecs"


@pytest.mark.parametrize(
    ("codec", "stream"),
    [
        (LineCodec(max_message_size=3), b"a\nbb\nabcd\nc\n"),
        (LineCodec(max_message_size=3), b"a\nbb\nabcde"),
        (DelimiterCodec(b"--", max_message_size=3), b"a--bb--abcd--"),
        (LengthPrefixCodec(1, max_message_size=3), b"\1a\2bb\4"),
        (NetstringCodec(max_message_size=3), b"1:a,2:bb,4:"),
        (JSONLinesCodec(loads=bytes, max_message_size=3), b"a\nbb\nabcd\n"),
    ],
)
def test_what_came_before_an_error_is_delivered(codec: Codec[Any, Any], stream: bytes) -> None:
    """S3."""
    messages: list[bytes] = []
    with pytest.raises(ReceiveTooLargeError) as caught:
        messages.extend(codec.decode(ReceiveBuffer(stream)))
    assert messages == [b"a", b"bb"]
    assert caught.value.limit == 3
    assert caught.value.size >= 4
