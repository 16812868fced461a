"""Delimiters of one and of more bytes."""

from __future__ import annotations

import pytest

from snowtrio import (
    DelimiterCodec,
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    Side,
    SkippedMessageError,
)
from snowtrio.testing import check_codec, decode_chunks


@pytest.mark.parametrize("delimiter", [b"\0", b"\r\n", b"END", b"--", b"aba", b"\n\n", b"aab"])
def test_any_delimiter_ends_a_message(delimiter: bytes) -> None:
    """S1: split at every byte."""
    messages = [b"hello", b"", b"\r", b"E", b"b", delimiter[1:], b"world"]
    messages = [m for m in messages if (m + delimiter).find(delimiter) == len(m)]
    check_codec(
        DelimiterCodec(delimiter, max_message_size=5),
        messages,
        wire=b"".join([message + delimiter for message in messages]),
        too_large=b"123456" + delimiter,
        refused=[delimiter, b"x" + delimiter + b"y", b"123456"],
    )


def test_a_delimiter_that_begins_in_the_message_is_refused() -> None:
    """S6: the message has no delimiter, but would end one byte early."""
    assert decode_chunks(DelimiterCodec(b"--"), [b"a---"], eof=False) == [b"a"]
    with pytest.raises(LocalProtocolError, match="early"):
        DelimiterCodec(b"--").encode(b"a-")
    check_codec(DelimiterCodec(b"aba"), [b"b", b"a"], refused=[b"ab", b"xab"])


def test_delimiters_are_found_from_the_left_however_they_come() -> None:
    """S1: also those that overlap themselves."""
    stream = b"x-----y--"
    expected = [b"x", b"", b"-y"]
    assert decode_chunks(DelimiterCodec(b"--"), [stream]) == expected
    assert decode_chunks(DelimiterCodec(b"--"), [stream[i : i + 1] for i in range(9)]) == expected


def test_delimiters_can_be_kept() -> None:
    """S1."""
    codec = DelimiterCodec(b"--", keep_delimiter=True, max_message_size=2)
    check_codec(codec, [b"ab--", b"--"], refused=[b"", b"a", b"ab-", b"a--b--", b"abc--"])


def test_the_rest_is_delivered_at_the_end_where_that_is_asked_for() -> None:
    """S4."""
    assert decode_chunks(DelimiterCodec(b"--", deliver_unterminated=True), [b"a--b-"]) == [
        b"a",
        b"b-",
    ]
    with pytest.raises(IncompleteFrameError):
        decode_chunks(DelimiterCodec(b"--"), [b"a--b-"])


@pytest.mark.parametrize("delimiter", [b"\0", b"END", b"--"])
def test_what_is_too_large_can_be_skipped(delimiter: bytes) -> None:
    """S3: with the delimiter cut anywhere."""
    codec = DelimiterCodec(delimiter, max_message_size=4, resync=True)
    stream = b"a" + delimiter + b"12345" + delimiter + b"b" + delimiter
    for cut in range(len(stream) + 1):
        skipped: list[SkippedMessageError] = []
        chunks = [stream[:cut], stream[cut:]]
        assert decode_chunks(codec, chunks, on_skip=skipped.append) == [b"a", b"b"]
        assert len(skipped) == 1


def test_a_description_that_was_not_started_does_not_skip() -> None:
    """S3: without a coder of its own, a connection ends."""
    codec = DelimiterCodec(b"-", max_message_size=4, resync=True)
    coder = codec.start(Side.CLIENT, None)
    assert coder.encode(b"a") == codec.encode(b"a")
    assert list(coder.decode(ReceiveBuffer(b"a-b-"))) == list(codec.decode(ReceiveBuffer(b"a-b-")))


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        DelimiterCodec(b"")
    with pytest.raises(ValueError, match="max_message_size"):
        DelimiterCodec(b"-", max_message_size=0)
