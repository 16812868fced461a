"""Lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snowtrio import (
    IncompleteFrameError,
    LineCodec,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    SendTooLargeError,
    Side,
    SkippedMessageError,
)
from snowtrio.testing import check_codec, decode_chunks


def decode(codec: LineCodec, *chunks: bytes) -> list[bytes | None]:
    """Return the lines of chunks; None stands where one was thrown away."""
    found: list[bytes | None] = []
    coder, buffer = codec.start(Side.SERVER, None), ReceiveBuffer()
    for chunk in chunks:
        buffer.append(chunk)
        while True:
            try:
                found.extend(coder.decode(buffer))
                break
            except SkippedMessageError:
                found.append(None)
    found.extend(coder.decode_eof(buffer))
    return found


def test_two_lines_in_one_read_are_both_decoded_at_once() -> None:
    """S1."""
    buffer = ReceiveBuffer(b"one\ntwo\n")
    assert list(LineCodec().decode(buffer)) == [b"one", b"two"]
    assert not buffer


@pytest.mark.parametrize(
    ("newline", "stream", "lines"),
    [
        ("either", b"a\nb\r\n\n\r\nc\n", [b"a", b"b", b"", b"", b"c"]),
        ("either", b"a\rb\r\r\n\rc\n\r\r\r\n", [b"a\rb", b"\rc", b""]),
        ("lf", b"a\nb\r\n\nc\n", [b"a", b"b\r", b"", b"c"]),
        ("crlf", b"a\r\nb\n\r\n\r\r\n\r\n", [b"a", b"b\n", b"\r", b""]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_what_a_newline_is(newline: Any, stream: bytes, lines: list[bytes], size: int) -> None:
    """S1, Z2: the same for every size of reads."""
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert decode_chunks(LineCodec(newline), chunks) == lines


@pytest.mark.parametrize(
    ("codec", "wire"),
    [
        (LineCodec(), b"hello\n\na\rb\n"),
        (LineCodec("either", send_newline="lf"), b"hello\n\na\rb\n"),
        (LineCodec("either", send_newline="crlf"), b"hello\r\n\r\na\rb\r\n"),
        (LineCodec("lf"), b"hello\n\na\rb\n"),
        (LineCodec("crlf"), b"hello\r\n\r\na\rb\r\n"),
    ],
)
def test_a_newline_is_put_behind_each_line(codec: LineCodec, wire: bytes) -> None:
    """S1."""
    check_codec(codec, [b"hello", b"", b"a\rb"], wire=wire)


@pytest.mark.parametrize(
    ("codec", "refused"),
    [
        (LineCodec(), [b"a\nb", b"\n", b"a\r\nb", b"a\r", b"\r", b"a\r\n"]),
        (LineCodec(send_newline="crlf"), [b"a\nb", b"\n", b"a\r\n", b"a\n\r"]),
        (LineCodec("lf"), [b"a\nb", b"\n", b"a\r\n"]),
        (LineCodec("crlf"), [b"a\r\nb", b"\r\n", b"a\r\n\r\n"]),
        (LineCodec(resync=True), [b"a\nb", b"a\r"]),
    ],
)
def test_a_line_that_would_come_back_otherwise_is_refused(
    codec: LineCodec, refused: list[bytes]
) -> None:
    """S6: its author gets the error, and the lines after it are as they should be."""
    check_codec(codec, [b"before", b"after"], refused=refused)


def test_a_bare_cr_at_the_end_is_refused_only_where_it_would_be_lost() -> None:
    """S6."""
    with pytest.raises(LocalProtocolError, match="ends with a CR"):
        LineCodec().encode(b"progress 10%\r")
    for codec in (LineCodec("lf"), LineCodec("crlf"), LineCodec(send_newline="crlf")):
        check_codec(codec, [b"progress 10%\r", b"\r", b"\r\r"])


@given(st.lists(st.sampled_from([b"\r", b"\n", b"x"]), max_size=12).map(b"".join))
def test_whatever_is_received_can_be_sent(stream: bytes) -> None:
    """S6: a stranger's line never makes an echo fail."""
    codec = LineCodec()
    lines = list(codec.decode(ReceiveBuffer(stream)))
    assert b"".join([codec.encode(line) for line in lines]).split(b"\n")[:-1] == lines


