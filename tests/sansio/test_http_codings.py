"""Content codings undone."""

from __future__ import annotations

import gzip
import importlib
import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from snowtrio.http._codings import ACCEPT_ENCODING, PIECE, choose_decoder
from snowtrio.http._errors import ContentCodingError, ResponseTooLargeError


def deflate_raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def compress_brotli(data: bytes) -> bytes:
    module: Any = importlib.import_module("brotli")
    compressed: bytes = module.compress(data)
    return compressed


def compress_zstd(data: bytes) -> bytes:
    try:
        module: Any = importlib.import_module("compression.zstd")
    except ImportError:
        module = importlib.import_module("backports.zstd")
    compressed: bytes = module.compress(data)
    return compressed


def needing(coding: str) -> pytest.MarkDecorator:
    missing = coding not in ACCEPT_ENCODING.split(", ")
    return pytest.mark.skipif(missing, reason=f"no library for {coding} is installed")


CODINGS: list[Any] = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("X-GZip", gzip.compress, id="x-gzip"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("deflate", deflate_raw, id="raw deflate"),
    pytest.param("br", compress_brotli, id="br", marks=needing("br")),
    pytest.param("zstd", compress_zstd, id="zstd", marks=needing("zstd")),
]
Compress = Callable[[bytes], bytes]

NOISE = random.Random(4).randbytes(70_000)
BODIES = [b"", b"a", b"hello " * 1000, bytes(3 * PIECE), NOISE]


def undo(coding: str, wire: bytes, size: int = 1 << 30, max_size: int | None = None) -> bytes:
    decoder = choose_decoder(coding, max_size)
    assert decoder is not None
    pieces: list[bytes] = []
    for start in range(0, len(wire), size):
        pieces.extend(decoder.decode(wire[start : start + size]))
    decoder.end()
    assert all(pieces) or "," in coding
    assert decoder.size == sum(map(len, pieces))
    return b"".join(pieces)


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(len(body)))
@pytest.mark.parametrize("size", [1, 1000, 1 << 30])
def test_bodies_come_out_as_they_went_in(
    coding: str, compress: Compress, body: bytes, size: int
) -> None:
    """Z10: whole and byte by byte."""
    assert undo(coding, compress(body), size) == body


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_every_cut_is_noticed(coding: str, compress: Compress) -> None:
    """Z10: but for the empty body, which servers send with the field as well."""
    wire = compress(b"hello, hello")
    for end in range(1, len(wire)):
        with pytest.raises(ContentCodingError, match="cut short"):
            undo(coding, wire[:end])
    assert undo(coding, b"") == b""


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
@pytest.mark.parametrize("size", [1, 1 << 30])
def test_what_stands_behind_the_end_is_refused(coding: str, compress: Compress, size: int) -> None:
    """Z10."""
    for trailing in (b"\0", b"x", b"trailing data"):
        # What may be the beginning of one more gzip member or zstd frame is one that is cut short.
        with pytest.raises(ContentCodingError):
            undo(coding, compress(b"hello") + trailing, size)


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_what_is_in_another_coding_is_refused(coding: str, compress: Compress) -> None:
    """Z10: plain text, and a flipped bit in what is checked."""
    with pytest.raises(ContentCodingError):
        undo(coding, b"<!doctype html><p>not compressed at all" * 100)


@pytest.mark.parametrize("place", range(10, 30))
def test_a_flipped_bit_in_gzip_is_noticed(place: int) -> None:
    """Z10: by its checksum at the latest."""
    wire = bytearray(gzip.compress(b"hello, hello, hi", mtime=0))
    wire[place] ^= 4
    with pytest.raises(ContentCodingError):
        undo("gzip", bytes(wire))


@pytest.mark.parametrize("size", [1, 7, 1 << 30])
def test_a_gzip_body_may_have_several_members(size: int) -> None:
    """Z10: RFC 1952 has them, and BGZF files are made of them."""
    wire = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    assert undo("gzip", wire, size) == b"one two"


