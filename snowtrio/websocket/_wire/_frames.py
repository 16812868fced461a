"""The frame: what its first bytes say (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
RSV1 = 0x40
RSV = 0x70
MASKED = 0x80

MAX_CONTROL = 125
"""Bytes of a control frame's payload."""

_LONG = struct.Struct(">BBH").pack
_HUGE = struct.Struct(">BBQ").pack


def make_header(first: int, size: int, masked: int = 0) -> bytes:
    """Return a frame's header, up to the mask.

    Parameters:
        first: the first byte: FIN, reserved bits, opcode.
        size: of the payload.
        masked: `MASKED` where a mask follows, else 0.
    """
    if size < 126:
        return bytes((first, masked | size))
    if size < 65536:
        return _LONG(first, masked | 126, size)
    return _HUGE(first, masked | 127, size)
