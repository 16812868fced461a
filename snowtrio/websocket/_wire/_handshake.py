"""The words of the opening handshake (RFC 6455, section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

VERSION = "13"


def make_key() -> str:
    """Return a ``Sec-WebSocket-Key`` that nobody can guess."""
    return base64.b64encode(os.urandom(16)).decode()


def is_key(key: str) -> bool:
    """Say whether a ``Sec-WebSocket-Key`` is the base64 of 16 bytes."""
    try:
        return len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def accept_value(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324


def split_list(values: list[str]) -> list[str]:
    """Return the items of a comma-separated header that may stand there several times."""
    return [item for value in values for each in value.split(",") if (item := each.strip())]
