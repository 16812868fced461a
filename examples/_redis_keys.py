"""The commands on keys, whatever they hold."""

from __future__ import annotations

from typing import Final

from _redis_resp import OK, Command, Reply, status
from _redis_table import CommandError, Session, command, milliseconds

_ONE: Final = (1, 1, 1)
_ALL: Final = (1, -1, 1)
_NO_KEY: Final = -2
_NO_DEADLINE: Final = -1


@command(2, None, keys=_ALL, flags="write")
def del_(session: Session, words: Command) -> Reply:
    """Deletes keys and returns how many there were."""
    deleted = 0
    for key in words[1:]:
        if session.store.read(key) is not None:
            session.store.delete(key)
            deleted += 1
    return deleted


@command(2, None, keys=_ALL, flags="readonly fast")
def exists(session: Session, words: Command) -> Reply:
    """Returns how many of the keys are there; one named twice counts twice."""
    return sum(session.store.read(key) is not None for key in words[1:])


@command(2, keys=_ONE, flags="readonly fast")
def type_(session: Session, words: Command) -> Reply:
    """Returns the type of the value at a key."""
    value = session.store.read(words[1])
    if value is None:
        return status("none")
    return status("string" if isinstance(value, bytes) else "list")


def _expire(session: Session, words: Command, unit: int) -> Reply:
    lifetime = milliseconds(words[2], unit, words[0].decode().lower())
    if session.store.read(words[1]) is None:
        return 0
    if lifetime <= 0:
        session.store.delete(words[1])
    else:
        session.store.expire(words[1], lifetime)
    return 1


@command(3, keys=_ONE, flags="write fast")
def expire(session: Session, words: Command) -> Reply:
    """Gives a key so many seconds to live."""
    return _expire(session, words, 1000)


@command(3, keys=_ONE, flags="write fast")
def pexpire(session: Session, words: Command) -> Reply:
    """Gives a key so many milliseconds to live."""
    return _expire(session, words, 1)


@command(2, keys=_ONE, flags="readonly fast")
def pttl(session: Session, words: Command) -> Reply:
    """Returns the milliseconds that a key has left, -1 without a deadline, -2 without a key."""
    if session.store.read(words[1]) is None:
        return _NO_KEY
    remaining = session.store.remaining(words[1])
    return _NO_DEADLINE if remaining is None else remaining


@command(2, keys=_ONE, flags="readonly fast")
def ttl(session: Session, words: Command) -> Reply:
    """Returns the seconds that a key has left, -1 without a deadline, -2 without a key."""
    if session.store.read(words[1]) is None:
        return _NO_KEY
    remaining = session.store.remaining(words[1])
    return _NO_DEADLINE if remaining is None else (remaining + 500) // 1000


@command(2, keys=_ONE, flags="write fast")
def persist(session: Session, words: Command) -> Reply:
    """Takes a key's deadline away."""
    there = session.store.read(words[1]) is not None
    return int(there and session.store.persist(words[1]))


@command(2, flags="readonly")
def keys(session: Session, words: Command) -> Reply:
    """Returns the keys that match a pattern."""
    return session.store.keys(words[1])


@command(1, flags="readonly fast")
def dbsize(session: Session, _words: Command) -> Reply:
    """Returns how many keys there are."""
    return len(session.store)


def _flush(session: Session, words: Command) -> Reply:
    if len(words) > 1 and words[1].upper() not in (b"SYNC", b"ASYNC"):
        raise CommandError("ERR syntax error")
    session.store.clear()
    return OK


@command(1, 2, flags="write")
def flushall(session: Session, words: Command) -> Reply:
    """Deletes all keys."""
    return _flush(session, words)


@command(1, 2, flags="write")
def flushdb(session: Session, words: Command) -> Reply:
    """Deletes all keys of the only database."""
    return _flush(session, words)
