"""Parts of a body: which a client asks for, and which are sent (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

# No file's size has more digits, and reading endless numbers is work.
_SPEC = re.compile(r"([0-9]{0,19})-([0-9]{0,19})")


class UnsatisfiableRangeError(Exception):
    """None of the parts is there: 416."""


def read_ranges(value: str, size: int, max_ranges: int) -> list[range] | None:
    """Return the parts that a ``Range`` field asks for, in the order asked for.

    Parameters:
        value: of the field.
        size: bytes of the whole.
        max_ranges: more than so many are not believed.

    Returns:
        The places of each part's bytes, or None where the whole is to be sent: the field has
        another unit, makes no sense, asks for too many parts, or for some bytes twice.

    Raises:
        UnsatisfiableRangeError: all of them begin behind the end.
    """
    unit, equals, listed = value.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    specs = [spec.strip(" \t") for spec in listed.split(",", 4 * max_ranges)]
    specs = [spec for spec in specs if spec]  # A list may have empty elements (section 5.6.1).
    if not 0 < len(specs) <= max_ranges:
        return None
    ranges: list[range] = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None or spec == "-":
            return None
        first, last = match.groups()
        if first and last and int(first) > int(last):
            return None
        ranges.append(_range_of(first, last, size))
    return _worth_it([part for part in ranges if part], size)


def _range_of(first: str, last: str, size: int) -> range:
    if not first:
        return range(max(0, size - int(last)), size)
    if not last:
        return range(int(first), size)
    return range(int(first), min(int(last) + 1, size))


def _worth_it(ranges: list[range], size: int) -> list[range] | None:
    """Refuse parts that overlap: only an attack asks for a byte twice (section 14.2)."""
    if not ranges:
        raise UnsatisfiableRangeError
    in_order = sorted(ranges, key=lambda part: part.start)
    for before, behind in pairwise(in_order):
        if behind.start < before.stop:
            return None
    if len(ranges) == 1 and len(ranges[0]) == size:
        return None
    return ranges


def content_range(part: range, size: int) -> str:
    """Return the value of the ``Content-Range`` of a part."""
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def multipart_heads(
    parts: Sequence[range], size: int, content_type: str, boundary: str
) -> tuple[list[bytes], bytes]:
    """Return what stands before each part of a ``multipart/byteranges``, and behind all.

    Parameters:
        parts: as `read_ranges` has returned them.
        size: bytes of the whole.
        content_type: of the whole.
        boundary: nothing that could stand in the parts.
    """
    heads = [
        f"\r\n--{boundary}\r\ncontent-type: {content_type}\r\n"
        f"content-range: {content_range(part, size)}\r\n\r\n".encode("latin-1")
        for part in parts
    ]
    heads[0] = heads[0].removeprefix(b"\r\n")
    return heads, f"\r\n--{boundary}--\r\n".encode()
