"""Compressed messages, as others may make them."""

from __future__ import annotations

import zlib

import pytest

from snowtrio import Side
from snowtrio.websocket import Deflate, WebSocketLimits
from snowtrio.websocket._wire import Piece

from .reading import BINARY, CONTINUATION, PING, TEXT, cuts, frame, read

LARGE = Deflate(window_bits=15, peer_window_bits=15)
HELLO = bytes.fromhex("f248cdc9c90700")


def deflated(data: bytes, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    out = compressor.compress(data) + compressor.flush(flush)
    return out[:-4] if flush == zlib.Z_SYNC_FLUSH else out + b"\0"


@pytest.mark.parametrize(
    "payload",
    [
        HELLO,
        bytes.fromhex("000500faff48656c6c6f00"),  # not compressed
        bytes.fromhex("f348cdc9c9070000"),  # the last block says so
        bytes.fromhex("f348cdc9c90700"),  # and what should follow does not
        bytes.fromhex("f24805000000ffffcac9c90700"),  # two blocks
        deflated(b"Hel", zlib.Z_FINISH)[:-1] + deflated(b"lo"),
        deflated(b"Hel", zlib.Z_FINISH) + b"\0\0\xff\xff" + deflated(b"lo"),
        b"\x03\x00" * 50 + HELLO,
    ],
)
def test_any_stream_of_blocks(payload: bytes) -> None:
    """W22: the examples of RFC 7692, section 7.2.3, in one frame or in many."""
    whole = frame(TEXT, payload, rsv=4)
    split = frame(TEXT, payload[:3], rsv=4, fin=False) + frame(PING)
    split += frame(CONTINUATION, payload[3:5], fin=False) + frame(CONTINUATION, payload[5:])
    for wire in (whole + whole, split + whole, split + frame(TEXT, b"Hello")):
        for chunks in cuts(wire):
            reading = read(chunks, deflate=LARGE)
            assert reading.messages == ["Hello", "Hello"]
            assert reading.error is None


def test_messages_that_look_back_and_that_do_not() -> None:
    """W22: a peer that was told to forget, and looks back all the same, breaks the protocol."""
    second = bytes.fromhex("f200110000")
    wire = frame(TEXT, HELLO, rsv=4) + frame(TEXT, second, rsv=4)
    assert read([wire], deflate=LARGE).messages == ["Hello", "Hello"]
    forgets = Deflate(peer_window_bits=15, peer_context_takeover=False)
    reading = read([wire], deflate=forgets)
    assert (reading.messages, reading.calls) == (["Hello"], [("violation", 1007)])


def test_a_window_that_is_too_small() -> None:
    """W22: a peer that looks back farther than agreed breaks the protocol."""
    data = bytes(range(256)) * 4 + bytes(range(255, -1, -1)) * 20 + bytes(range(256)) * 4
    wire = frame(BINARY, deflated(data), rsv=4)
    limits = WebSocketLimits()
    assert read([wire], limits=limits, deflate=LARGE).messages == [data]
    small = Deflate(peer_window_bits=9)
    parts = [wire[at : at + 1] for at in range(len(wire))]
    assert read(parts, limits=limits, deflate=small).calls == [("violation", 1007)]


@pytest.mark.parametrize("payload", [b"\xff" * 9, b"\x06garbage"])
def test_what_deflate_does_not_make(payload: bytes) -> None:
    """W22: 1007."""
    for chunks in cuts(frame(BINARY, payload, rsv=4)):
        reading = read(chunks, deflate=LARGE)
        assert (reading.messages, reading.calls) == ([], [("violation", 1007)])


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize(
    "payload", [b"", HELLO[:1], HELLO[:3], HELLO[:2] + b"\xff" * 40, b"\0\x64\0\x9b\xffabc"]
)
def test_a_message_that_ends_inside_a_block(payload: bytes, remembers: bool) -> None:
    """W22: 1007, and not half a message whose rest the next one would begin with."""
    deflate = Deflate(peer_window_bits=15, peer_context_takeover=remembers)
    for chunks in cuts(frame(BINARY, payload, rsv=4) + frame(BINARY, HELLO, rsv=4)):
        reading = read(chunks, deflate=deflate)
        assert (reading.messages, reading.calls) == ([], [("violation", 1007)])


def test_compressed_text_is_looked_at_as_it_comes() -> None:
    """W17, W22: decompressed, and before the message is whole."""
    data = deflated(b"a" * 50 + b"\xff" + b"b" * 50, level=0)
    reading = read([frame(TEXT, data, rsv=4, fin=False)], deflate=LARGE)
    assert reading.calls == [("violation", 1007)]


@pytest.mark.parametrize("level", [0, 6])
def test_the_limit_is_on_what_was_compressed(level: int) -> None:
    """W16, W22: 1,000 bytes pass though they are more on the wire, 1,001 do not."""
    for size, calls in ((1000, []), (1001, [("violation", 1009)])):
        for chunks in cuts(frame(BINARY, deflated(b"a" * size, level=level), rsv=4)):
            reading = read(chunks, deflate=LARGE)
            assert reading.calls == calls
            assert len(reading.messages) == 1 - len(calls)


def test_uncompressed_messages_between_compressed_ones() -> None:
    """W22: each message says for itself, control frames go between fragments."""
    wire = frame(TEXT, HELLO, rsv=4) + frame(TEXT, b"plain")
    wire += frame(TEXT, HELLO[:3], rsv=4, fin=False) + frame(PING, b"p")
    wire += frame(CONTINUATION, HELLO[3:]) + frame(BINARY, b"end")
    for chunks in cuts(wire):
        reading = read(chunks, deflate=LARGE)
        assert reading.messages == ["Hello", "plain", "Hello", b"end"]
        assert reading.calls == [("ping", b"p")]


def test_pieces_of_a_compressed_message() -> None:
    """W15, W22: as they come."""
    wire = frame(TEXT, HELLO, rsv=4, side=Side.CLIENT)
    reading = read([wire], Side.CLIENT, deflate=LARGE, pieces=True)
    assert reading.messages == [Piece("Hello", last=False), Piece("", last=True)]
