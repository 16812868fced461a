"""The commands on strings and lists."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from _redis_resp import (
    LARGEST_INTEGER,
    NIL,
    NIL_ARRAY,
    OK,
    SMALLEST_INTEGER,
    Command,
    Reply,
    parse_integer,
)
from _redis_store import Store
from _redis_table import CommandError, Session, command, integer, milliseconds, wrong_number

_ONE: Final = (1, 1, 1)
_ALL: Final = (1, -1, 1)
_PAIRS: Final = (1, -1, 2)

_SET_OPTIONS: Final = {b"NX", b"XX", b"GET", b"KEEPTTL", b"EX", b"PX"}
_SET_RIVALS: Final = ({b"NX", b"XX"}, {b"KEEPTTL", b"EX", b"PX"})


@command(2, keys=_ONE, flags="readonly fast")
def get(session: Session, words: Command) -> Reply:
    """Returns the string value of a key."""
    value = session.store.read_string(words[1])
    return NIL if value is None else value


@command(3, None, keys=_ONE, flags="write denyoom")
def set_(session: Session, words: Command) -> Reply:
    """Sets the string value of a key, whatever it held."""
    store, key, value = session.store, words[1], words[2]
    if len(words) == 3:
        store.write(key, value)
        store.persist(key)
        return OK
    options = _read_set_options(words[3:])
    lifetime = _set_lifetime(options)
    old = store.read_string(key) if b"GET" in options else None
    refused = (b"XX" if store.read(key) is None else b"NX") in options
    if not refused:
        store.write(key, value)
        if b"KEEPTTL" not in options:
            store.persist(key)
        if lifetime is not None:
            store.expire(key, lifetime)
    if b"GET" in options or refused:
        return NIL if old is None else old
    return OK


def _read_set_options(words: Command) -> dict[bytes, bytes]:
    """Return the options of SET, each with its number if it has one.

    Raises:
        CommandError: one is unknown, lacks its number or does not go with another.
    """
    options: dict[bytes, bytes] = {}
    rest = iter(words)
    for word in rest:
        option = word.upper()
        number = next(rest, None) if option in (b"EX", b"PX") else b""
        if option not in _SET_OPTIONS or number is None:
            raise CommandError("ERR syntax error")
        options[option] = number
    if any(len(options.keys() & rivals) > 1 for rivals in _SET_RIVALS):
        raise CommandError("ERR syntax error")
    return options


def _set_lifetime(options: dict[bytes, bytes]) -> int | None:
    for option, unit in ((b"EX", 1000), (b"PX", 1)):
        if option in options:
            lifetime = milliseconds(options[option], unit, "set")
            if lifetime <= 0:
                raise CommandError("ERR invalid expire time in 'set' command")
            return lifetime
    return None


@command(3, None, keys=_PAIRS, flags="write denyoom")
def mset(session: Session, words: Command) -> Reply:
    """Sets the string values of some keys."""
    if len(words) % 2 == 0:
        return wrong_number("mset")
    for key, value in zip(words[1::2], words[2::2], strict=True):
        session.store.write(key, value)
        session.store.persist(key)
    return OK


@command(2, None, keys=_ALL, flags="readonly fast")
def mget(session: Session, words: Command) -> Reply:
    """Returns the string values of some keys."""
    values = map(session.store.read, words[1:])
    return [value if isinstance(value, bytes) else NIL for value in values]


def _increase(store: Store, key: bytes, amount: int) -> int:
    value = store.read_string(key)
    number = amount if value is None else integer(value) + amount
    if not SMALLEST_INTEGER <= number <= LARGEST_INTEGER:
        raise CommandError("ERR increment or decrement would overflow")
    store.write(key, b"%d" % number)
    return number


@command(2, keys=_ONE, flags="write denyoom fast")
def incr(session: Session, words: Command) -> Reply:
    """Adds one to the number at a key."""
    return _increase(session.store, words[1], 1)


@command(2, keys=_ONE, flags="write denyoom fast")
def decr(session: Session, words: Command) -> Reply:
    """Takes one from the number at a key."""
    return _increase(session.store, words[1], -1)


@command(3, keys=_ONE, flags="write denyoom fast")
def incrby(session: Session, words: Command) -> Reply:
    """Adds to the number at a key."""
    return _increase(session.store, words[1], integer(words[2]))


@command(3, keys=_ONE, flags="write denyoom fast")
def decrby(session: Session, words: Command) -> Reply:
    """Takes from the number at a key."""
    amount = integer(words[2])
    if amount == SMALLEST_INTEGER:
        raise CommandError("ERR decrement would overflow")
    return _increase(session.store, words[1], -amount)


def _list_to_change(store: Store, key: bytes) -> deque[bytes]:
    values = store.read_list(key)
    if values is None:
        values = deque[bytes]()
        store.write(key, values)
    return values


@command(3, None, keys=_ONE, flags="write denyoom fast")
def lpush(session: Session, words: Command) -> Reply:
    """Puts values at the front of a list, one after the other."""
    values = _list_to_change(session.store, words[1])
    values.extendleft(words[2:])
    return len(values)


@command(3, None, keys=_ONE, flags="write denyoom fast")
def rpush(session: Session, words: Command) -> Reply:
    """Puts values at the end of a list, one after the other."""
    values = _list_to_change(session.store, words[1])
    values.extend(words[2:])
    return len(values)


def _pop(store: Store, words: Command, pop: Callable[[deque[bytes]], bytes]) -> Reply:
    count = parse_integer(words[2]) if len(words) == 3 else 1
    if count is None or count < 0:
        raise CommandError("ERR value is out of range, must be positive")
    values = store.read_list(words[1])
    if values is None:
        return NIL if len(words) == 2 else NIL_ARRAY
    popped = [pop(values) for _ in range(min(count, len(values)))]
    if not values:
        store.delete(words[1])
    return popped[0] if len(words) == 2 else popped


@command(2, 3, keys=_ONE, flags="write fast")
def lpop(session: Session, words: Command) -> Reply:
    """Takes the first value, or so many, out of a list."""
    return _pop(session.store, words, lambda values: values.popleft())


@command(2, 3, keys=_ONE, flags="write fast")
def rpop(session: Session, words: Command) -> Reply:
    """Takes the last value, or so many, out of a list."""
    return _pop(session.store, words, lambda values: values.pop())


@command(2, keys=_ONE, flags="readonly fast")
def llen(session: Session, words: Command) -> Reply:
    """Returns how many values a list has."""
    return len(session.store.read_list(words[1]) or ())


@command(4, keys=_ONE, flags="readonly")
def lrange(session: Session, words: Command) -> Reply:
    """Returns the values from one place in a list to another; from the end if negative."""
    start, stop = integer(words[2]), integer(words[3])
    values = session.store.read_list(words[1]) or deque[bytes]()
    size = len(values)
    first = max(start + size if start < 0 else start, 0)
    end = min(stop + size if stop < 0 else stop, size - 1) + 1
    return list(islice(values, first, end)) if first < end else []
