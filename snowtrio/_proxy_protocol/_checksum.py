"""CRC-32C (Castagnoli), which nothing in the standard library has."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # with its bits in reverse


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_remainder, range(256)))


def crc32c(data: bytes) -> int:
    """Return the checksum of some bytes."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = checksum >> 8 ^ _TABLE[(checksum ^ byte) & 0xFF]
    return checksum ^ 0xFFFFFFFF
