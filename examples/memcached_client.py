"""Ask a memcached, in its text protocol.

    python examples/memcached_client.py --port 11211 set greeting hello --flags 5 --exptime 60
    python examples/memcached_client.py --port 11211 gets greeting name
    python examples/memcached_client.py --port 11211 set picture - <picture.png

Prints the reply line by line. Exits with 1 and one line on standard error when the command is
refused, here or there, when the server is not there, or when it goes away.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs
import trio

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    RequestClient,
    SendTooLargeError,
    Side,
    SnowtrioError,
)

MAX_LINE_SIZE: Final = 2048
# A space or a line end within a word would make two words of it, or two commands.
WORD: Final = re.compile(rb"[^\x00-\x20\x7f]{1,250}")
# All that can be asked. The reply to anything else might not be told from the next one; a "noreply"
# that the server does not see shifts them all; of a line that it refuses, for too long a number, it
# would take the value for commands; and it cuts whoever sends a long line that is no get.
USAGE: Final = {
    name.encode(): re.compile(pattern)
    for names, pattern in (
        ("set add replace append prepend", rb" \S+ \d{1,10} -?\d{1,10}"),
        ("cas", rb" \S+ \d{1,10} -?\d{1,10} \d{1,19}"),
        ("get gets", rb"(?: \S+)+"),
        ("gat gats", rb" -?\d+ \S+"),
        ("incr decr touch", rb" \S+ -?\d+"),
        ("delete", rb" \S+"),
        ("flush_all", rb"(?: \d+)?"),
        ("stats", rb"(?: \S+){,3}"),
        ("version", rb""),
    )
    for name in names.split()
}
STORING: Final = (b"set", b"add", b"replace", b"append", b"prepend", b"cas")
ALWAYS_ANSWERED: Final = (b"get", b"gets", b"gat", b"gats", b"stats", b"version")

# Replies are told by their first word: of one line, errors, and lines that more follow, until END.
LONE: Final = re.compile(rb"(NOT_)?STORED|EXISTS|NOT_FOUND|DELETED|TOUCHED|OK|RESET|\d+|VERSION.*")
ERROR: Final = re.compile(rb"(?:ERROR|CLIENT_ERROR|SERVER_ERROR)(?: .*)?")
LISTED: Final = re.compile(rb"(?:STAT|ITEM|PREFIX) .*")
VALUE: Final = re.compile(rb"VALUE (\S{1,250}) (\d{1,10}) (\d{1,10})(?: (\d{1,20}))?")


class MemcachedError(Exception):
    """The server refused a command; a value too large to be stored deletes the old one."""


@attrs.frozen
class Command:
    """A command: its name, the words behind it but for a value's size, and that value.

    One with ``noreply`` has no reply: send it with `notify`.
    """

    name: bytes
    words: tuple[bytes, ...] = ()
    value: bytes | None = None
    noreply: bool = False


@attrs.frozen
class Value:
    """What is stored under a key."""

    key: bytes
    data: bytes
    flags: int
    cas: int | None = None


Answer: TypeAlias = bytes | tuple[Value | bytes, ...]
"""A line, or the values or lines that came before END."""


@attrs.define(kw_only=True, eq=False)
class MemcachedCodec(Codec[Command, Answer | MemcachedError]):
    """The client's side of the text protocol: one reply is one message.

    Parameters:
        max_message_size: bytes in a value to send, and in a reply. Default 64 MiB.
    """

    max_message_size: int = attrs.field(default=64 << 20, validator=attrs.validators.lt(2**31 - 2))

    # Of a reply that is not whole: what has come, its size, the header of a value still to come.
    _listed: list[Value | bytes] = attrs.field(init=False, factory=list[Value | bytes])
    _size: int = attrs.field(init=False, default=0)
    _header: re.Match[bytes] | None = attrs.field(init=False, default=None)

    def start(self, side: Side, context: object) -> MemcachedCodec:
        """Return a coder for one connection; it remembers an unfinished reply."""
        return attrs.evolve(self)

    def encode(self, message: Command) -> bytes:
        """Return the bytes of a command to which memcached has exactly one reply, or none."""
        name, words, value = message.name, message.words, message.value
        if bad := [word for word in words if not WORD.fullmatch(word)]:
            raise LocalProtocolError(f"a key is 1 to 250 bytes, none a control or space: {bad}")
        line = b" ".join((b"", *words))
        if name not in USAGE or not USAGE[name].fullmatch(line):
            raise LocalProtocolError(f"no command of this client: {(name + line)[:300]!r}")
        if (value is None) is (name in STORING) or (message.noreply and name in ALWAYS_ANSWERED):
            raise LocalProtocolError(f"{name.decode()} with a value or a noreply, or without")
        if value is not None:
            if len(value) > self.max_message_size:
                raise SendTooLargeError(len(value), self.max_message_size)
            line = b" ".join((b"", *words[:3], b"%d" % len(value), *words[3:]))
        line = name + line + b" noreply" * message.noreply
        return line + b"\r\n" if value is None else b"%b\r\n%b\r\n" % (line, value)

    def decode(self, buffer: ReceiveBuffer) -> Iterator[Answer | MemcachedError]:
        """Take every whole reply, and remember what there is of the next."""
        while self._header is None or self._take_data(buffer, self._header):
            line = buffer.take_until(b"\r\n")
            if (size := len(buffer if line is None else line)) > MAX_LINE_SIZE:
                raise ReceiveTooLargeError(size, MAX_LINE_SIZE)
            if line is None:
                return
            if (reply := self._take_line(line)) is not None:
                yield reply

    def _take_line(self, line: bytes) -> Answer | MemcachedError | None:
        """Return the reply that a line is, or ends; None if more follows."""
        self._header = VALUE.fullmatch(line)
        if self._header or LISTED.fullmatch(line):
            self._size += len(line) + (int(self._header[3]) if self._header else 0)
            if self._size > self.max_message_size:
                raise ReceiveTooLargeError(self._size, self.max_message_size)
            if self._header is None:
                self._listed.append(line)
            return None
        listed, self._listed, self._size = tuple(self._listed), [], 0
        if line == b"END":
            return listed
        if ERROR.fullmatch(line):  # It may take the place of the END.
            return MemcachedError(line.decode("utf-8", "replace"))
        if listed or not LONE.fullmatch(line):
            raise RemoteProtocolError(f"no reply of a memcached: {line[:300]!r}")
        return line

    def _take_data(self, buffer: ReceiveBuffer, header: re.Match[bytes]) -> bool:
        """Take what a value's header has announced; say whether it was there."""
        key, flags, size, cas = header.groups()
        if len(buffer) < int(size) + 2:
            return False
        data = buffer.take(int(size))
        if buffer.take(2) != b"\r\n":
            raise RemoteProtocolError(f"the value of {key!r} does not end where it should")
        self._listed.append(Value(key, data, int(flags), int(cas) if cas else None))
        self._header = None
        return True

    def decode_eof(self, buffer: ReceiveBuffer) -> tuple[()]:
        """Refuse an end within a reply."""
        if buffer or self._header or self._listed:
            raise IncompleteFrameError(buffer.take_all())
        return ()


