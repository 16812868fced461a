"""Binary lengths before messages."""

from __future__ import annotations

from typing import Any

import pytest

from snowtrio import (
    IncompleteFrameError,
    LengthPrefixCodec,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
)
from snowtrio.testing import check_codec, decode_chunks


@pytest.mark.parametrize("includes_header", [False, True])
@pytest.mark.parametrize("byteorder", ["big", "little"])
@pytest.mark.parametrize("width", range(1, 9))
def test_every_width_and_byte_order(width: int, byteorder: Any, includes_header: bool) -> None:
    """S2: byte by byte too."""
    number = 5 + width * includes_header
    zeros = bytes(width - 1)
    prefix = zeros + bytes([number]) if byteorder == "big" else bytes([number]) + zeros
    codec = LengthPrefixCodec(width, byteorder, includes_header=includes_header)
    assert codec.encode(b"hello") == prefix + b"hello"
    check_codec(codec, [b"hello", b"", bytes(20), b"\0"])


@pytest.mark.parametrize(
    ("codec", "message", "frame"),
    [
        # Only the body is counted, though bytes stand before the length.
        (LengthPrefixCodec(2, offset=1), b"Thello", b"T\0\5hello"),
        # All is counted: type, length and body.
        (LengthPrefixCodec(2, offset=1, includes_header=True), b"Thello", b"T\0\x08hello"),
        # Two bytes of flags behind the length are not counted.
        (LengthPrefixCodec(2, adjustment=2), b"FFhello", b"\0\5FFhello"),
        # Four bytes more are counted than there are.
        (LengthPrefixCodec(2, adjustment=-4), b"hello", b"\0\x09hello"),
        # PostgreSQL: a type, and a length that counts itself but not the type.
        (LengthPrefixCodec(4, offset=1, adjustment=-4), b"Qhello", b"Q\0\0\0\x09hello"),
        (LengthPrefixCodec(3, "little", offset=2), b"ab", b"ab\0\0\0"),
    ],
)
def test_headers_of_many_kinds(codec: LengthPrefixCodec, message: bytes, frame: bytes) -> None:
    """S2: the message is the frame without its length field."""
    check_codec(codec, [message], wire=frame)
    check_codec(codec, [message, message + b"more", message])


def test_a_message_too_small_for_its_header_is_refused() -> None:
    """S2: and later ones are as they should be."""
    check_codec(LengthPrefixCodec(2, offset=3), [b"abc", b"abcd"], refused=[b"", b"ab"])
    check_codec(
        LengthPrefixCodec(2, offset=1, adjustment=2), [b"abc", b"abcd"], refused=[b"", b"ab"]
    )
    with pytest.raises(LocalProtocolError, match="3 bytes at least, not 2"):
        LengthPrefixCodec(2, offset=3).encode(b"ab")


def test_the_limit_is_for_the_message() -> None:
    """S3: what stands before the length field counts, the length field does not."""
    codec = LengthPrefixCodec(2, offset=2, max_message_size=7)
    check_codec(codec, [b"abhello"], too_large=b"ab\0\6", refused=[b"abhello!"])


@pytest.mark.parametrize(
    ("codec", "largest"),
    [
        (LengthPrefixCodec(1), 255),
        (LengthPrefixCodec(1, includes_header=True), 254),
        (LengthPrefixCodec(1, offset=2), 257),
        (LengthPrefixCodec(1, adjustment=10), 265),
        (LengthPrefixCodec(2), 65535),
    ],
)
def test_what_the_field_cannot_say_is_refused(codec: LengthPrefixCodec, largest: int) -> None:
    """S3."""
    assert decode_chunks(codec, [codec.encode(bytes(largest))]) == [bytes(largest)]
    with pytest.raises(SendTooLargeError) as caught:
        codec.encode(bytes(largest + 1))
    assert (caught.value.size, caught.value.limit) == (largest + 1, largest)


@pytest.mark.parametrize("byteorder", ["big", "little"])
def test_a_monstrous_length_is_refused_from_the_header_alone(byteorder: Any) -> None:
    """S3: nothing of the body is waited for."""
    buffer = ReceiveBuffer((2**63).to_bytes(8, byteorder))
    with pytest.raises(ReceiveTooLargeError) as caught:
        list(LengthPrefixCodec(8, byteorder).decode(buffer))
    assert (caught.value.size, caught.value.limit) == (2**63, 1024 * 1024)


def test_one_byte_above_the_limit_is_refused_from_the_header_alone() -> None:
    """S3."""
    codec = LengthPrefixCodec(2, max_message_size=300)
    check_codec(codec, [bytes(300)], too_large=b"\x01\x2d", refused=[bytes(301)])


@pytest.mark.parametrize(
    ("codec", "stream"),
    [
        (LengthPrefixCodec(2, includes_header=True), b"\0\1"),
        (LengthPrefixCodec(2, offset=2, includes_header=True), b"ab\0\3"),
        (LengthPrefixCodec(1, adjustment=-4), b"\3"),
    ],
)
def test_a_body_of_less_than_nothing_breaks_the_protocol(
    codec: LengthPrefixCodec, stream: bytes
) -> None:
    """S2: what came before it is delivered."""
    messages: list[bytes] = []
    good = codec.encode(b"abhello")
    with pytest.raises(RemoteProtocolError, match="-1 bytes of body"):
        messages.extend(codec.decode(ReceiveBuffer(good + stream)))
    assert messages == [b"abhello"]


def test_the_end_of_input_inside_a_frame_is_not_the_end_between_frames() -> None:
    """S4."""
    codec = LengthPrefixCodec(2)
    assert decode_chunks(codec, [b"\0\1a"]) == [b"a"]
    for partial in (b"\0", b"\0\1", b"\0\2a"):
        with pytest.raises(IncompleteFrameError) as caught:
            decode_chunks(codec, [b"\0\1a" + partial])
        assert caught.value.partial == partial


def test_a_large_message_that_comes_in_small_reads_is_copied_once() -> None:
    """S2: the buffer is not copied for each read."""

    class Copies(ReceiveBuffer):
        copied = 0

        def peek(self, size: int, offset: int = 0) -> bytes:
            found = super().peek(size, offset)
            self.copied += len(found)
            return found

    buffer, codec, message = Copies(), LengthPrefixCodec(), bytes(100_000)
    frame = codec.encode(message)
    found: list[bytes] = []
    for start in range(0, len(frame), 1000):
        buffer.append(frame[start : start + 1000])
        found.extend(codec.decode(buffer))
    assert found == [message]
    assert buffer.copied < len(frame) + 1000


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"width": 0}, "width"),
        ({"width": 9}, "width"),
        ({"byteorder": "network"}, "byteorder"),
        ({"offset": -1}, "offset"),
        ({"max_message_size": 0}, "max_message_size"),
        ({"offset": 10, "max_message_size": 9}, "no message fits"),
        ({"width": 1, "adjustment": -300}, "no message fits"),
        ({"adjustment": 2**30}, "no message fits"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LengthPrefixCodec(**arguments)
