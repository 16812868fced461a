"""RESP2, the wire protocol of Redis, as a snowtrio codec: commands come in, replies go out.

A command is an array of byte strings; a person at a terminal may type it as a line instead. Nearly
all that clients send is plain, so it is decoded in two ways: one split for everything that a read
brought, checked against the lengths that were announced, and for what that cannot take (a command
not whole yet, a value with line ends in it, a long value) a walk that remembers where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final, TypeAlias

import attrs

from snowtrio import (
    Codec,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    Side,
)

Command: TypeAlias = Sequence[bytes]
"""A command's name and its arguments."""

CRLF: Final = b"\r\n"
LARGEST_INTEGER: Final = 2**63 - 1
SMALLEST_INTEGER: Final = -(2**63)

# No number of 64 bits needs more digits, so a longer header is never a good one.
_MAX_HEADER_SIZE: Final = 32
# What the plain way takes. With a limit below one of these it is not used.
_PLAIN_WINDOW: Final = 256 * 1024
_PLAIN_ARGUMENTS: Final = 64
_PLAIN_BULK_SIZE: Final = 1024
# A command's first header gives how many pieces it has; an argument's size gives its header.
_PIECES: Final = {b"*%d" % count: 2 * count + 1 for count in range(1, _PLAIN_ARGUMENTS + 1)}
_HEADERS: Final = [b"$%d" % size for size in range(_PLAIN_BULK_SIZE + 1)]
# Fewer commands are taken one by one.
_ALIKE: Final = 4
# Too short for more words than _PLAIN_ARGUMENTS.
_PLAIN_LINE: Final = re.compile(rb"""[^*"'\n][^"'\n]{,126}""")

_WORD: Final = re.compile(
    rb"""\s*+([^\s"']*+)(?:"((?:[^"\\]|\\.)*+)"|'((?:[^'\\]|\\'?+)*+)')?(?=\s|\Z)""", re.DOTALL
)
_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_ONE_LINE: Final = bytes.maketrans(CRLF, b"  ")


@attrs.frozen
class Fixed:
    """A reply whose bytes are known beforehand."""

    wire: bytes


def status(text: str) -> Fixed:
    """Return a simple string, such as OK."""
    return Fixed(b"+" + _one_line(text) + CRLF)


def failure(text: str) -> Fixed:
    """Return an error; its first word, such as ERR, is its kind."""
    return Fixed(b"-" + _one_line(text) + CRLF)


def _one_line(text: str) -> bytes:
    return text.encode("latin-1", "replace").translate(_ONE_LINE)


OK: Final = status("OK")
NIL: Final = Fixed(b"$-1\r\n")
NIL_ARRAY: Final = Fixed(b"*-1\r\n")

Reply: TypeAlias = "bytes | int | Fixed | Sequence[Reply]"
"""A bulk string, an integer, something ready made, or an array of replies."""


def parse_integer(digits: bytes) -> int | None:
    """Return the number as Redis reads it, or None: 64 bits, no spaces, no superfluous signs."""
    if len(digits) > 20:
        return None
    try:
        number = int(digits)
    except ValueError:
        return None
    # int() takes " 1", "+1", "01" and "1_0" as well.
    if b"%d" % number != digits or not SMALLEST_INTEGER <= number <= LARGEST_INTEGER:
        return None
    return number


