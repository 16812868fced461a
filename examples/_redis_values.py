"""What replies of Redis are in Python.

Text that the server says is `str`, data is `bytes`; a null is None, an array a list, a map a dict.
The other types are told apart by classes of their own, which can be used like what they come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import attrs
from _redis_resp import parse_integer

from snowtrio import LocalProtocolError, RemoteProtocolError

_DOUBLE: Final = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan)")
_BIG_NUMBER: Final = re.compile(rb"[+-]?\d{1,4000}")


Word: TypeAlias = "bytes | bytearray | str | int | float"
"""A command's name or an argument; text is sent as UTF-8, a number as its digits."""
Words: TypeAlias = Sequence[Word]
"""A command."""


class RedisError(Exception):
    """An error reply: the command was refused, or failed. Within an array it stands as an item."""

    @property
    def kind(self) -> str:
        """Its first word, such as ERR or WRONGTYPE."""
        return str(self).partition(" ")[0]


class WatchError(RedisError):
    """A transaction was not executed: a key that it watched has changed."""


class BigNumber(int):
    """An integer of any size."""


class Double(float):
    """A double; `text` is how the server wrote it."""

    text: str

    def __new__(cls, text: str) -> Double:
        """Return the double that a text stands for."""
        double = super().__new__(cls, text)
        double.text = text
        return double


class Verbatim(bytes):
    """Text to be shown as it is; `format` is ``txt`` or ``mkd``, Markdown."""

    format: str

    def __new__(cls, data: bytes, format: str) -> Verbatim:  # noqa: A002 - RESP calls it so
        """Return data with its format."""
        verbatim = super().__new__(cls, data)
        verbatim.format = format
        return verbatim


class SetReply(list["Reply"]):
    """A set, in the order in which it came: its elements may be lists."""


class Push(list["Reply"]):
    """A message that is no reply; its first element says of what kind it is."""


@attrs.frozen
class Attributed:
    """A reply, and what the server told about it beside."""

    reply: Reply
    attributes: Reply


_One: TypeAlias = "bool | int | float | str | bytes | RedisError | Attributed | None"
Reply: TypeAlias = "_One | list[Reply] | dict[object, Reply]"
"""What comes for a command."""


def as_bytes(word: object) -> bytes:
    """Return the bytes of a word of a command."""
    if isinstance(word, str):
        return word.encode(errors="surrogateescape")
    if isinstance(word, bytes | bytearray):
        return bytes(word)
    if isinstance(word, int | float) and not isinstance(word, bool):
        return repr(word).encode()
    raise LocalProtocolError(f"a command's words are bytes, text or numbers, not {word!r}")


def as_text(data: bytes) -> str:
    """Return what the server says; bytes that are not UTF-8 survive as surrogates."""
    return data.decode(errors="surrogateescape")


def as_dict(items: list[Reply]) -> dict[object, Reply]:
    """Return a map of keys and values that alternate; of equal keys the last one counts."""
    return {_as_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _as_key(reply: Reply) -> object:
    """Return a reply that can be a key: a list becomes a tuple, a map one of pairs."""
    if isinstance(reply, list):
        return tuple(map(_as_key, reply))
    if isinstance(reply, dict):
        pairs = reply.items()
        return tuple((key, _as_key(value)) for key, value in pairs)
    return _as_key(reply.reply) if isinstance(reply, Attributed) else reply


def brief(line: bytes) -> str:
    return repr(line[:40])


def as_value(mark: int, value: bytes) -> Reply:
    """Return what a value with a length stands for."""
    if mark == ord("!"):
        return RedisError(as_text(value))
    if mark == ord("="):
        if value[3:4] != b":":
            raise RemoteProtocolError("a verbatim string without its format")
        return Verbatim(value[4:], as_text(value[:3]))
    return value


def as_scalar(head: bytes) -> Reply:
    """Return the reply that is one line."""
    make = _LINES.get(head[0])
    if make is None:
        raise RemoteProtocolError(f"{brief(head)} is no reply")
    return make(head[1:])


def _as_integer(digits: bytes) -> int:
    number = parse_integer(digits.removeprefix(b"+"))
    if number is None:
        raise RemoteProtocolError(f"{brief(digits)} is no integer of 64 bits")
    return number


def _as_double(digits: bytes) -> Double:
    if not _DOUBLE.fullmatch(digits):
        raise RemoteProtocolError(f"{brief(digits)} is no double")
    return Double(digits.decode())


def _as_big_number(digits: bytes) -> BigNumber:
    if not _BIG_NUMBER.fullmatch(digits):
        raise RemoteProtocolError(f"{brief(digits)} is no number, or one of too many digits")
    return BigNumber(digits)


_LINES: Final[dict[int, Callable[[bytes], Reply]]] = {
    ord("+"): as_text,
    ord("-"): lambda line: RedisError(as_text(line)),
    ord(":"): _as_integer,
    ord(","): _as_double,
    ord("("): _as_big_number,
}
