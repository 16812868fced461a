"""Netstrings."""

from __future__ import annotations

import pytest

from snowtrio import (
    IncompleteFrameError,
    NetstringCodec,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
)
from snowtrio.testing import check_codec, decode_chunks


def test_netstrings() -> None:
    """S2."""
    check_codec(
        NetstringCodec(),
        [b"hello world!", b"", b"5:hello,", b"x" * 10, b"x" * 100],
        wire=b"12:hello world!,0:,8:5:hello,,10:" + b"x" * 10 + b",100:" + b"x" * 100 + b",",
    )


@pytest.mark.parametrize(
    "bad",
    [
        b":",
        b"x",
        b" 1:a,",
        b"+1:a,",
        b"-1:",
        b"01:a,",
        b"00:,",
        b"1_0:",
        b"1x",
        "\u0661:a,".encode(),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_a_length_that_is_none_breaks_the_protocol(bad: bytes, size: int) -> None:
    """S2: strictly digits, without zeros before them; what came before is delivered."""
    stream = b"1:a," + bad
    buffer, messages = ReceiveBuffer(), list[bytes]()
    with pytest.raises(RemoteProtocolError, match="not the length"):  # noqa: PT012
        for start in range(0, len(stream), size):
            buffer.append(stream[start : start + size])
            messages.extend(NetstringCodec().decode(buffer))
    assert messages == [b"a"]


def test_what_is_no_length_is_known_from_its_first_byte() -> None:
    """S2: nothing more is waited for."""
    with pytest.raises(RemoteProtocolError):
        list(NetstringCodec().decode(ReceiveBuffer(b"G")))
    with pytest.raises(RemoteProtocolError):
        list(NetstringCodec().decode(ReceiveBuffer(b"00")))


@pytest.mark.parametrize("stream", [b"1:ab", b"1:a;", b"0:;", b"5:hello\n"])
def test_a_netstring_must_end_with_a_comma(stream: bytes) -> None:
    """S2."""
    with pytest.raises(RemoteProtocolError, match="comma"):
        decode_chunks(NetstringCodec(), [stream])


@pytest.mark.parametrize("limit", [1, 9, 10, 99, 1000])
def test_a_message_as_large_as_the_limit_passes(limit: int) -> None:
    """S3: one byte more is refused from the length alone."""
    check_codec(
        NetstringCodec(max_message_size=limit),
        [bytes(limit), b""],
        too_large=b"%d:" % (limit + 1),
        refused=[bytes(limit + 1)],
    )


def test_digits_without_end_are_refused() -> None:
    """S3: after as many as the limit has."""
    with pytest.raises(ReceiveTooLargeError) as caught:
        decode_chunks(NetstringCodec(max_message_size=999), [b"1", b"2", b"3", b"4"], eof=False)
    assert (caught.value.size, caught.value.limit) == (1234, 999)
    with pytest.raises(ReceiveTooLargeError):
        decode_chunks(NetstringCodec(), [b"9" * 100_000])


def test_one_that_is_here_whole_and_too_large_is_refused_too() -> None:
    """S3."""
    with pytest.raises(ReceiveTooLargeError):
        decode_chunks(NetstringCodec(max_message_size=4), [b"1:a,5:hello,"])


@pytest.mark.parametrize("partial", [b"1", b"12", b"2:", b"2:a", b"2:ab"])
def test_the_end_of_input_inside_a_netstring(partial: bytes) -> None:
    """S4."""
    with pytest.raises(IncompleteFrameError) as caught:
        decode_chunks(NetstringCodec(), [b"1:a," + partial])
    assert caught.value.partial == partial


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="max_message_size"):
        NetstringCodec(max_message_size=0)