@attrs.define(kw_only=True, eq=False)
class RespCodec(Codec[Reply, Command]):
    """The server's side of RESP2.

    Parameters:
        max_bulk_size: bytes in one argument. Default 16 MiB.
        max_arguments: arguments in one command, its name among them. Default 65,536.
        max_message_size: bytes of one command as it comes. Default 64 MiB.
        max_inline_size: bytes of a command typed as a line. Default 64 KiB.
        max_nesting: how deep arrays in a reply may stand within each other. Default 8. Arguments of
            a command are never arrays.
    """

    max_bulk_size: int = 16 * 1024 * 1024
    max_arguments: int = 65_536
    max_message_size: int = 64 * 1024 * 1024
    max_inline_size: int = 64 * 1024
    max_nesting: int = 8

    # Whether the buffer begins with an unfinished command. Its bytes stay there; this is how far
    # the walk through it came, how many arguments are to come, and where the others lie.
    _unfinished: bool = attrs.field(init=False, default=False, repr=False)
    _offset: int = attrs.field(init=False, default=0, repr=False)
    _missing: int = attrs.field(init=False, default=0, repr=False)
    _spans: list[tuple[int, int]] = attrs.field(
        init=False, factory=list[tuple[int, int]], repr=False
    )

    def start(self, side: Side, context: object) -> RespCodec:
        """Return a coder for one connection; it remembers an unfinished command."""
        if side is not Side.SERVER:
            raise ValueError("RespCodec is the server's side alone")
        return attrs.evolve(self)

    def encode(self, message: Reply) -> bytes:
        """Return the bytes of a reply."""
        if type(message) is bytes:
            return b"$%d\r\n%b\r\n" % (len(message), message)
        if type(message) is Fixed:
            return message.wire
        if type(message) is int:
            return b":%d\r\n" % message
        return self._encode_array(message, self.max_nesting)

    def _encode_array(self, message: Reply, levels: int) -> bytes:
        if not isinstance(message, (list, tuple)):
            raise LocalProtocolError(f"{type(message).__name__} has no form in RESP2")
        if not levels:
            raise LocalProtocolError(f"reply nested deeper than max_nesting ({self.max_nesting})")
        items = [
            self._encode_array(item, levels - 1)
            if isinstance(item, (list, tuple))
            else self.encode(item)
            for item in message
        ]
        return b"*%d\r\n%b" % (len(message), b"".join(items))

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Command]:
        """Take every whole command; empty ones are passed over, as Redis does.

        Raises:
            RemoteProtocolError: a wrong byte, or an argument, a line or a number of arguments
                above its limit. Its text is what Redis says, where Redis has a word for it.
            ReceiveTooLargeError: a command above ``max_message_size``, told from its headers.
        """
        # At most one look at the whole of a read: the time goes with the bytes, whatever they are.
        commands = [] if self._unfinished or self._is_narrow() else _take_plain(buffer)
        return chain(commands, self._take_others(buffer)) if buffer else commands

    def _is_narrow(self) -> bool:
        return (
            self.max_arguments < _PLAIN_ARGUMENTS
            or min(self.max_bulk_size, self.max_inline_size) < _PLAIN_BULK_SIZE
            or self.max_message_size < _PLAIN_WINDOW
        )

    def _take_others(self, buffer: ReceiveBuffer) -> Iterator[Command]:
        self._unfinished = False
        while buffer:
            array = self._offset or buffer.peek(1) == b"*"
            command = self._take_array(buffer) if array else self._take_line(buffer)
            if command is None:
                self._unfinished = True
                return
            if command:
                yield command

    def _take_array(self, buffer: ReceiveBuffer) -> Command | None:
        """Take one command, or go as far as the bytes do and return None."""
        if not self._offset:
            header = self._read_header(buffer, b"*", "multibulk length")
            if header is None:
                return None
            self._missing, self._offset = header
            if self._missing > self.max_arguments:
                raise RemoteProtocolError("invalid multibulk length")
        while self._missing > 0:
            if not self._pass_argument(buffer):
                return None
            self._missing -= 1
        frame, spans = buffer.take(self._offset), self._spans
        self._offset, self._spans = 0, []
        return [frame[begin:end] for begin, end in spans]

    def _pass_argument(self, buffer: ReceiveBuffer) -> bool:
        header = self._read_header(buffer, b"$", "bulk length")
        if header is None:
            return False
        size, begin = header
        end = begin + size
        if not 0 <= size <= self.max_bulk_size:
            raise RemoteProtocolError("invalid bulk length")
        if end + len(CRLF) > self.max_message_size:
            raise ReceiveTooLargeError(end + len(CRLF), self.max_message_size)
        if len(buffer) < end + len(CRLF):
            return False
        if buffer.peek(len(CRLF), end) != CRLF:
            raise RemoteProtocolError("expected a line end after an argument")
        self._spans.append((begin, end))
        self._offset = end + len(CRLF)
        return True

    def _read_header(self, buffer: ReceiveBuffer, mark: bytes, what: str) -> tuple[int, int] | None:
        """Return a number and where its line ends, or None when it has not come whole."""
        line = buffer.peek(_MAX_HEADER_SIZE, self._offset)
        if line and line[:1] != mark:
            raise RemoteProtocolError(f"expected '{mark.decode()}', got '{chr(line[0])}'")
        end = line.find(CRLF)
        if end == -1 and len(line) < _MAX_HEADER_SIZE:
            return None
        number = parse_integer(line[1:end]) if end != -1 else None
        if number is None:
            raise RemoteProtocolError(f"invalid {what}")
        return number, self._offset + end + len(CRLF)

    def _take_line(self, buffer: ReceiveBuffer) -> Command | None:
        end = buffer.find(b"\n")
        if (len(buffer) if end == -1 else end) > self.max_inline_size:
            raise RemoteProtocolError("too big inline request")
        if end == -1:
            return None
        words = split_words(buffer.take(end + 1))
        if words is None:
            raise RemoteProtocolError("unbalanced quotes in request")
        if len(words) > self.max_arguments:
            raise RemoteProtocolError("invalid multibulk length")
        return words


