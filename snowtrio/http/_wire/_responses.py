"""Responses as a client reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from httptools import HttpResponseParser

from ..._buffer import ReceiveBuffer
from .._errors import BadMessageError
from ._checks import check_coding, check_version, keeps_alive
from ._events import EndOfMessage, ResponseEvent, ResponseHead
from ._limits import HeadLimits
from ._parser import Gatherer, MessageDecoder


class ResponseGatherer(Gatherer[ResponseHead, HttpResponseParser]):
    """What a client takes for a response."""

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self.asked: deque[str] = deque()
        """The methods of the requests that have no response yet."""
        self.ends_with_input = False
        """Whether the body goes on until the end of input."""
        self.bare: ResponseHead | None = None
        """A response that ends with its head, whatever its fields say: llhttp cannot know."""

    def on_message_begin(self) -> None:
        """Begin a response."""
        if not self.asked:
            raise BadMessageError(502, "the server sent a response that nobody asked for")
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Give the response, or its end."""
        if self.bare is None:
            super().on_message_complete()

    def end_bare(self) -> bytes:
        """End a response that has no body; return what stands behind it."""
        behind, self._pieces = b"".join(self._pieces), []
        self.bare = None
        super().on_message_complete()
        return behind

    def _make_head(self, parser: HttpResponseParser) -> ResponseHead:
        version, status = parser.get_http_version(), parser.get_status_code()
        check_version(version)
        if status < 100:
            raise BadMessageError(502, f"there is no status {status}")
        known = self._deciding
        coding = known.get(b"transfer-encoding")
        if coding is not None:
            check_coding(coding, version)
        length = known.get(b"content-length")
        informational = status < 200 and status != 101
        method = self.asked[0] if informational else self.asked.popleft()
        head = ResponseHead(
            status=status,
            fields=self._fields,
            body=None,
            method=method,
            http_version=version,
            keep_alive=parser.should_keep_alive(),
            content_length=int(length) if length is not None else None,
        )
        if not informational:
            self._decide_end(head, chunked=coding is not None)
        return head

    def _decide_end(self, head: ResponseHead, *, chunked: bool) -> None:
        """Decide where the body ends (RFC 9112 section 6.3)."""
        opened = head.method == "CONNECT" and 200 <= head.status < 300
        bodiless = head.status in (101, 204, 304)
        sized = chunked or head.content_length is not None
        self.boundary = opened or head.status == 101
        if opened and sized:
            raise BadMessageError(502, "the response to a CONNECT has a length")
        if head.method == "HEAD" or opened:
            self.bare = None if bodiless or head.content_length == 0 else head
        if self.bare is not None and not sized:
            # llhttp says no, since it expects a body up to the end of input.
            head.keep_alive = keeps_alive(self._deciding.get(b"connection", b""), head.http_version)
        self.ends_with_input = not (bodiless or sized or self.bare)
        self.goes_on = head.keep_alive


class ResponseDecoder(MessageDecoder[ResponseHead, HttpResponseParser]):
    """Bytes to responses; one for a connection.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self.responses = ResponseGatherer(limits)
        super().__init__(self.responses, limits)

    def _make_parser(self) -> HttpResponseParser:
        return HttpResponseParser(self.responses)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[ResponseEvent]:
        """Take what is there."""
        return super().decode(buffer)

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[ResponseEvent]:
        """End a body that goes on until the end of input."""
        if self.responses.in_body and self.responses.ends_with_input:
            return [EndOfMessage()]
        return super().decode_eof(buffer)

    def _after(self, data: bytes, taken: int) -> int:
        gatherer = self.responses
        head = gatherer.bare
        if head is None:
            return taken
        behind = gatherer.end_bare()
        self._parser = self._make_parser()
        if head.method != "CONNECT" and behind:
            raise BadMessageError(502, "the response to a HEAD has a body")
        return taken - len(behind)  # What stands behind a CONNECT is the tunnel's.