def test_a_bare_lf_is_data_for_a_strict_peer() -> None:
    """S6."""
    check_codec(LineCodec("crlf"), [b"a\nb", b"\n", b"\n\r"])


def test_newlines_can_be_kept() -> None:
    """S1, Z2: as they came, and as they are given."""
    wire = b"a\r\n\nb\n\r\n"
    kept = [b"a\r\n", b"\n", b"b\n", b"\r\n"]
    check_codec(LineCodec(keep_newline=True), kept, wire=wire)
    assert decode(LineCodec("lf", keep_newline=True), wire) == kept
    assert decode(LineCodec("crlf", keep_newline=True), wire) == [b"a\r\n", b"\nb\n\r\n"]


@pytest.mark.parametrize("message", [b"", b"a", b"a\r", b"a\nb", b"a\n\n", b"a\nb\n"])
def test_where_newlines_are_kept_a_line_must_have_one_at_its_end(message: bytes) -> None:
    """S6."""
    check_codec(LineCodec(keep_newline=True), [b"before\n", b"after\n"], refused=[message])


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("newline", ["either", "lf", "crlf"])
def test_the_limit_does_not_count_the_newline(newline: Any, keep: bool) -> None:
    """S3: a line as long as the limit passes, one byte more does not, in both directions."""
    codec = LineCodec(newline, keep_newline=keep, max_message_size=5)
    end = b"\n" if newline == "lf" else b"\r\n"
    kept = end if keep else b""
    check_codec(
        codec,
        [b"12345" + kept, b"" + kept],
        too_large=b"123456" + end,
        refused=[b"123456" + kept],
    )
    with pytest.raises(SendTooLargeError) as caught:
        codec.encode(b"123456" + kept)
    assert (caught.value.size, caught.value.limit) == (6, 5)


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    """S3: within the cap and one read."""
    codec, buffer = LineCodec(max_message_size=10_000), ReceiveBuffer()
    with pytest.raises(ReceiveTooLargeError):  # noqa: PT012 - which read raises is the question
        while True:
            buffer.append(b"x" * 4096)
            assert len(buffer) <= 10_000 + 4096
            assert not list(codec.decode(buffer))
    assert len(buffer) == 12_288


def test_long_reads_of_short_lines_are_no_long_lines() -> None:
    """S3, S12: the limit is for each line."""
    lines = [b"x" * (size % 11) for size in range(1000)]
    codec = LineCodec(max_message_size=10)
    assert decode(codec, b"".join(map(codec.encode, lines))) == lines


def test_a_line_too_long_is_reported_once_and_the_next_is_decoded() -> None:
    """S3."""
    codec = LineCodec(max_message_size=5, resync=True)
    assert decode(codec, b"a\n123456\nb\n") == [b"a", None, b"b"]
    assert decode(codec, b"a\n1234567", b"89" * 100, b"\nb\n") == [b"a", None, b"b"]
    assert decode(codec, b"1234567\n1234567\r\n12345\r\n") == [None, None, b"12345"]


def test_the_report_of_a_skipped_line_has_the_limit() -> None:
    """S3."""
    coder = LineCodec(max_message_size=5, resync=True).start(Side.SERVER, None)
    with pytest.raises(SkippedMessageError, match="5 bytes") as caught:
        list(coder.decode(ReceiveBuffer(b"123456\n")))
    assert isinstance(caught.value.__cause__, ReceiveTooLargeError)


@pytest.mark.parametrize("newline", ["either", "lf", "crlf"])
def test_what_is_skipped_is_thrown_away_as_it_comes(newline: Any) -> None:
    """S3: memory stays within the cap and one read."""
    coder = LineCodec(newline, max_message_size=1000, resync=True).start(Side.SERVER, None)
    buffer, skipped = ReceiveBuffer(), 0
    for _ in range(1000):
        buffer.append(b"x" * 512)
        assert len(buffer) <= 1000 + 512
        try:
            assert not list(coder.decode(buffer))
        except SkippedMessageError:
            skipped += 1
            assert len(buffer) <= 1
    assert skipped == 1
    buffer.append(b"\r\nnext\r\n")
    assert [line.rstrip() for line in coder.decode(buffer)] == [b"next"]