@needing("zstd")
@pytest.mark.parametrize("size", [1, 1 << 30])
def test_a_zstd_body_may_have_several_frames(size: int) -> None:
    """Z10."""
    assert undo("zstd", compress_zstd(b"one ") + compress_zstd(b"two"), size) == b"one two"


def test_a_thousand_tiny_members() -> None:
    """Z10: nothing is looked at again and again."""
    assert undo("gzip", gzip.compress(b"") * 5000) == b""


@pytest.mark.parametrize(
    ("field", "wire"),
    [
        ("deflate, gzip", gzip.compress(zlib.compress(b"hello"), mtime=0)),
        ("gzip, deflate", zlib.compress(gzip.compress(b"hello", mtime=0))),
        (" GZIP ,identity, x-gzip", gzip.compress(gzip.compress(b"hello", mtime=0), mtime=0)),
        ("identity,, gzip", gzip.compress(b"hello", mtime=0)),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 30])
def test_codings_are_undone_from_the_last(field: str, wire: bytes, size: int) -> None:
    """Z10."""
    assert undo(field, wire, size) == b"hello"
    with pytest.raises(ContentCodingError):
        undo(field, wire[:-1], size)


@pytest.mark.parametrize("field", ["", "identity", " Identity ", ",", "identity, identity"])
def test_nothing_to_undo(field: str) -> None:
    """Z10."""
    assert choose_decoder(field) is None


@pytest.mark.parametrize("field", ["compress", "gzip;q=1", "aes128gcm", "gzip, x", "gzip gzip"])
def test_unknown_codings_are_errors(field: str) -> None:
    """Z10: a program must not take for text what is none."""
    with pytest.raises(ContentCodingError, match="not known"):
        choose_decoder(field)


def test_nobody_codes_five_times() -> None:
    """Z10."""
    assert choose_decoder(", ".join(["gzip"] * 4)) is not None
    with pytest.raises(ContentCodingError, match="5 times"):
        choose_decoder(", ".join(["gzip"] * 5))


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_bound_is_kept_to_the_byte(coding: str, compress: Compress) -> None:
    """Z10."""
    wire = compress(b"x" * 100)
    assert undo(coding, wire, max_size=100) == b"x" * 100
    with pytest.raises(ResponseTooLargeError) as caught:
        undo(coding, wire, max_size=99)
    assert (caught.value.size, caught.value.limit) == (100, 99)


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_bomb_costs_no_more_than_its_bound(coding: str, compress: Compress) -> None:
    """Z10: 32 MiB out of 32 KiB or less."""
    bomb = compress(bytes(32 << 20))
    decoder = choose_decoder(coding, 1 << 20)
    assert decoder is not None
    tracemalloc.start()
    try:
        given = 0
        with pytest.raises(ResponseTooLargeError):  # noqa: PT012
            for piece in decoder.decode(bomb):
                given += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert given <= 1 << 20
    assert peak < 8 * PIECE
    assert decoder.size <= (1 << 20) + 2 * PIECE


def test_a_bomb_in_a_bomb() -> None:
    """Z10: each layer makes a piece at a time."""
    bomb = gzip.compress(gzip.compress(bytes(16 << 20)))
    with pytest.raises(ResponseTooLargeError):
        undo("gzip, gzip", bomb, max_size=1 << 20)


def test_pieces_come_one_at_a_time() -> None:
    """Z10: nothing is decoded that nobody has asked for."""
    decoder = choose_decoder("gzip")
    assert decoder is not None
    pieces = decoder.decode(gzip.compress(bytes(100 * PIECE)))
    assert next(pieces) == bytes(PIECE)
    assert decoder.size == PIECE
    assert b"".join(pieces) == bytes(99 * PIECE)


def test_what_can_be_undone_is_announced() -> None:
    """Z10: all of it, and nothing else."""
    names = ACCEPT_ENCODING.split(", ")
    assert names[:2] == ["gzip", "deflate"]
    for name in names:
        assert choose_decoder(name) is not None
    for name in ("br", "zstd"):
        if name not in names:
            with pytest.raises(ContentCodingError):
                choose_decoder(name)
