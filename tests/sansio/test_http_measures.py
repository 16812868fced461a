"""Limits and ends are at the same place whatever a read brings, in large messages too."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snowtrio import ReceiveBuffer, Side
from snowtrio.http import BadMessageError
from snowtrio.http._wire import ServerCodec, ServerCoder

from ..fuzz.http_reading import Limits, cut, read_requests
from .http_request_cases import CHUNKED, GET, LINE

LIMITS = Limits(max_head_size=20_000)

# Bodies that look like their own ends, around the places where they are measured.
patterns = st.sampled_from([b"\r\n", b"\r\n\r\n", b"\r", b"0\r\n\r\n", b"x\r\n\r", b"abcdefg"])
chunks = st.lists(st.tuples(patterns, st.integers(1, 17_000)), min_size=1, max_size=4)
near = st.integers(16_300, 16_500) | st.integers(32_700, 32_800) | st.integers(1, 70_000)


@settings(max_examples=40)
@given(chunks, st.lists(near, min_size=1, max_size=5), st.integers(0, 8))
def test_large_chunks_in_pieces(
    parts: list[tuple[bytes, int]], sizes: list[int], extension: int
) -> None:
    """Z4: a body in chunks ends where it ends, wherever it is cut or measured."""
    bodies = [(pattern * size)[:size] for pattern, size in parts]
    wire = CHUNKED
    for body in bodies:
        wire += b"%x;%b\r\n%b\r\n" % (len(body), b"e" * (extension + 1), body)
    wire += b"0\r\nX: y\r\n\r\n" + GET
    for pieces in ([wire], cut(wire, sizes)):
        reading = read_requests(pieces)
        assert reading.failure is None
        assert [message.body for message in reading.messages] == [b"".join(bodies), b""]
        assert list(reading.messages[0].trailers) == [(b"x", b"y")]


@pytest.mark.parametrize("offset", range(-2, 9))
def test_the_end_of_chunks_where_they_are_measured(offset: int) -> None:
    """Z4: a body that ends around such a place ends there too, cut at every byte around it."""
    size = 16_384 - len(b"4000\r\n\r\n0\r\n\r\n") + offset
    body = b"x" * size
    wire = CHUNKED + b"%04x\r\n%b\r\n0\r\n\r\n" % (size, body)
    around = range(len(wire) - 12, len(wire) + 3)
    wire += GET
    for pieces in ([wire], *([wire[:place], wire[place:]] for place in around)):
        reading = read_requests(pieces)
        assert reading.failure is None
        assert [message.body for message in reading.messages] == [body, b""]


@settings(max_examples=40)
@given(
    st.sampled_from(
        [
            CHUNKED + b"3;" + b"e" * 70_000,
            CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000,
            CHUNKED + b"fff\r\n" + b"x" * 0xFFF + b"\r\n0\r\nX: " + b"y" * 70_000,
            CHUNKED + b"1;eeeeeeeeeeeeeeee\r\nx\r\n" * 20_000,
            LINE + b"X: " + b"y" * 30_000,
            LINE + b"X: " + b" " * 30_000,
            b"GET /" + b"y" * 30_000,
            LINE + b"X: " + b"y" * 19_000 + b"\r\nY\0: " + b"y" * 10_000,
            LINE + b"X: y\r\n" * 5_000,
        ]
    ),
    st.lists(near, min_size=1, max_size=5),
)
def test_limits_in_pieces(wire: bytes, sizes: list[int]) -> None:
    """Z4: what is above a limit is refused, with the same status and after the same bytes."""
    whole = read_requests([wire], limits=LIMITS)
    assert whole.failure in (400, 414, 431)
    assert read_requests(cut(wire, sizes), limits=LIMITS).shape() == whole.shape()


@pytest.mark.parametrize(
    "wire",
    [
        CHUNKED + b"0\r\nX: " + b"y" * 1_000_000,
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 200_000,
        CHUNKED + b"3;" + b"e" * 1_000_000,
        LINE + b"X: " + b"y" * 1_000_000,
        LINE + b"X: y\r\n" * 200_000,
        b"GET /" + b"y" * 1_000_000,
        b"\r\n" * 500_000,
    ],
)
def test_what_never_ends_is_refused_soon(wire: bytes) -> None:
    """Z4: no more is read of it than limits and one measure say."""
    coder, buffer = ServerCodec(LIMITS).start(Side.SERVER, None), ReceiveBuffer()
    most = LIMITS.max_head_size + 3 * 16_384 + 1000
    with pytest.raises(BadMessageError):
        feed(coder, buffer, wire[:most])


def feed(coder: ServerCoder, buffer: ReceiveBuffer, wire: bytes) -> None:
    for piece in cut(wire, [1000]):
        buffer.append(piece)
        list(coder.decode(buffer))


def test_a_large_read_of_tiny_requests() -> None:
    """Z4: what is decoded and waits stays within some hundreds of heads."""
    coder = ServerCodec(LIMITS).start(Side.SERVER, None)
    buffer = ReceiveBuffer(GET * 40_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in coder.decode(buffer)) == 40_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024 + 2 * len(GET) * 40_000


def test_behind_the_last_request_nothing_is_kept() -> None:
    """Z5: what a client sends behind the request that it called its last is thrown away."""
    coder = ServerCodec(LIMITS).start(Side.SERVER, None)
    buffer = ReceiveBuffer(LINE + b"Host: a\r\nConnection: close\r\n\r\n" + b"\0" * 100_000)
    assert len(list(coder.decode(buffer))) == 1
    for _ in range(3):
        buffer.append(GET)
        assert list(coder.decode(buffer)) == []
        assert not buffer
    assert list(coder.decode_eof(buffer)) == []
