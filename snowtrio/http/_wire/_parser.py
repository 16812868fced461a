"""Where messages begin and end, and what llhttp finds in between.

llhttp (through httptools) reads heads and chunks; why it does, and what is checked besides, stands
in docs/decisions/0010. It tells what it has found, but not where, so that it is never given the
bytes of two messages at once: heads end with the first empty line, and so do bodies in chunks, if
it says so there. A body of a known length, or one up to the end of input, is cut out without it.

That is also why nothing here depends on how the bytes come in pieces: limits are measured from the
first byte of a message, at the same places whatever a read brings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from ..._buffer import ReceiveBuffer
from ..._errors import IncompleteFrameError
from .._errors import BadMessageError
from ._chunks import Chunks
from ._events import EndOfMessage, Fields, RequestHead, ResponseHead
from ._limits import HeadLimits

HeadT = TypeVar("HeadT", RequestHead, ResponseHead)
ParserT = TypeVar("ParserT", HttpRequestParser, HttpResponseParser)

# A read full of tiny messages is parsed a slice at a time, so that what is decoded and waits stays
# within some hundreds of heads. Bodies are cut out of a read whole.
SLICE = 16 * 1024

EMPTY_LINE = b"\r\n\r\n"


class Found:
    """What llhttp finds: it calls these methods.

    It knows no parser, and nothing that does: each would keep the other alive.
    """

    __slots__ = ("complete", "fields", "pieces", "size", "target")

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        """Of a body in chunks."""
        self.size = 0
        """Bytes of it that have come."""
        self.complete = False
        """Whether the message has ended, as llhttp sees it."""

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the target."""
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, of the head or behind the body."""
        self.fields.append((name.lower(), value.rstrip(b" \t")))

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self.pieces.append(data)
        self.size += len(data)

    def on_message_complete(self) -> None:
        """Note the end."""
        self.complete = True

    def take_fields(self) -> list[tuple[bytes, bytes]]:
        """Return the fields that have come, and begin with none."""
        fields, self.fields = self.fields, []
        return fields


class Until(Enum):
    """Where a body ends that has no length."""

    LAST_CHUNK = "behind its last chunk"
    END_OF_INPUT = "with the input"


class MessageDecoder(ABC, Generic[HeadT, ParserT]):
    """Bytes to events, for one side.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._max_head_size = limits.max_head_size
        self._found = Found()
        self._parser: ParserT = self._make_parser()
        self._events: list[HeadT | bytes | EndOfMessage] = []
        self._part = bytearray()  # A head as far as it has come.
        self._head: HeadT | None = None  # One that waits for its body.
        self._left: int | Until = 0
        self._chunks: Chunks | None = None
        self.body_size = 0
        """Bytes that have come of the last body."""
        self.goes_on = True
        """Whether another message may follow the last one."""
        self.boundary = False
        """Whether what stands behind the head is not decoded until somebody decides."""
        self.deaf = False
        """Whether nothing more is believed."""

    @property
    def in_head(self) -> bool:
        """Whether a message has begun whose head is not complete."""
        return bool(self._part)

    @property
    def in_body(self) -> bool:
        """Whether a head has come whose body is not complete."""
        return bool(self._left)

    @property
    def ends_with_input(self) -> bool:
        """Whether the body that is coming has no other end than that of the input."""
        return self._left is Until.END_OF_INPUT

    # What the sides differ in

    @abstractmethod
    def _make_parser(self) -> ParserT:
        """Return a parser that tells what it finds."""

    @abstractmethod
    def _skip_line_ends(self, data: bytes, at: int) -> int:
        """Skip line ends before a message, or refuse them; return where they end.

        A CR that may be half a line end is left.
        """

    @abstractmethod
    def _make_head(self, raw: bytes, fields: Fields, *, upgrade: bool) -> tuple[HeadT, int | Until]:
        """Return a head and how long its body is, or refuse it."""

    # Decoding

    def decode(self, buffer: ReceiveBuffer) -> Iterable[HeadT | bytes | EndOfMessage]:
        """Take what is there; see `snowtrio.Codec.decode`."""
        if len(buffer) > SLICE and not self._left:
            return self._decode_slices(buffer)
        return self._decode_data(buffer.take_all(), buffer)

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[HeadT | bytes | EndOfMessage]:
        """Say what the end of input means.

        Raises:
            IncompleteFrameError: it came inside a message.
        """
        if (self._part or self._left) and not self.deaf:
            raise IncompleteFrameError(bytes(self._part))
        return ()

    def _decode_slices(self, buffer: ReceiveBuffer) -> Iterator[HeadT | bytes | EndOfMessage]:
        size = 0
        while buffer and not buffer.paused and len(buffer) != size:
            size = len(buffer)
            yield from self._decode_data(buffer.take(min(size, SLICE)), buffer)

    def _decode_data(
        self, data: bytes, buffer: ReceiveBuffer
    ) -> Iterable[HeadT | bytes | EndOfMessage]:
        """Decode what has been taken out of the buffer, and put back what is too early."""
        failure: BadMessageError | None = None
        try:
            taken = self._take(data, buffer)
        except BadMessageError as error:
            self.deaf, taken, failure = True, len(data), error
        if taken < len(data):
            rest = buffer.take_all()
            buffer.append(data[taken:])
            buffer.append(rest)
        if self._left:
            self._give_part()
        events, self._events = self._events, []
        return events if failure is None else give(events, failure)

    def _take(self, data: bytes, buffer: ReceiveBuffer) -> int:
        """Take messages and parts of them; return where those end that could be taken."""
        at, size = 0, len(data)
        while at < size:
            if self.deaf:
                return size
            begun = at
            left = self._left
            if not left:
                at = self._take_head(data, at)
                if self.boundary:
                    self.boundary = False
                    buffer.pause()
                    break
            elif left is Until.LAST_CHUNK:
                at = self._take_chunks(data, at)
            else:
                at = self._take_body(data, at, left)
            if at == begun:
                break
        return at

    def _take_head(self, data: bytes, at: int) -> int:
        if not self._part:
            if data[at] in b"\r\n":
                at = self._skip_line_ends(data, at)
                if data[at : at + 1] in (b"", b"\r"):
                    return at
            end = data.find(EMPTY_LINE, at) + 4
            if 4 <= end <= at + self._max_head_size:
                raw = data[at:end]
                self._end_head(raw, upgrade=self._feed_head(raw))
                return end
        return self._take_part(data, at)

    def _take_part(self, data: bytes, at: int) -> int:
        """Take a part of a head, which may be its last."""
        part = self._part
        come = len(part)
        piece = data[at : at + self._max_head_size - come]
        part += piece
        end = part.find(EMPTY_LINE, max(0, come - 3)) + 4
        if end >= 4:
            del part[end:]
            piece = piece[: end - come]
        upgrade = self._feed_head(piece)
        if end >= 4:
            raw = bytes(part)
            part.clear()
            self._end_head(raw, upgrade=upgrade)
        elif self._found.complete:
            raise BadMessageError(505, "HTTP/0.9 is not spoken here")
        elif len(part) == self._max_head_size:
            raise self._too_large()
        return at + len(piece)

    def _too_large(self) -> BadMessageError:
        if len(self._found.target) > self._limits.max_target_size:
            return BadMessageError(414, "the target is too long")
        return BadMessageError(431, "the head is too large")

    def _feed_head(self, data: bytes) -> bool:
        """Have llhttp read bytes of a head; return whether it takes it for the last one."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            return True
        except HttpParserError as error:
            if self._found.complete:
                # Nothing ends before its empty line but a request without a version.
                raise BadMessageError(505, "HTTP/0.9 is not spoken here") from error
            raise BadMessageError(400, str(error)) from error
        return False

    def _end_head(self, raw: bytes, *, upgrade: bool) -> None:
        found = self._found
        fields, found.fields = found.fields, []
        if len(fields) > self._limits.max_fields:
            raise BadMessageError(431, "there are too many header fields")
        head, left = self._make_head(raw, fields, upgrade=upgrade)
        found.target = b""
        self.body_size = 0
        complete, found.complete = found.complete, False
        if left:
            self._left, self._head = left, head
            if left is Until.LAST_CHUNK:
                found.size = 0
                self._chunks = Chunks(self._limits)
                if complete:
                    self._expect_chunks()
            else:
                self._parser = self._make_parser()
            return
        if not complete:
            self._parser = self._make_parser()
        self._events.append(head)
        self.deaf = not self.goes_on

    def _expect_chunks(self) -> None:
        """Have chunks read behind a head for which llhttp expects another protocol's bytes.

        Such an offer is mostly ignored, as that of ``curl --http2`` is, and then the body is a
        body: another parser is told of it.
        """
        raise BadMessageError(400, "there are chunks where none can be")

    # Bodies

    def _take_body(self, data: bytes, at: int, left: int | Until) -> int:
        piece = data[at:] if isinstance(left, Until) else data[at : at + left]
        self._found.pieces.append(piece)
        self.body_size += len(piece)
        if not isinstance(left, Until):
            self._left = left - len(piece)
            if not self._left:
                self._end_body(())
        return at + len(piece)

    def _take_chunks(self, data: bytes, at: int) -> int:
        found, chunks, begun = self._found, self._chunks, at
        assert chunks is not None
        trailers: Fields | None = None
        while trailers is None:
            stop = chunks.find_stop(data, begun, at)
            if stop <= at:
                return at
            trailers = self._feed_chunks(data[at:stop])
            self.body_size = found.size
            chunks.advance(stop - at, found.size, trailers)
            at = stop
        self._end_body(trailers)
        return at

    def _feed_chunks(self, data: bytes) -> Fields | None:
        """Have llhttp read bytes of a body; return the trailers if it ends there."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise BadMessageError(400, str(error)) from error
        return self._found.take_fields() if self._found.complete else None

    def _end_body(self, trailers: Fields) -> None:
        found = self._found
        body, found.pieces = b"".join(found.pieces), []
        head, self._head = self._head, None
        if head is not None:
            head.body, head.trailers = body, trailers
            self._events.append(head)
        else:
            if body:
                self._events.append(body)
            self._events.append(EndOfMessage(trailers))
        self._left = 0
        found.complete = False
        self.deaf = not self.goes_on

    def _give_part(self) -> None:
        """Give what has come of a message whose body has not ended."""
        head, found = self._head, self._found
        if head is not None:
            self._events.append(head)
            self._head = None
        if found.pieces:
            self._events.append(b"".join(found.pieces))
            found.pieces = []


def give(
    events: list[HeadT | bytes | EndOfMessage], failure: Exception
) -> Iterator[HeadT | bytes | EndOfMessage]:
    """Give events, then raise what came behind them."""
    yield from events
    raise failure
