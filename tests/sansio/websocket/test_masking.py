"""Masks: what is done in Python against what a library does, and both against a loop."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio.websocket._wire import _masking
from snowtrio.websocket._wire._masking import apply_mask, mask_in_python, xor, xor_in_python

from .reading import mask

MASKS = st.binary(min_size=4, max_size=4)
DATA = st.one_of(st.binary(max_size=600), st.binary(min_size=2040, max_size=2060))


@given(DATA, MASKS)
def test_masks_in_python(data: bytes, key: bytes) -> None:
    """W14."""
    assert mask_in_python(data, key) == mask(data, key)


@given(DATA, MASKS)
def test_masks_by_the_fastest_way(data: bytes, key: bytes) -> None:
    """W14: with a library where one is installed, and back again."""
    masked = apply_mask(data, key)
    assert masked == mask(data, key)
    assert apply_mask(masked, key) == data


@given(DATA)
def test_xor_in_c_is_xor_in_python(data: bytes) -> None:
    """W14: two strings of one length, for many frames at once."""
    other = data[::-1]
    assert xor(data, other) == xor_in_python(data, other)
    if _masking.xor_in_c is None:
        pytest.skip("bitarray is not installed")
    assert _masking.xor_in_c(data, other) == xor_in_python(data, other)


def test_without_the_library() -> None:
    """W14: it is optional at run time."""
    program = """
import sys
sys.modules["bitarray"] = None
from snowtrio.websocket._wire import _masking
assert _masking.xor_in_c is None
for size in (0, 5, 300, 3000):
    data = bytes(range(256)) * 12
    masked = _masking.apply_mask(data[:size], b"abcd")
    assert masked == bytes(byte ^ b"abcd"[at % 4] for at, byte in enumerate(data[:size]))
    assert _masking.xor(masked, masked) == bytes(size)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
