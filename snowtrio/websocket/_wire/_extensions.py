"""``Sec-WebSocket-Extensions``: names with parameters (RFC 6455, section 9.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import attrs

from ._handshake import WORD

_SPACE = r"[ \t]*"

# Each takes the space behind it. What stands in quotes has to be a token as well, but may have
# backslashes before its characters.
_NAME = re.compile(f"({WORD}){_SPACE}")
_PARAMETER = re.compile(
    rf";{_SPACE}({WORD}){_SPACE}"
    rf'(?:={_SPACE}(?:({WORD})|"((?:[^"\\]|\\.)*)"){_SPACE})?'
)
_ESCAPED = re.compile(r"\\(.)")
_COMMAS = re.compile(r"[ \t,]*")

Parameters: TypeAlias = Sequence[tuple[str, str | None]]
"""In their order; None stands for no value."""


@attrs.frozen
class Extension:
    """One that is offered, or used.

    Parameters:
        name: of the extension.
        parameters: of it.
    """

    name: str
    parameters: Parameters = ()


def parse_extensions(fields: Sequence[str]) -> list[Extension]:
    """Return the extensions that fields name, in their order.

    Raises:
        ValueError: they break the grammar.
    """
    return [extension for field in fields for extension in _parse(field)]


def _parse(field: str) -> list[Extension]:
    extensions: list[Extension] = []
    at = _skip_commas(field, 0)
    while at < len(field):
        name = _NAME.match(field, at)
        if name is None:
            raise ValueError("Sec-WebSocket-Extensions: a name is missing")
        at = name.end()
        parameters: list[tuple[str, str | None]] = []
        while (found := _PARAMETER.match(field, at)) is not None:
            parameters.append((found[1], _read_value(found)))
            at = found.end()
        extensions.append(Extension(name[1], parameters))
        if at < len(field) and field[at] != ",":
            raise ValueError(f"Sec-WebSocket-Extensions: what is {field[at : at + 20]!r}?")
        at = _skip_commas(field, at)
    return extensions


def _skip_commas(field: str, at: int) -> int:
    found = _COMMAS.match(field, at)
    return at if found is None else found.end()


def _read_value(found: re.Match[str]) -> str | None:
    quoted = found[3]
    if quoted is None:
        return found[2]
    value = _ESCAPED.sub(r"\1", quoted)
    if re.fullmatch(WORD, value) is None:
        raise ValueError("Sec-WebSocket-Extensions: what stands in quotes is no token")
    return value
