"""Messages without anything around them: of one size, and as they come."""

from __future__ import annotations

import pytest

from snowtrio import (
    FixedSizeCodec,
    IncompleteFrameError,
    LocalProtocolError,
    RawCodec,
    ReceiveBuffer,
    SendTooLargeError,
)
from snowtrio.testing import check_codec, decode_chunks


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_messages_of_one_size(size: int) -> None:
    """S2."""
    messages = [bytes([number]) * size for number in range(4)]
    check_codec(
        FixedSizeCodec(size),
        messages,
        wire=b"".join(messages),
        refused=[b"", bytes(size - 1), bytes(size + 1)],
    )


def test_another_size_is_refused() -> None:
    """S3."""
    codec = FixedSizeCodec(4)
    assert codec.max_message_size == 4
    with pytest.raises(SendTooLargeError):
        codec.encode(b"hello")
    with pytest.raises(LocalProtocolError, match="has 4 bytes, not 3"):
        codec.encode(b"hel")


def test_the_end_of_input_inside_a_message() -> None:
    """S4."""
    with pytest.raises(IncompleteFrameError) as caught:
        decode_chunks(FixedSizeCodec(4), [b"abcdef"])
    assert caught.value.partial == b"ef"


def test_what_one_read_brings_is_one_message() -> None:
    chunks = [b"hello", b"\0", b"world" * 100]
    assert decode_chunks(RawCodec(), chunks) == chunks


def test_bytes_arrive_whole_and_in_order() -> None:
    check_codec(RawCodec(), [b"hello", b"", b"world"], wire=b"helloworld", boundaries=False)
    check_codec(RawCodec(max_message_size=3), [b"hello world"], boundaries=False)


def test_a_read_above_the_limit_is_split() -> None:
    """S3: no message is larger, and each has left the buffer when it is given."""
    buffer = ReceiveBuffer(b"hello world")
    pieces = iter(RawCodec(max_message_size=4).decode(buffer))
    assert next(pieces) == b"hell"
    assert len(buffer) == 7
    assert list(pieces) == [b"o wo", b"rld"]
    assert list(RawCodec(max_message_size=4).decode(ReceiveBuffer(b"abcd"))) == [b"abcd"]


def test_what_is_sent_raw_may_have_any_size() -> None:
    assert RawCodec(max_message_size=4).encode(b"hello world") == b"hello world"


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="size"):
        FixedSizeCodec(0)
    with pytest.raises(ValueError, match="max_message_size"):
        RawCodec(max_message_size=0)
