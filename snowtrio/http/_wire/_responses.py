"""Responses as a client reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from httptools import HttpResponseParser

from ..._buffer import ReceiveBuffer
from .._errors import BadMessageError
from ._checks import check_coding, check_status_line, find_deciding, keeps_alive
from ._events import EndOfMessage, Fields, ResponseEvent, ResponseHead
from ._limits import HeadLimits
from ._parser import MessageDecoder, Until


class ResponseDecoder(MessageDecoder[ResponseHead, HttpResponseParser]):
    """Bytes to responses; one for a connection. Whatever is wrong with one is a 502.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self.asked: deque[str] = deque()
        """The methods of the requests that have no response yet."""

    def _make_parser(self) -> HttpResponseParser:
        return HttpResponseParser(self._found)

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[ResponseEvent]:
        """End a body that goes on until the end of input."""
        if self.ends_with_input and not self.deaf:
            self._end_body(())
            return [EndOfMessage()]
        return super().decode_eof(buffer)

    def _take(self, data: bytes, buffer: ReceiveBuffer) -> int:
        try:
            return super()._take(data, buffer)
        except BadMessageError as error:
            raise BadMessageError(502, error.reason) from error

    def _take_head(self, data: bytes, at: int) -> int:
        if not self.asked:
            raise BadMessageError(502, "the server sent a response that nobody asked for")
        return super()._take_head(data, at)

    def _skip_line_ends(self, data: bytes, at: int) -> int:
        raise BadMessageError(502, "there is a line end before a response")

    def _make_head(
        self, raw: bytes, fields: Fields, *, upgrade: bool
    ) -> tuple[ResponseHead, int | Until]:
        status = self._parser.get_status_code()
        version = check_status_line(raw, status)
        known = find_deciding(fields)
        coding, length = known.get(b"transfer-encoding"), known.get(b"content-length")
        if coding is not None:
            check_coding(coding, version)
        informational = status < 200 and status != 101
        head = ResponseHead(
            status=status,
            fields=fields,
            method=self.asked[0] if informational else self.asked.popleft(),
            http_version=version,
            keep_alive=keeps_alive(known.get(b"connection", b""), version),
            content_length=int(length) if length is not None else None,
        )
        if status < 200:
            if coding is not None or head.content_length:
                raise BadMessageError(502, "an informational response has a body")
            self.boundary = not informational
            return head, 0
        return head, self._decide_end(head, chunked=coding is not None)

    def _decide_end(self, head: ResponseHead, *, chunked: bool) -> int | Until:
        """Decide where the body ends (RFC 9112 section 6.3)."""
        left = Until.LAST_CHUNK if chunked else head.content_length
        if head.method == "CONNECT" and head.status < 300:
            if left:  # Proxies that say 0 mean well.
                raise BadMessageError(502, "the response to a CONNECT has a length")
            self.boundary = True
            left = 0
        elif head.status == 204 and left:
            # It has none, but a server that announces one may send it.
            head.keep_alive = False
            left = 0
        elif head.method == "HEAD" or head.status in (204, 304):
            left = 0
        elif left is None:
            head.keep_alive = False
            left = Until.END_OF_INPUT
        self.goes_on = head.keep_alive
        if left:
            head.body = None
        return left
