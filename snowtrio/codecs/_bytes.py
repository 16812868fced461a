"""What a message of bytes may be."""

from __future__ import annotations

from typing_extensions import Buffer


def as_bytes(message: Buffer) -> bytes:
    """Return the message as bytes, copied only if it is something else.

    Raises:
        TypeError: it is not bytes-like. ``bytes()`` alone would make five zeros of a 5.
    """
    return message if isinstance(message, bytes) else bytes(memoryview(message))
