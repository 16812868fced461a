"""The words of the opening handshake (RFC 6455, section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import cast

from ...http import HeadersToSend

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

VERSION = "13"

WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""The pattern of a name (RFC 9110, section 5.6.2)."""

# What the handshake itself says, and what a message without a body cannot have.
_RESERVED = frozenset(
    (
        *("connection", "upgrade", "content-length", "transfer-encoding", "trailer"),
        *("sec-websocket-key", "sec-websocket-version", "sec-websocket-accept"),
        *("sec-websocket-extensions", "sec-websocket-protocol"),
    )
)


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


def split_list(values: Sequence[str]) -> list[str]:
    """Return the items of a comma-separated header that may stand there several times."""
    return [item for value in values for each in value.split(",") if (item := each.strip())]


def has_token(values: Sequence[str], token: str) -> bool:
    """Say whether a header that is a list has a token, in upper or lower case."""
    return token in (each.lower() for each in split_list(values))


def check_subprotocols(names: Sequence[str]) -> None:
    """Check the names of subprotocols.

    Raises:
        TypeError: it is one text.
        ValueError: one is no token.
    """
    if isinstance(names, str):
        raise TypeError("subprotocols are a sequence of names, not one name")
    for name in names:
        if re.fullmatch(WORD, name) is None:
            raise ValueError(f"{name!r} is no name of a subprotocol")


def as_fields(headers: HeadersToSend) -> list[tuple[str, str]]:
    """Return the application's own fields of a request or a response, as pairs.

    Raises:
        ValueError: one of them is the handshake's.
    """
    if isinstance(headers, Mapping):
        headers = cast("Mapping[str, str]", headers).items()
    fields = list(headers)
    for name, _ in fields:
        if name.lower() in _RESERVED:
            raise ValueError(f"the handshake itself says {name!r}")
    return fields
