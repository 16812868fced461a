"""What llhttp tells, gathered into events.

llhttp (through httptools) was chosen over h11 for what it refuses: h11 0.16 takes a bare LF for a
line end and unfolds folded lines, so that it and a proxy before it can see different messages. The
speed, some 20 times h11's, came second. What llhttp lets through is refused in ``_checks``, and
what it would gather without a bound is counted here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from ..._buffer import ReceiveBuffer
from ..._errors import IncompleteFrameError
from .._errors import BadMessageError
from ._events import EndOfMessage, RequestHead, ResponseHead
from ._limits import HeadLimits

HeadT = TypeVar("HeadT", RequestHead, ResponseHead)
ParserT = TypeVar("ParserT", HttpRequestParser, HttpResponseParser)

# A read full of tiny messages is parsed a slice at a time, so that what is decoded and waits stays
# within some hundreds of heads. Bodies are cut out of a read whole.
_SLICE = 16 * 1024

# Chunks of one byte have five of framing; these many, and a head's worth besides, are believed.
_OVERHEAD_PER_BYTE = 8

# What decides over the message itself; the others are only carried.
_DECIDING = frozenset(
    (b"host", b"connection", b"transfer-encoding", b"content-length", b"expect", b"upgrade")
)


class Gatherer(ABC, Generic[HeadT, ParserT]):
    """Takes llhttp's callbacks; one for a connection.

    It knows the parser only while that runs: each would keep the other alive otherwise.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self.parser: ParserT | None = None
        self.events: list[HeadT | bytes | EndOfMessage] = []
        self.begun = False
        """Whether a message has begun that is not complete."""
        self.in_body = False
        """Whether its head is complete."""
        self.body_size = 0
        """Bytes of its body that have come."""
        self.goes_on = True
        """Whether another message may follow the last one."""
        self.boundary = False
        """Whether what stands behind the message is not decoded until somebody decides."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._deciding: dict[bytes, bytes] = {}
        self._head: HeadT | None = None
        self._pieces: list[bytes] = []

    # Callbacks

    def on_message_begin(self) -> None:
        """Begin a message."""
        self.begun, self.in_body = True, False
        self._begin_fields()
        self._deciding = {}
        self.body_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, of the head or behind the body."""
        name = name.lower()
        value = value.rstrip(b" \t")
        self._size += len(name) + len(value) + 4
        if self._size > self._limits.max_head_size:
            raise BadMessageError(431, "the header fields are too large")
        self._fields.append((name, value))
        if len(self._fields) > self._limits.max_fields:
            raise BadMessageError(431, "there are too many header fields")
        if name in _DECIDING and not self.in_body:
            self._decide(name, value)

    def on_headers_complete(self) -> None:
        """Make the head."""
        assert self.parser is not None
        self._head = self._make_head(self.parser)
        self.in_body = True
        self._begin_fields()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(data)
        self.body_size += len(data)

    def on_message_complete(self) -> None:
        """Give the message, or its end if the head has been given."""
        head, pieces = self._head, self._pieces
        if head is not None:
            head.body = b"".join(pieces) if pieces else b""
            head.trailers = self._fields
            self._head = None
            self.events.append(head)
        else:
            if pieces:
                self.events.append(b"".join(pieces))
            self.events.append(EndOfMessage(self._fields))
        if pieces:
            self._pieces = []
        self.begun = self.in_body = False

    # Between callbacks

    @abstractmethod
    def _make_head(self, parser: ParserT) -> HeadT:
        """Return the head, with no body yet, or refuse it."""

    def take_events(self) -> list[HeadT | bytes | EndOfMessage]:
        """Return what has come, as far as it can be given."""
        events, self.events = self.events, []
        if self._head is not None:
            events.append(self._head)
            self._head = None
        if self._pieces:
            events.append(b"".join(self._pieces))
            self._pieces = []
        return events

    def _begin_fields(self) -> None:
        self._fields, self._size = [], 0

    def _decide(self, name: bytes, value: bytes) -> None:
        known = self._deciding
        if name not in known:
            known[name] = value
        elif name in (b"host", b"content-length", b"transfer-encoding"):
            raise BadMessageError(400, f"there are two {name.decode()} fields")
        else:
            known[name] = b"%b, %b" % (known[name], value)


