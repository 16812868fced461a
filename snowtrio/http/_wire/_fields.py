"""Field names and values as bytes that nothing can be smuggled in."""

from __future__ import annotations

import re

from .._errors import BadFieldError
from ._events import Fields

# RFC 9110 section 5.6.2: what a name is made of.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# What frames a body is written by whoever frames it.
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))

# Names that were found good. They are few, and a set of them is asked faster than the pattern; one
# that would grow beyond any program's own names is not added to.
_good_names: set[bytes] = set()
_MAX_GOOD_NAMES = 1024

# All that no value can hold, but for CR and LF: those are in the lines' own ends.
_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\r\n")


def write_fields(fields: Fields) -> bytes:
    """Return the lines of fields.

    Raises:
        BadFieldError: a name is no token, or one of those that frame a body; or a value has a line
            break or another control character in it.
    """
    for name, _ in fields:
        if name not in _good_names:
            _check_name(name)
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    # One look at all of them: with no more line ends than lines there are none in the values.
    count = len(fields)
    if (
        lines.count(b"\n") != count
        or lines.count(b"\r") != count
        or len(lines.translate(None, _CONTROLS)) != len(lines)
    ):
        raise BadFieldError("a field's value has a line break or another control character in it")
    return lines


def is_token(text: bytes) -> bool:
    """Whether a text can stand for a name or a method."""
    return _TOKEN.fullmatch(text) is not None


def _check_name(name: bytes) -> None:
    if not is_token(name):
        raise BadFieldError(f"{name!r} cannot be the name of a field")
    if name.lower() in _FRAMING:
        raise BadFieldError(f"{name.decode()} is decided by the body, not by a field")
    if len(_good_names) < _MAX_GOOD_NAMES:
        _good_names.add(name)