def test_a_crlf_cut_in_two_ends_what_is_skipped() -> None:
    """S3."""
    codec = LineCodec("crlf", max_message_size=5, resync=True)
    assert decode(codec, b"123456789\r", b"\nb\r\n") == [None, b"b"]
    assert decode(codec, b"123456789\r", b"x\r\nb\r\n") == [None, b"b"]


def test_each_connection_skips_by_itself() -> None:
    """S3."""
    codec = LineCodec(max_message_size=5, resync=True)
    one, other = codec.start(Side.SERVER, None), codec.start(Side.SERVER, None)
    assert one is not other
    with pytest.raises(SkippedMessageError):
        list(one.decode(ReceiveBuffer(b"123456789")))
    assert list(other.decode(ReceiveBuffer(b"a\n"))) == [b"a"]
    assert "resync=True" in repr(one)


def test_without_state_the_codec_is_its_own_coder() -> None:
    codec = LineCodec()
    assert codec.start(Side.SERVER, None) is codec


@settings(max_examples=100)
@given(
    st.lists(st.text("a\r", max_size=9).map(str.encode), max_size=6),
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
)
def test_exactly_the_lines_that_are_too_long_are_skipped(
    lines: list[bytes], sizes: list[int]
) -> None:
    """S3: wherever the reads end."""
    stream = b"".join([line + b"\n" for line in lines])
    chunks: list[bytes] = []
    while stream:
        for size in sizes:
            chunks.append(stream[:size])
            stream = stream[size:]
    # One CR is allowed for before the line is judged; those that pass lose all of them.
    expected = [
        line.rstrip(b"\r") if len(line.removesuffix(b"\r")) <= 5 else None for line in lines
    ]
    assert decode(LineCodec(max_message_size=5, resync=True), *chunks) == expected


def test_an_unterminated_line_is_an_error_by_default() -> None:
    """S4, Z2."""
    with pytest.raises(IncompleteFrameError) as caught:
        decode(LineCodec(), b"a\nbc\r")
    assert caught.value.partial == b"bc\r"
    assert decode(LineCodec(), b"a\n") == [b"a"]
    assert decode(LineCodec()) == []


@pytest.mark.parametrize("resync", [False, True])
def test_an_unterminated_line_is_delivered_where_that_is_asked_for(resync: bool) -> None:
    """S4, Z2: and the end between lines is no line."""
    codec = LineCodec(deliver_unterminated=True, resync=resync)
    assert decode(codec, b"a\nbc") == [b"a", b"bc"]
    assert decode(codec, b"a\nbc\r") == [b"a", b"bc\r"]
    assert decode(codec, b"a\n") == [b"a"]
    assert decode(codec) == []


def test_an_unterminated_line_must_keep_to_the_limit() -> None:
    """S3: a CR that was no newline counts."""
    codec = LineCodec(deliver_unterminated=True, max_message_size=5)
    assert decode(codec, b"12345") == [b"12345"]
    with pytest.raises(ReceiveTooLargeError):
        decode(codec, b"12345\r")


def test_the_end_of_input_inside_a_skipped_line() -> None:
    """S3, S4: an error, unless the end of input ends a line too."""
    with pytest.raises(IncompleteFrameError):
        decode(LineCodec(max_message_size=5, resync=True), b"123456789")
    with pytest.raises(IncompleteFrameError):
        decode(LineCodec(max_message_size=5, resync=True), b"123")
    codec = LineCodec(max_message_size=5, resync=True, deliver_unterminated=True)
    assert decode(codec, b"123456789", b"123") == [None]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"newline": "cr"}, "newline must be"),
        ({"newline": b"\n"}, "newline must be"),
        ({"send_newline": "cr"}, "send_newline must be"),
        ({"newline": "lf", "send_newline": "crlf"}, "send_newline belongs"),
        ({"keep_newline": True, "send_newline": "crlf"}, "send_newline belongs"),
        ({"max_message_size": 0}, "max_message_size"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LineCodec(**arguments)