class MessageDecoder(ABC, Generic[HeadT, ParserT]):
    """Bytes to events, for one side.

    Parameters:
        gatherer: takes what the parser finds.
        limits: of the heads.
    """

    def __init__(self, gatherer: Gatherer[HeadT, ParserT], limits: HeadLimits) -> None:
        self.gatherer: Gatherer[HeadT, ParserT] = gatherer
        self._max_head_size = limits.max_head_size
        self._parser: ParserT = self._make_parser()
        self._fed_head = self._fed_body = 0
        self.deaf = False

    @abstractmethod
    def _make_parser(self) -> ParserT:
        """Return a parser that tells the gatherer."""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[HeadT | bytes | EndOfMessage]:
        """Take what is there; see `snowtrio.Codec.decode`."""
        if len(buffer) > _SLICE and not self.gatherer.in_body:
            return self._decode_slices(buffer)
        failure = None
        while buffer and not buffer.paused and failure is None:
            failure = self._feed(buffer, buffer.peek(len(buffer)))
        events = self.gatherer.take_events()
        return events if failure is None else _give(events, failure)

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[HeadT | bytes | EndOfMessage]:
        """Say what the end of input means.

        Raises:
            IncompleteFrameError: it came inside a message.
        """
        if self.gatherer.begun and not self.deaf:
            raise IncompleteFrameError(b"")
        return ()

    def _decode_slices(self, buffer: ReceiveBuffer) -> Iterator[HeadT | bytes | EndOfMessage]:
        while buffer and not buffer.paused:
            failure = self._feed(buffer, buffer.peek(_SLICE))
            yield from self.gatherer.take_events()
            if failure is not None:
                raise failure

    def _feed(self, buffer: ReceiveBuffer, data: bytes) -> Exception | None:
        """Parse bytes from the front of the buffer and take them; return why that failed."""
        gatherer = self.gatherer
        if self.deaf:
            buffer.shift(len(data))
            return None
        gatherer.parser = self._parser
        failure: Exception | None = None
        taken = len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            taken = upgrade.args[0]
        except HttpParserError as error:
            failure = self._failed(error)
        gatherer.parser = None
        if gatherer.begun and failure is None:
            failure = self._measure(len(data))
        else:
            self._fed_head = self._fed_body = 0
            self.deaf = not gatherer.goes_on
        if failure is None:
            try:
                taken = self._after(data, taken)
            except BadMessageError as error:
                self.deaf, failure = True, error
            if gatherer.boundary:
                gatherer.boundary = False
                buffer.pause()
        buffer.shift(taken)
        return failure

    def _after(self, data: bytes, taken: int) -> int:
        """Look at what a feed has brought; return how much of it was taken."""
        return taken

    def _failed(self, error: HttpParserError) -> Exception | None:
        gatherer = self.gatherer
        self.deaf = True
        if not (gatherer.goes_on or gatherer.begun):
            return None  # Behind the last message anything may come.
        cause = error.__context__
        if isinstance(cause, Exception):
            return cause  # Raised in a callback of ours.
        return BadMessageError(400, str(error))

    def _measure(self, size: int) -> Exception | None:
        """Count what was fed of a message that is not complete; return why it is refused."""
        if not self.gatherer.in_body:
            self._fed_head += size
            # The read in which it began may have brought others before it.
            if self._fed_head - size > self._max_head_size:
                self.deaf = True
                return BadMessageError(431, "the head is too large")
            return None
        if self._fed_body:
            self._fed_body += size
        else:
            self._fed_body = 1  # The rest of this read was counted with the head.
        believed = self._max_head_size + _OVERHEAD_PER_BYTE * self.gatherer.body_size
        if self._fed_body - self.gatherer.body_size > believed:
            self.deaf = True
            return BadMessageError(400, "the chunks are more framing than body")
        return None


def _give(
    events: list[HeadT | bytes | EndOfMessage], failure: Exception
) -> Iterator[HeadT | bytes | EndOfMessage]:
    yield from events
    raise failure
