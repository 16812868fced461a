"""A message that comes in parts: fragments, reads, blocks of a compressed one."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from .._errors import WebSocketProtocolError, WebSocketTooLargeError
from ._deflate import Inflater
from ._frames import TEXT
from ._limits import WebSocketLimits
from ._messages import Incoming, Message, Piece

_new_utf8 = codecs.getincrementaldecoder("utf-8")


class Assembly:
    """One message, from its first frame to its last.

    What is kept of it is bytes in one row, whatever the number of its parts.

    Parameters:
        opcode: TEXT or BINARY.
        limits: the bounds.
        inflater: decompresses it, None if it is not compressed.
        pieces: whether it is given as it comes; then there is no bound on the whole.
    """

    __slots__ = ("_errors", "_gathered", "_inflater", "_limit", "_pieces", "_size", "_utf8")

    def __init__(
        self, opcode: int, limits: WebSocketLimits, inflater: Inflater | None, *, pieces: bool
    ) -> None:
        self._limit = None if pieces else limits.max_message_size
        self._inflater = inflater
        self._pieces = pieces
        self._size = 0
        self._gathered = bytearray()
        self._errors = "strict" if limits.validate_text else "replace"
        self._utf8 = _new_utf8(self._errors) if opcode == TEXT else None

    def announce(self, size: int) -> None:
        """Judge a frame by what its header says.

        Raises:
            WebSocketTooLargeError: the message would be too large.
        """
        if self._limit is None:
            return
        most = self._limit - self._size
        if self._inflater is not None:
            # Deflate makes no more than this of what is allowed, flushed at every byte.
            most = 8 * self._limit + 1024
        if size > most:
            raise WebSocketTooLargeError(self._size + size, self._limit)

    def take(self, data: bytes, *, last: bool) -> Iterator[Incoming]:
        """Take a part; give the message if that was all of it, or the pieces.

        Raises:
            WebSocketProtocolError: it is not what it should be.
        """
        if self._inflater is None:
            yield from self._take_plain(data, last=last)
            return
        for out in self._inflater.inflate(data, last=last):
            yield from self._take_plain(out, last=False)
        if last:
            yield from self._take_plain(b"", last=True)

    def _take_plain(self, data: bytes, *, last: bool) -> Iterator[Incoming]:
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise WebSocketTooLargeError(self._size, self._limit)
        part: Message = data if self._utf8 is None else self._decode(self._utf8, data, last=last)
        if self._pieces:
            if part or last:
                yield Piece(part, last)
        elif not last:
            self._gathered += data
        elif not self._gathered:
            yield part
        else:
            self._gathered += data
            yield self._whole()

    def _decode(self, utf8: codecs.IncrementalDecoder, data: bytes, *, last: bool) -> str:
        try:
            text = utf8.decode(data, last)
            if not last and self._errors == "strict":
                _check_surrogate(utf8.getstate()[0])
        except UnicodeDecodeError as error:
            raise WebSocketProtocolError(f"text is no UTF-8: {error.reason}", 1007) from None
        return text

    def _whole(self) -> Message:
        if self._utf8 is None:
            return bytes(self._gathered)
        return self._gathered.decode(errors=self._errors)


def _check_surrogate(begun: bytes) -> None:
    """Check what a decoder keeps of a character; it waits for all of a surrogate's three bytes."""
    if begun[:1] == b"\xed" and begun[1:] >= b"\xa0":
        raise UnicodeDecodeError("utf-8", begun, 0, len(begun), "surrogates not allowed")
