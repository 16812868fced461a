"""Which parts of a body a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio.http._files._ranges import (
    UnsatisfiableRangeError,
    content_range,
    multipart_heads,
    read_ranges,
)

WHOLE = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", [range(1)]),
        ("bytes=2-5", [range(2, 6)]),
        ("bytes=7-", [range(7, 10)]),
        ("bytes=-3", [range(7, 10)]),
        ("bytes=8-99", [range(8, 10)]),
        ("Bytes=1-1", [range(1, 2)]),
        ("bytes= 1-1 ,\t3-4", [range(1, 2), range(3, 5)]),
        ("bytes=,1-1,,", [range(1, 2)]),
        ("bytes=5-6,0-1", [range(5, 7), range(2)]),
        ("bytes=0-1,20-30", [range(2)]),
        ("bytes=0-1,-0", [range(2)]),
        ("bytes=0-3,4-9", [range(4), range(4, 10)]),
        # Not worth a part, or not asked for in earnest.
        ("bytes=0-", WHOLE),
        ("bytes=-10", WHOLE),
        ("bytes=-11", WHOLE),
        ("bytes=0-9", WHOLE),
        ("bytes=0-5,5-9", WHOLE),
        ("bytes=0-,0-,0-", WHOLE),
        ("bytes=0-0,1-1,2-2,3-3", WHOLE),
        # No ranges, or none that we know.
        ("", WHOLE),
        ("bytes", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=,", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=5-4", WHOLE),
        ("bytes=1", WHOLE),
        ("bytes=1--2", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1 - 2", WHOLE),
        ("bytes=٣-٤", WHOLE),
        ("bytes=0-1,x", WHOLE),
        ("lines=1-2", WHOLE),
        ("bytes=0-" + "9" * 5000, WHOLE),
    ],
)
def test_ranges_of_ten_bytes(value: str, expected: list[range] | None) -> None:
    """Z5."""
    assert read_ranges(value, 10, max_ranges=3) == expected


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=10-,11-12"])
def test_ranges_behind_the_end_cannot_be_satisfied(value: str) -> None:
    """Z5."""
    with pytest.raises(UnsatisfiableRangeError):
        read_ranges(value, 10, max_ranges=3)


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_nothing_has_no_parts(value: str) -> None:
    """Z5."""
    with pytest.raises(UnsatisfiableRangeError):
        read_ranges(value, 0, max_ranges=3)


def test_parts_are_named_by_their_first_and_last_byte() -> None:
    """Z5."""
    assert content_range(range(2, 6), 10) == "bytes 2-5/10"
    heads, end = multipart_heads([range(2), range(5, 7)], 10, "text/plain", "xyz")
    assert heads == [
        b"--xyz\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/10\r\n\r\n",
        b"\r\n--xyz\r\ncontent-type: text/plain\r\ncontent-range: bytes 5-6/10\r\n\r\n",
    ]
    assert end == b"\r\n--xyz--\r\n"


@given(st.text("bytes=0123456789-, \t", max_size=40), st.integers(0, 30))
def test_whatever_is_asked_no_byte_is_sent_twice(asked: str, size: int) -> None:
    """Z5: a request must not make a response larger than the whole."""
    try:
        parts = read_ranges(f"bytes={asked}", size, max_ranges=4)
    except UnsatisfiableRangeError:
        return
    places = [place for part in parts or () for place in part]
    assert len(places) == len(set(places)) <= size
    assert all(0 <= place < size for place in places)
    assert parts is None or all(parts)
