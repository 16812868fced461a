"""Masking: every byte of a client's frame is XORed with one of four (RFC 6455, section 5.3)."""

from __future__ import annotations

import os

_POOL = 4096


def mask_in_python(data: bytes, mask: bytes) -> bytes:
    """Return `data` with each byte XORed with the mask's, as whole numbers: no loop over bytes."""
    size = len(data)
    whole = int.from_bytes(mask * ((size + 3) // 4), "little")
    number = int.from_bytes(data, "little") ^ whole
    return number.to_bytes((size + 3) // 4 * 4, "little")[:size]


apply_mask = mask_in_python


class Masks:
    """Fresh masks, unpredictable as RFC 6455 section 10.3 wants, taken from the system in bulk.

    One object serves any number of connections of a thread.
    """

    __slots__ = ("_at", "_pool")

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def take(self) -> bytes:
        """Return four bytes that nobody has had before."""
        at = self._at
        if at == len(self._pool):
            self._pool, at = os.urandom(_POOL), 0
        self._at = at + 4
        return self._pool[at : at + 4]
