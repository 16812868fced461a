"""RESP2 and RESP3 on the client's side, as a snowtrio codec: commands go out, replies come in.

All that a read brought is cut at its line ends in one step, and the pieces are walked through once.
Of an array that has not come whole, the elements that have are taken and kept, so each byte is
looked at once, however slowly a reply comes and however large it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, cast

import attrs
from _redis_resp import CRLF, parse_integer
from _redis_values import (
    Attributed,
    Push,
    Reply,
    SetReply,
    Words,
    as_bytes,
    as_dict,
    as_scalar,
    as_value,
    brief,
)

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
    Side,
)

_WINDOW: Final = 256 * 1024
# No line of a good reply comes near: what is long has its length before it.
_MAX_LINE: Final = 64 * 1024
# The shortest element there is: "_\r\n".
_MIN_ELEMENT: Final = 3
_STREAMED: Final = -1
# With a limit below this, short values are looked at as others are.
_MIN_LIMIT: Final = 2048

# The headers of short values, which nearly all are.
_SIZES: Final = {b"$%d" % size: size for size in range(1025)}
_FIXED: Final[dict[bytes, Reply]] = dict.fromkeys((b"_", b"$-1", b"*-1"))
_FIXED.update({b"#t": True, b"#f": False, b"+OK": "OK", b"+QUEUED": "QUEUED", b"+PONG": "PONG"})
# What has its bytes behind its header, what has other replies there, and as many pairs of them.
_BULKS: Final = b"$=!;"
_AGGREGATES: Final = b"*%~>|"
_PAIRS: Final = b"%|"
_STREAMS: Final = (b"*?", b"%?", b"~?")
_STRING, _MAP, _ATTRIBUTES, _CHUNK, _END = b"$%|;."


def _template(words: int) -> bytes:
    return b"*%d\r\n" % words + b"$%d\r\n%b\r\n" * words


_TEMPLATES: Final = [_template(count) for count in range(5)]


@attrs.define(eq=False)
class _Open:
    """A reply of several that has not come whole.

    Parameters:
        mark: what it is.
        missing: how many elements are to come; below zero where nobody knows.
        items: those that came.
        attributes: where it is a reply that attributes were sent before, and not an aggregate.
    """

    mark: int
    missing: int
    items: list[Reply] = attrs.field(factory=list["Reply"])
    attributes: Reply = None


@attrs.define(kw_only=True, eq=False)
class ReplyCodec(Codec[Words, Reply]):
    """The client's side of RESP2 and RESP3: a server may change between them at any time.

    Parameters:
        max_message_size: bytes of one command or reply as it travels. Default 64 MiB. A reply of
            many small elements takes some times as much memory as it has bytes.
        max_nesting: how deep aggregates of a reply may stand within each other. Default 32.
        keep_attributes: give a reply with attributes as `Attributed`. By default they are dropped,
            as the protocol wants of those who do not know them.
    """

    max_message_size: int = 64 * 1024 * 1024
    max_nesting: int = 32
    keep_attributes: bool = False

    # The reply that is coming: what is open around the next element, the bytes that came of it, and
    # the mark and size of a value that is not there to its end.
    _stack: list[_Open] = attrs.field(init=False, factory=list[_Open], repr=False)
    _used: int = attrs.field(init=False, default=0, repr=False)
    _awaited: tuple[int, int] | None = attrs.field(init=False, default=None, repr=False)

    def start(self, side: Side, context: object) -> ReplyCodec:
        """Return a coder for one connection; it remembers an unfinished reply."""
        if side is not Side.CLIENT:
            raise ValueError("ReplyCodec is the client's side alone")
        return attrs.evolve(self)

    # Out

    def encode(self, message: Words) -> bytes:
        """Return the bytes of a command.

        Raises:
            LocalProtocolError: it has no word, or one that is neither bytes, text nor a number.
            SendTooLargeError: it is above ``max_message_size``.
        """
        fields: list[bytes | int] = []
        for word in message:
            if type(word) is bytes:
                data = word
            else:
                data = word.encode() if type(word) is str and word.isascii() else as_bytes(word)
            fields.append(len(data))
            fields.append(data)
        count = len(message)
        if not count:
            raise LocalProtocolError("a command has at least one word")
        template = _TEMPLATES[count] if count < len(_TEMPLATES) else _template(count)
        frame = template % tuple(fields)
        if len(frame) > self.max_message_size:
            raise SendTooLargeError(len(frame), self.max_message_size)
        return frame

    # In

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Reply]:
        """Take what there is; of an aggregate also the part that has come.

        Raises:
            RemoteProtocolError: what came is not RESP, or nested deeper than ``max_nesting``.
            ReceiveTooLargeError: a reply above ``max_message_size``, told from its headers.
        """
        ready: list[Reply] = []
        try:
            while buffer and self._advance(buffer, ready):
                pass
        except RemoteProtocolError as error:
            return chain(ready, _raise(error))
        return ready

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[Reply]:
        """Raise `IncompleteFrameError` inside a reply."""
        if buffer or self._used:
            raise IncompleteFrameError(buffer.take_all())
        return ()

    def _advance(self, buffer: ReceiveBuffer, ready: list[Reply]) -> bool:
        """Take a part of what is there; say whether there may be more to take."""
        if self._awaited is not None:
            return self._take_awaited(buffer, *self._awaited, ready)
        end = buffer.find(CRLF)
        if end == -1:
            self._check_line(len(buffer))
            return False
        self._check_line(end)
        window = buffer.peek(_WINDOW)
        pieces = window.split(CRLF)
        at = self._walk(pieces, ready)
        left = sum(map(len, pieces[at:])) + len(CRLF) * (len(pieces) - 1 - at)
        buffer.shift(len(window) - left)
        return True

    def _check_line(self, size: int) -> None:
        limit = min(_MAX_LINE, self.max_message_size)
        if size > limit:
            raise ReceiveTooLargeError(size, limit)

    def _take_awaited(
        self, buffer: ReceiveBuffer, mark: int, size: int, ready: list[Reply]
    ) -> bool:
        if len(buffer) < size + len(CRLF):
            return False
        if buffer.peek(len(CRLF), size) != CRLF:
            raise RemoteProtocolError("expected a line end after a value")
        value = buffer.take(size)
        buffer.shift(len(CRLF))
        self._awaited = None
        self._put(as_value(mark, value), ready)
        return True

    def _walk(self, pieces: list[bytes], ready: list[Reply]) -> int:
        """Go through pieces, of which all but the last are whole; return how many were taken."""
        at, last, stack = 0, len(pieces) - 1, self._stack
        sizes = _SIZES if self.max_message_size >= _MIN_LIMIT else {}
        while at < last:
            head = pieces[at]
            at += 1
            size = sizes.get(head)
            # A value with a line end in it has been cut, and then the lengths disagree.
            if size is None or at == last or len(pieces[at]) != size:
                at = self._take(head, pieces, at, ready)
                if self._awaited is not None:
                    break
            elif stack:
                self._put_value(head, pieces[at], ready)
                at += 1
            else:
                ready.append(pieces[at])
                at += 1
        return at

    def _put_value(self, head: bytes, value: bytes, ready: list[Reply]) -> None:
        self._count(len(head) + len(value) + 2 * len(CRLF))
        if self._stack[-1].mark == _STRING:
            raise RemoteProtocolError("a streamed string has something else than chunks")
        self._put(value, ready)

    def _take(self, head: bytes, pieces: list[bytes], at: int, ready: list[Reply]) -> int:
        """Take what begins with the line `head`; return which piece is the next."""
        self._count(len(head) + len(CRLF))
        if not head:
            raise RemoteProtocolError("an empty line where a reply should begin")
        mark = head[0]
        if (mark == _CHUNK) != bool(self._stack and self._stack[-1].mark == _STRING):
            raise RemoteProtocolError(f"{brief(head)} is out of place in or without a stream")
        if head in _FIXED:
            self._put(_FIXED[head], ready)
        elif mark in _BULKS:
            return self._take_bulk(head, pieces, at, ready)
        elif mark in _AGGREGATES:
            self._open(head, ready)
        elif mark == _END:
            self._close(head, ready)
        else:
            self._check_line(len(head))
            self._put(as_scalar(head), ready)
        return at

    def _count(self, size: int) -> None:
        """Add to the bytes of the reply that is coming."""
        self._used += size
        if self._used > self.max_message_size:
            raise ReceiveTooLargeError(self._used, self.max_message_size)

    def _put(self, value: Reply, ready: list[Reply]) -> None:
        """Put a whole reply where it belongs, and what becomes whole with it."""
        stack = self._stack
        while stack:
            top = stack[-1]
            top.items.append(value)
            top.missing -= 1
            if top.missing:
                return
            if top.mark == _ATTRIBUTES and top.attributes is None:
                # The reply that has them comes next, and takes their place.
                top.attributes, top.items, top.missing = as_dict(top.items), [], 1
                return
            stack.pop()
            value = self._whole(top)
        self._used = 0
        ready.append(value)

    def _whole(self, done: _Open) -> Reply:
        if done.mark != _ATTRIBUTES:
            return _MAKERS[done.mark](done.items)
        (reply,) = done.items
        return Attributed(reply, done.attributes) if self.keep_attributes else reply

    # Values with a length, or in chunks

    def _take_bulk(self, head: bytes, pieces: list[bytes], at: int, ready: list[Reply]) -> int:
        mark = head[0]
        if head == b"$?":
            self._push(_Open(mark, _STREAMED))
            return at
        size = _parse_size(head)
        if mark == _CHUNK and not size:
            self._finish_stream(ready)
            return at
        self._count(size + len(CRLF))
        end, last = at, len(pieces) - 1
        found = len(pieces[at])
        while found < size and end < last:
            end += 1
            found += len(CRLF) + len(pieces[end])
        if end == last:
            self._awaited = mark, size
            return at
        if found != size:
            raise RemoteProtocolError("expected a line end after a value")
        self._put(as_value(mark, CRLF.join(pieces[at : end + 1])), ready)
        return end + 1

    # Aggregates

    def _open(self, head: bytes, ready: list[Reply]) -> None:
        mark = head[0]
        if head in _STREAMS:
            self._push(_Open(mark, _STREAMED))
            return
        missing = _parse_size(head) * (2 if mark in _PAIRS else 1)
        if (least := self._used + missing * _MIN_ELEMENT) > self.max_message_size:
            raise ReceiveTooLargeError(least, self.max_message_size)
        self._push(_Open(mark, missing))
        if not missing and mark != _ATTRIBUTES:
            self._put(_MAKERS[self._stack.pop().mark]([]), ready)
        elif not missing:
            self._stack.pop()

    def _push(self, new: _Open) -> None:
        if len(self._stack) >= self.max_nesting:
            raise RemoteProtocolError(f"reply nested deeper than max_nesting ({self.max_nesting})")
        self._stack.append(new)

    def _close(self, head: bytes, ready: list[Reply]) -> None:
        """End an aggregate that came without its size."""
        top = self._stack[-1] if self._stack else None
        if head != b"." or top is None or top.missing >= 0:
            raise RemoteProtocolError(f"{brief(head)} ends nothing")
        if top.mark == _MAP and len(top.items) % 2:
            raise RemoteProtocolError("a map ended after a key")
        self._finish_stream(ready)

    def _finish_stream(self, ready: list[Reply]) -> None:
        self._put(self._whole(self._stack.pop()), ready)


def _raise(error: Exception) -> Iterator[Reply]:
    raise error
    yield  # makes it a generator


def _parse_size(head: bytes) -> int:
    size = parse_integer(head[1:])
    if size is None or size < 0:
        raise RemoteProtocolError(f"{brief(head)} has no good length")
    return size


_MAKERS: Final[dict[int, Callable[[list[Reply]], Reply]]] = {
    ord("*"): list,
    ord("%"): as_dict,
    ord("~"): SetReply,
    ord(">"): Push,
    _STRING: lambda chunks: b"".join(cast("list[bytes]", chunks)),
}
