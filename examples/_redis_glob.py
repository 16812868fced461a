"""The patterns of KEYS and CONFIG GET, as regular expressions."""

from __future__ import annotations

import re
from typing import Final

MAX_PATTERN_SIZE: Final = 4096
"""The longest pattern in bytes: a peer chooses it, and compiling costs time and memory."""

_TOKEN: Final = re.compile(
    rb"(?P<star>\*+)|(?P<any>\?)|\[(?P<not>\^?)(?P<set>(?:\\.|[^\]]-.|[^\]])*+)\]?"
    rb"|\\(?P<escaped>.)|(?P<plain>.)",
    re.DOTALL,
)
_RANGE: Final = re.compile(rb"\\(?P<escaped>.)|(?P<first>.)-(?P<last>.)|(?P<plain>.)", re.DOTALL)


class PatternError(ValueError):
    """The pattern is longer than `MAX_PATTERN_SIZE`."""


def compile_glob(pattern: bytes) -> re.Pattern[bytes]:
    """Translate ``*``, ``?``, ``[a-z]``, ``[^a]`` and a backslash before any of them.

    The peer chooses the pattern, so the expression must not try all the ways in which many stars
    can share a key: what stands between two stars is matched at its first place and never again.

    Raises:
        PatternError: the pattern is too long.
    """
    if len(pattern) > MAX_PATTERN_SIZE:
        raise PatternError(f"pattern longer than {MAX_PATTERN_SIZE} bytes")
    parts: list[list[bytes]] = [[]]
    for token in _TOKEN.finditer(pattern):
        if token["star"]:
            parts.append([])
        else:
            parts[-1].append(_translate(token))
    first, *middle = (b"".join(part) for part in parts)
    if not middle:
        return re.compile(first + rb"\Z", re.DOTALL)
    last = middle.pop()
    between = b"".join(b"(?>.*?%b)" % part for part in middle)
    return re.compile(b"%b%b.*%b\\Z" % (first, between, last), re.DOTALL)


def _translate(token: re.Match[bytes]) -> bytes:
    if token["any"]:
        return b"."
    if token["set"] is None:
        return re.escape(token["escaped"] or token["plain"])
    ranges = b"".join(map(_translate_range, _RANGE.finditer(token["set"])))
    if not ranges:
        return b"." if token["not"] else b"(?!)"
    return b"[%b%b]" % (token["not"], ranges)


def _translate_range(token: re.Match[bytes]) -> bytes:
    single = token["escaped"] or token["plain"]
    ends = [single[0]] * 2 if single else sorted((token["first"][0], token["last"][0]))
    return b"\\x%02x-\\x%02x" % tuple(ends)
