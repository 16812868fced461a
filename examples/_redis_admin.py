"""The commands on the connection and on the server itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from _redis_glob import compile_glob
from _redis_resp import NIL, NIL_ARRAY, OK, Command, Reply, parse_integer, status
from _redis_table import TABLE, CommandError, Entry, Session, command, integer, run_subcommand

VERSION: Final = b"7.0.0"
"""The version of Redis whose answers these are: clients ask."""

_SETTINGS: Final = {b"save": b"", b"appendonly": b"no", b"maxmemory": b"0", b"databases": b"1"}


@command(1, 2, flags="fast")
def ping(_session: Session, words: Command) -> Reply:
    """Answers PONG, or what it was given."""
    return words[1] if len(words) == 2 else _PONG


_PONG: Final = status("PONG")


@command(2, flags="fast")
def echo(_session: Session, words: Command) -> Reply:
    """Answers what it was given."""
    return words[1]


@command(1, None, flags="fast")
def quit_(session: Session, _words: Command) -> Reply:
    """Closes the connection once the answer is sent."""
    session.quitting = True
    return OK


@command(2, flags="fast")
def select(_session: Session, words: Command) -> Reply:
    """Chooses the database; there is one, 0."""
    if integer(words[1]) != 0:
        raise CommandError("ERR DB index is out of range")
    return OK


@command(1, None, flags="fast")
def hello(session: Session, words: Command) -> Reply:
    """Chooses the protocol, which is 2, and names the connection if asked to."""
    if len(words) > 1:
        version = parse_integer(words[1])
        if version is None:
            raise CommandError("ERR Protocol version is not an integer or out of range")
        if version != 2:
            raise CommandError("NOPROTO unsupported protocol version")
    if len(words) > 2:
        if len(words) != 4 or words[2].upper() != b"SETNAME":
            option = words[2].decode("latin-1")
            raise CommandError(f"ERR Syntax error in HELLO option '{option}'")
        _rename(session, words[3])
    facts: dict[bytes, Reply] = {
        b"server": b"redis",
        b"version": VERSION,
        b"proto": 2,
        b"id": session.number,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }
    return _flatten(facts)


def _flatten(pairs: Mapping[bytes, Reply]) -> list[Reply]:
    """Return a mapping as RESP2 writes it: key, value, key, value."""
    return [item for pair in pairs.items() for item in pair]


@command(2, None)
def client(session: Session, words: Command) -> Reply:
    """The commands on connections."""
    return run_subcommand(session, words)


@command(3)
def client_setname(session: Session, words: Command) -> Reply:
    """Names the connection."""
    _rename(session, words[2])
    return OK


def _rename(session: Session, name: bytes) -> None:
    if not all(ord("!") <= byte <= ord("~") for byte in name):
        raise CommandError(
            "ERR Client names cannot contain spaces, newlines or special characters."
        )
    session.name = name


@command(2)
def client_getname(session: Session, _words: Command) -> Reply:
    """Returns the name of the connection."""
    return session.name or NIL


@command(2)
def client_id(session: Session, _words: Command) -> Reply:
    """Returns the number of the connection."""
    return session.number


@command(4)
def client_setinfo(_session: Session, _words: Command) -> Reply:
    """Takes note of the client's library, which nobody asks for."""
    return OK


@command(2, None)
def config(session: Session, words: Command) -> Reply:
    """The commands on settings."""
    return run_subcommand(session, words)


@command(3, None)
def config_get(_session: Session, words: Command) -> Reply:
    """Returns the settings that match a pattern."""
    patterns = [compile_glob(word.lower()) for word in words[2:]]
    return _flatten(
        {
            name: value
            for name, value in _SETTINGS.items()
            if any(pattern.match(name) for pattern in patterns)
        }
    )


@command(1, None)
def info(session: Session, words: Command) -> Reply:
    """Returns facts about the server, in sections."""
    wanted = {word.lower() for word in words[1:]} - {b"all", b"default", b"everything"}
    sections = {
        b"Server": [
            b"redis_version:" + VERSION,
            b"redis_mode:standalone",
            b"process_id:%d" % os.getpid(),
        ],
        b"Keyspace": [
            b"db0:keys=%d,expires=%d,avg_ttl=0" % (len(session.store), session.store.mortals)
        ],
    }
    return b"\r\n\r\n".join(
        b"\r\n".join((b"# " + title, *lines))
        for title, lines in sections.items()
        if not wanted or title.lower() in wanted
    )


@command(1, None)
def command_(session: Session, words: Command) -> Reply:
    """Describes the commands, for programs."""
    if len(words) > 1:
        return run_subcommand(session, words)
    return [_describe(entry) for entry in _named(words[1:])]


@command(2)
def command_count(_session: Session, words: Command) -> Reply:
    """Returns how many commands there are."""
    return len(_named(words[2:]))


@command(2, None)
def command_info(_session: Session, words: Command) -> Reply:
    """Describes the commands that are named, or all."""
    return [_describe(entry) for entry in _named(words[2:])]


@command(2, None)
def command_docs(_session: Session, words: Command) -> Reply:
    """Returns what the commands do that are named, or all, for people."""
    return _flatten(
        {
            entry.name.encode(): _flatten(
                {b"summary": entry.summary.encode(), b"since": VERSION, b"group": b"generic"}
            )
            for entry in _named(words[2:])
            if entry is not None
        }
    )


def _named(names: Command) -> list[Entry | None]:
    if not names:
        return [entry for name, entry in TABLE.items() if "|" not in name]
    return [TABLE.get(name.decode("latin-1").lower()) for name in names]


def _describe(entry: Entry | None) -> Reply:
    if entry is None:
        return NIL_ARRAY
    flags = [status(flag) for flag in entry.flags]
    return [entry.name.encode(), entry.arity, flags, *entry.keys]