def _take_alike(pieces: list[bytes]) -> list[Command]:
    """Take commands with the same number of words, word by word over all of them.

    A pipeline mostly repeats one command. Then it takes a few steps a word, not a few a command.
    """
    width = _PIECES.get(pieces[0], 0)
    count = (len(pieces) - 1) // width if width else 0
    end = count * width
    if count < _ALIKE or pieces[:end:width].count(pieces[0]) != count:
        return []
    columns: list[list[bytes]] = []
    with suppress(IndexError):  # a value too long to have its header in the table
        for at in range(1, width, 2):
            words = pieces[at + 1 : end : width]
            if [_HEADERS[len(word)] for word in words] != pieces[at:end:width]:
                return []
            columns.append(words)
        return list(zip(*columns, strict=True))
    return []


def _take_plain(buffer: ReceiveBuffer) -> list[Command]:
    """Take commands from the front, up to the first that is not plain."""
    window = buffer.peek(_PLAIN_WINDOW)
    pieces = window.split(CRLF)
    commands = _take_alike(pieces)
    at, last = len(commands) * _PIECES.get(pieces[0], 0), len(pieces) - 1
    with suppress(IndexError):  # a value too long to have its header in the table
        while at < last:
            end = at + _PIECES.get(pieces[at], 0)
            if end == at:
                if not _PLAIN_LINE.fullmatch(pieces[at]) or not (words := pieces[at].split()):
                    break
                end += 1
            elif end > last:
                break
            else:
                words = pieces[at + 2 : end : 2]
                # A value with a line end in it has been cut, and then the lengths disagree.
                if [_HEADERS[len(word)] for word in words] != pieces[at + 1 : end : 2]:
                    break
            commands.append(words)
            at = end
    left = sum(map(len, pieces[at:])) + len(CRLF) * (last - at)
    buffer.shift(len(window) - left)
    return commands


def split_words(line: bytes) -> Command | None:
    """Split a typed line as Redis does, quotes and all; None if a quote is not closed."""
    words: list[bytes] = []
    at, line = 0, line.strip()
    while at < len(line):
        match = _WORD.match(line, at)
        if match is None:
            return None
        plain, double, single = match.groups(b"")
        words.append(plain + _ESCAPE.sub(_unescape, double) + single.replace(b"\\'", b"'"))
        at = match.end()
    return words


def _unescape(match: re.Match[bytes]) -> bytes:
    code: bytes = match[1]
    return bytes.fromhex(code[1:].decode()) if len(code) > 1 else _ESCAPES.get(code, code)
