"""The table of commands: how one is declared, found and run.

A command is a function of a session and its words; it returns a reply or raises
`CommandError`. Its docstring is what COMMAND DOCS says about it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs
from _redis_glob import PatternError
from _redis_resp import (
    LARGEST_INTEGER,
    SMALLEST_INTEGER,
    Command,
    Fixed,
    Reply,
    failure,
    parse_integer,
)
from _redis_store import Store, WrongTypeError

# Redis keeps the date of the end in 64 bits, and the date of today needs 41 of them.
_LONGEST: Final = LARGEST_INTEGER - 2**41

_numbers = itertools.count(1)


@attrs.define(eq=False)
class Session:
    """What the server knows of one connection."""

    store: Store
    number: int = attrs.field(init=False, factory=lambda: next(_numbers))
    name: bytes = attrs.field(init=False, default=b"")
    quitting: bool = attrs.field(init=False, default=False)


class CommandError(Exception):
    """The command cannot be done; its text is the reply."""


Run: TypeAlias = Callable[[Session, Command], Reply]

WRONG_TYPE: Final = failure("WRONGTYPE Operation against a key holding the wrong kind of value")


@attrs.frozen
class Entry:
    """One command of the table.

    Parameters:
        name: in lower case.
        run: does it.
        least: how few words it takes, its name among them.
        most: how many at most; None for any number.
        keys: where its first and last key stand, and how far apart; negative from the end.
        flags: what COMMAND says of it.
    """

    name: str
    run: Run
    least: int
    most: int | None
    keys: tuple[int, int, int]
    flags: tuple[str, ...]

    @property
    def arity(self) -> int:
        """The number of words as Redis writes it: negative for "at least"."""
        return self.least if self.most == self.least else -self.least

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]


TABLE: Final[dict[str, Entry]] = {}
# The same by the bytes that clients send; lower and upper case are found without another look.
_BY_WORD: Final[dict[bytes, Entry]] = {}


def command(
    least: int, most: int | None = -1, *, keys: tuple[int, int, int] = (0, 0, 0), flags: str = ""
) -> Callable[[Run], Run]:
    """Put the decorated function into the table, under its own name.

    A name such as ``client_setname`` makes a subcommand, found by `run_subcommand` alone.

    Parameters:
        least: how few words it takes, its name among them.
        most: how many at most; the same as `least` unless given, None for any number.
        keys: first and last key and their distance; by default it has none.
        flags: what COMMAND says of it, parted by spaces.
    """

    def enter(run: Run) -> Run:
        name = run.__name__.strip("_").replace("_", "|")
        entry = Entry(name, run, least, least if most == -1 else most, keys, tuple(flags.split()))
        TABLE[name] = entry
        if "|" not in name:
            _BY_WORD[name.encode()] = _BY_WORD[name.upper().encode()] = entry
        return run

    return enter


def execute(session: Session, words: Command) -> Reply:
    """Run one command and return its reply, an error among others."""
    entry = _BY_WORD.get(words[0]) or _BY_WORD.get(words[0].lower())
    return _unknown(words) if entry is None else _run(entry, session, words)


def run_subcommand(session: Session, words: Command) -> Reply:
    """Run the command that the first two words name together."""
    parent = words[0].lower().decode()
    entry = TABLE.get(f"{parent}|{_text(words[1].lower(), 128)}")
    if entry is None:
        name = _text(words[1], 128)
        return failure(f"ERR unknown subcommand '{name}'. Try {parent.upper()} HELP.")
    return _run(entry, session, words)


def _run(entry: Entry, session: Session, words: Command) -> Reply:
    if len(words) < entry.least or (entry.most is not None and len(words) > entry.most):
        return wrong_number(entry.name)
    try:
        return entry.run(session, words)
    except CommandError as error:
        return failure(str(error))
    except PatternError as error:
        return failure(f"ERR {error}")
    except WrongTypeError:
        return WRONG_TYPE


def wrong_number(name: str) -> Fixed:
    """Return the reply to a command with too few or too many words."""
    return failure(f"ERR wrong number of arguments for '{name}' command")


def _unknown(words: Command) -> Fixed:
    shown = ""
    for word in words[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{_text(word, 128 - len(shown))}' "
    name = _text(words[0], 128)
    return failure(f"ERR unknown command '{name}', with args beginning with: {shown}")


def _text(word: bytes, size: int) -> str:
    # Redis stops at a zero byte, where a string of C ends.
    return word[:size].partition(b"\0")[0].decode("latin-1")


def milliseconds(word: bytes, unit: int, name: str) -> int:
    """Return how long a key shall live.

    Parameters:
        word: the number, in units.
        unit: of so many milliseconds.
        name: of the command that asks.

    Raises:
        CommandError: it is no number, or too far from now.
    """
    number = integer(word)
    if not SMALLEST_INTEGER // unit <= number <= _LONGEST // unit:
        raise CommandError(f"ERR invalid expire time in '{name}' command")
    return number * unit


def integer(word: bytes) -> int:
    """Return a word's number.

    Raises:
        CommandError: it is none, or not one of 64 bits.
    """
    number = parse_integer(word)
    if number is None:
        raise CommandError("ERR value is not an integer or out of range")
    return number
