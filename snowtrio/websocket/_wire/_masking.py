"""Masking: every byte of a client's frame is XORed with one of four (RFC 6455, section 5.3).

Short data is XORed as two whole numbers: to hand it to a library costs more than that. For more
there is `bitarray`, where it is installed: XOR of any two buffers is what it is for, at a tenth of
the time of whole numbers and less. Without it, long data goes through `bytes.translate`, each
fourth byte at a time. See docs/decisions/0014-masks-by-whole-numbers.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable

# From so many bytes on each way is faster than the one above it.
_FROM_BITARRAY = 256
_FROM_TRANSLATE = 2048

_POOL = 4096

# A mask times this is the mask as often as a payload of so many bytes needs it.
_REPEATED = [int.from_bytes(b"\x01\0\0\0" * ((size + 3) // 4), "little") for size in range(126)]

_tables: dict[int, bytes] = {}


def mask_short(data: bytes, mask: bytes) -> bytes:
    """Return at most 125 bytes, masked."""
    size = len(data)
    whole = int.from_bytes(mask, "little") * _REPEATED[size]
    return (int.from_bytes(data, "little") ^ whole).to_bytes(size + 3, "little")[:size]


def xor_in_python(data: bytes, other: bytes) -> bytes:
    """Return two byte strings of one length, XORed."""
    number = int.from_bytes(data, "little") ^ int.from_bytes(other, "little")
    return number.to_bytes(len(data), "little")


def mask_in_python(data: bytes, mask: bytes) -> bytes:
    """Return `data` with each byte XORed with the mask's."""
    if len(data) < _FROM_TRANSLATE:
        return xor_in_python(data, repeat(mask, len(data)))
    masked = bytearray(len(data))
    for at, byte in enumerate(mask):
        masked[at::4] = data[at::4].translate(_table(byte))
    return bytes(masked)


def _table(byte: int) -> bytes:
    """Return what XOR with `byte` makes of each byte."""
    if byte not in _tables:
        _tables[byte] = bytes(byte ^ other for other in range(256))
    return _tables[byte]


def repeat(mask: bytes, size: int) -> bytes:
    """Return a mask over and over, up to `size` bytes."""
    return (mask * (size // 4 + 1))[:size]


def _load() -> Callable[[bytes, bytes], bytes] | None:
    try:
        from bitarray import bitarray
    except ImportError:
        return None

    def xor(data: bytes, other: bytes) -> bytes:
        return (bitarray(buffer=data) ^ bitarray(buffer=other)).tobytes()

    return xor


xor_in_c = _load()
"""As `xor_in_python`; None where there is no library for it."""


def xor(data: bytes, other: bytes) -> bytes:
    """Return two byte strings of one length, XORed."""
    if xor_in_c is None or len(data) < _FROM_BITARRAY:
        return xor_in_python(data, other)
    return xor_in_c(data, other)


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """Return `data` with each byte XORed with the mask's; again is back."""
    size = len(data)
    if size < 126:
        return mask_short(data, mask)
    if xor_in_c is None or size < _FROM_BITARRAY:
        return mask_in_python(data, mask)
    return xor_in_c(data, repeat(mask, size))


class Masks:
    """Fresh masks, unpredictable as RFC 6455 section 10.3 wants, taken from the system in bulk.

    One object serves any number of connections and threads.
    """

    __slots__ = ("_pool",)

    def __init__(self) -> None:
        self._pool: list[bytes] = []

    def take(self) -> bytes:
        """Return four bytes that nobody has had before."""
        try:
            return self._pool.pop()  # One step, so two threads never have the same.
        except IndexError:
            fresh = os.urandom(_POOL)
        self._pool += [fresh[at : at + 4] for at in range(4, _POOL, 4)]
        return fresh[:4]
