"""Requests as a server reads them."""

from __future__ import annotations

from collections.abc import Iterable

from httptools import HttpRequestParser

from ..._buffer import ReceiveBuffer
from .._errors import BadMessageError
from ._checks import METHODS, check_coding, check_host, check_target, check_version
from ._events import RequestEvent, RequestHead
from ._limits import HeadLimits
from ._parser import Gatherer, MessageDecoder


class RequestGatherer(Gatherer[RequestHead, HttpRequestParser]):
    """What a server takes for a request."""

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self._target = b""
        self.unread_body: RequestHead | None = None
        """A request whose body llhttp took for another protocol's bytes."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._target = b""

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the target."""
        self._target += piece
        if len(self._target) > self._limits.max_target_size:
            raise BadMessageError(414, "the target is too long")
        self._size = len(self._target)

    def on_message_complete(self) -> None:
        """Give the request, or its end."""
        if self.unread_body is None:
            super().on_message_complete()

    def go_on_with(self, head: RequestHead) -> None:
        """Take what comes for the body of this request."""
        self._head = head

    def _make_head(self, parser: HttpRequestParser) -> RequestHead:
        version = parser.get_http_version()
        check_version(version)
        method = METHODS.get(parser.get_method())
        if method is None:
            raise BadMessageError(501, "the method is none of HTTP's")
        known = self._deciding
        host = known.get(b"host")
        check_host(host, version)
        target = self._target
        check_target(method, target, host)
        coding = known.get(b"transfer-encoding")
        if coding is not None:
            check_coding(coding, version)
        length = None if coding is not None else int(known.get(b"content-length", 0))
        if method == "CONNECT" and length != 0:
            raise BadMessageError(400, "a CONNECT has no body")
        self.goes_on = parser.should_keep_alive()
        head = RequestHead(
            method=method,
            target=target.decode("ascii"),
            fields=self._fields,
            body=None,
            http_version=version,
            keep_alive=self.goes_on,
            content_length=length,
        )
        if len(known) > 1 or method == "CONNECT":
            self._look_further(head, parser)
        return head

    def _look_further(self, head: RequestHead, parser: HttpRequestParser) -> None:
        """Note what few requests have."""
        expected = self._deciding.get(b"expect")
        if expected is not None and head.http_version != "1.0":
            if expected.lower() != b"100-continue":
                raise BadMessageError(417, "the only expectation known here is 100-continue")
            head.expects_continue = head.content_length != 0
        if parser.should_upgrade():
            if head.content_length != 0:
                self.unread_body = head
            else:
                self.boundary = True
                head.upgrade = self._deciding.get(b"upgrade", b"").decode("latin-1")


class RequestDecoder(MessageDecoder[RequestHead, HttpRequestParser]):
    """Bytes to requests; one for a connection.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self._requests = RequestGatherer(limits)
        super().__init__(self._requests, limits)

    def _make_parser(self) -> HttpRequestParser:
        return HttpRequestParser(self._requests)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[RequestEvent]:
        """Take what is there."""
        return super().decode(buffer)

    def _after(self, data: bytes, taken: int) -> int:
        head = self._requests.unread_body
        if head is not None:
            self._requests.unread_body = None
            self._expect_body(head)
        return taken

    def _expect_body(self, head: RequestHead) -> None:
        """Have a body parsed that stands behind a head with an ``Upgrade`` field.

        llhttp takes such a body for the other protocol's bytes. But the upgrade is an offer that is
        mostly ignored, as that of ``curl --http2`` is, and then the body is a body: another parser
        is told of it.
        """
        length = b"Transfer-Encoding: chunked"
        if head.content_length is not None:
            length = b"Content-Length: %d" % head.content_length
        close = b"" if head.keep_alive else b"Connection: close\r\n"
        self._parser = self._requests.parser = HttpRequestParser(self._requests)
        self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: -\r\n%b%b\r\n\r\n" % (close, length))
        self._requests.parser = None
        self._requests.go_on_with(head)
