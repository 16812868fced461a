"""Field names and values as bytes that nothing can be smuggled in."""

from __future__ import annotations

import re
from functools import lru_cache

from .._errors import BadFieldError
from ._events import Fields

# RFC 9110 section 5.6.2: what a name is made of.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# What frames a body is written by whoever frames it.
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))

# All that no value can hold.
_CONTROLS = bytes(code for code in (*range(32), 127) if code != ord("\t"))


def write_fields(fields: Fields) -> bytes:
    """Return the lines of fields.

    Raises:
        BadFieldError: a name is no token, or one of those that frame a body; or a value has a line
            break or another control character in it.
    """
    return b"".join([_write_line(field) for field in fields])


# The same few fields are sent with every message.
@lru_cache(maxsize=512)
def _write_line(field: tuple[bytes, bytes]) -> bytes:
    name, value = field
    if not is_token(name):
        raise BadFieldError(f"{name!r} cannot be the name of a field")
    if name.lower() in _FRAMING:
        raise BadFieldError(f"{name.decode()} is decided by the body, not by a field")
    if len(value.translate(None, _CONTROLS)) != len(value):
        raise BadFieldError(
            f"the value of {name.decode()} has a line break or another control character in it"
        )
    return b"%b: %b\r\n" % field


def is_token(text: bytes) -> bool:
    """Whether a text can stand for a name or a method."""
    return _TOKEN.fullmatch(text) is not None