class MemcachedClient(RequestClient[Command, Answer | MemcachedError]):
    """Commands from any number of tasks: ``MemcachedClient(MemcachedCodec(), host, port)``."""

    async def execute(self, command: Command, *, timeout: float | None = None) -> Answer:
        """Return the answer to a command, nothing to one with ``noreply``; raises as `request`.

        Raises:
            MemcachedError: the server refused it.
        """
        if command.noreply:
            await self.notify(command)
            return b""
        reply = await self.request(command, timeout=timeout)
        if isinstance(reply, MemcachedError):
            raise reply
        return reply


def write_lines(answer: Answer) -> Iterator[bytes]:
    """Return an answer as the lines that came."""
    for part in (answer,) if isinstance(answer, bytes) else (*answer, b"END"):
        if isinstance(part, Value):
            cas = b"" if part.cas is None else b" %d" % part.cas
            yield b"VALUE %b %d %d%b" % (part.key, part.flags, len(part.data), cas)
        yield part.data if isinstance(part, Value) else part


async def main(options: argparse.Namespace) -> None:
    """Have one command executed."""
    name, *words = map(os.fsencode, (options.command, *options.words))
    value = None
    if name in STORING and len(words) > 1:
        value = words.pop(1)
        value = sys.stdin.buffer.read() if value == b"-" else value
        words[1:1] = [b"%d" % options.flags, b"%d" % options.exptime]
    async with MemcachedClient(MemcachedCodec(), options.host, options.port) as client:
        command = Command(name, tuple(words), value, options.noreply)
        answer = await client.execute(command, timeout=options.timeout)
    sys.stdout.buffer.writelines(line + b"\n" for line in write_lines(answer) if answer != b"")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask a memcached.")
    parser.add_argument("command", help="get, set, add, cas, incr, touch, stats, and so on")
    usage = "what the protocol has there, but: set KEY VALUE, cas KEY VALUE TOKEN; - reads VALUE"
    parser.add_argument("words", metavar="argument", nargs="*", help=usage)
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=11211, help="its port")
    parser.add_argument("--flags", type=int, default=0, help="a number to store with the value")
    parser.add_argument("--exptime", type=int, default=0, help="seconds to keep the value; 0: ever")
    parser.add_argument("--noreply", action="store_true", help="ask for no reply")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for the reply")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    # What goes wrong is said once, below.
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status: int | str = 0
    try:
        trio.run(main, parse_options())
    except* (SnowtrioError, MemcachedError, OSError) as group:
        status = f"memcached_client: {group.exceptions[0]}"
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
