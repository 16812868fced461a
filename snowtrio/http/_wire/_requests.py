"""Requests as a server reads them."""

from __future__ import annotations

from collections.abc import Iterable

from httptools import HttpRequestParser

from ..._buffer import ReceiveBuffer
from .._errors import BadMessageError
from ._checks import (
    BESIDES_HOST,
    METHODS,
    check_coding,
    check_host,
    check_request_line,
    check_target,
    keeps_alive,
    look_up,
)
from ._events import Fields, RequestEvent, RequestHead
from ._limits import HeadLimits
from ._parser import EMPTY_LINE, SLICE, MessageDecoder, Until, give

# A client that sends one behind a body did so since the nineties (RFC 9112 section 2.2).
_MAX_EMPTY_LINES = 4


class RequestDecoder(MessageDecoder[RequestHead, HttpRequestParser]):
    """Bytes to requests; one for a connection.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self._max_target_size = limits.max_target_size
        self._empty_lines = 0
        self._good_host = b"-"
        self._short = min(limits.max_head_size, SLICE)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[RequestEvent]:
        """Take what is there, as in `MessageDecoder`; one head and no more goes a short way."""
        size = len(buffer)
        if self._left or self._part or self.deaf or size > self._short:
            return super().decode(buffer)
        data = buffer.take_all()
        if data.find(EMPTY_LINE) != size - 4 or size < 5 or data[0] in b"\r\n":
            return self._decode_data(data, buffer)
        try:
            self._end_head(data, upgrade=self._feed_head(data))
        except BadMessageError as error:
            self.deaf = True
            return give(self._events, error)
        if self.boundary:
            self.boundary = False
            buffer.pause()
        if self._left:
            self._give_part()
        events, self._events = self._events, []
        return events

    def _make_parser(self) -> HttpRequestParser:
        return HttpRequestParser(self._found)

    def _skip_line_ends(self, data: bytes, at: int) -> int:
        while data.startswith(b"\r\n", at):
            at += 2
            self._empty_lines += 1
            if self._empty_lines > _MAX_EMPTY_LINES:
                raise BadMessageError(400, "there are too many empty lines before a request")
        if data[at : at + 1] == b"\n" or (data.startswith(b"\r", at) and len(data) > at + 1):
            raise BadMessageError(400, "there is half a line end before a request")
        return at

    def _make_head(
        self, raw: bytes, fields: Fields, *, upgrade: bool
    ) -> tuple[RequestHead, int | Until]:
        self._empty_lines = 0
        target, word = self._found.target, self._parser.get_method()
        if len(target) > self._max_target_size:
            raise BadMessageError(414, "the target is too long")
        version = check_request_line(raw, word, target)
        method = METHODS.get(word)
        if method is None:
            raise BadMessageError(501, "the method is none of HTTP's")
        known = look_up(fields)
        host = known.get(b"host")
        if host != self._good_host:  # A client names the same one over and over.
            self._good_host = check_host(host, version)
        check_target(method, target, host)
        head = RequestHead(
            method, target.decode("ascii"), fields, b"", "1.1", True, 0, False, None, ()
        )
        if host is not None and version == "1.1" and not upgrade and BESIDES_HOST.isdisjoint(known):
            return head, 0
        return head, self._look_further(head, version, known, upgrade=upgrade)

    def _look_further(
        self, head: RequestHead, version: str, known: dict[bytes, bytes], *, upgrade: bool
    ) -> int | Until:
        """Note what not all requests have; return how long the body is."""
        head.http_version = version
        head.keep_alive = self.goes_on = keeps_alive(known.get(b"connection", b""), version)
        coding = known.get(b"transfer-encoding")
        if coding is not None:
            check_coding(coding, version)
            head.content_length = None
        else:
            head.content_length = int(known.get(b"content-length", 0))
        if head.method == "CONNECT" and head.content_length != 0:
            raise BadMessageError(400, "a CONNECT has no body")
        expected = known.get(b"expect")
        if expected is not None and version != "1.0":
            if expected.lower() != b"100-continue":
                raise BadMessageError(417, "the only expectation known here is 100-continue")
            head.expects_continue = head.content_length != 0
        # RFC 9110 section 7.8: an offer in HTTP/1.0 is none.
        if upgrade and head.content_length == 0 and (version != "1.0" or head.method == "CONNECT"):
            self.boundary = True
            head.upgrade = known.get(b"upgrade", b"").decode("latin-1")
        if head.content_length == 0:
            return 0
        head.body = None
        return Until.LAST_CHUNK if head.content_length is None else head.content_length

    def _expect_chunks(self) -> None:
        self._parser = self._make_parser()
        self._parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._found.take_fields()
        self._found.target = b""
