"""The response to the request that is being answered, in all the ways in which it can leave."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import cast

import trio

from ..._errors import LocalProtocolError
from .._errors import HTTPError
from .._headers import HeadersToSend, write_headers
from .._wire import EndOfMessage, Fields, RequestHead, ResponseHead, ServerCoder
from ._body_reader import BodyReader, HTTPConnection
from ._file_body import FileBody
from ._response import Response
from ._service import Service

_STAMPED = frozenset((b"date", b"server"))


class Responder(BodyReader):
    """Sends the response, and decides whether the connection can go on after it.

    The parameters are those of `BodyReader`.
    """

    __slots__ = (
        "_bodiless",
        "body_open",
        "ending",
        "requests",
        "sending_file",
        "sent",
        "status",
        "upgraded",
    )

    def __init__(self, connection: HTTPConnection, service: Service) -> None:
        super().__init__(connection, service)
        self.requests: int = 0
        """Requests of this connection that have begun to be answered."""
        self.ending = False
        """Whether the response under way, or the next one, is the last."""
        self.upgraded = False
        """Whether the connection speaks another protocol by now."""
        self.body_open = False
        """Whether pieces of a response's body may follow."""
        self._bodiless = False
        self.status = 0
        """Of the response that has begun."""
        self.sent = 0
        """Bytes of its body."""
        self.sending_file = False

    def respond_nowait(self, response: Response) -> bool:
        """Send a response with its whole body if there is room for it now; say whether it was.

        As nearly always there is: three coroutines less.
        """
        body = response.body
        if not isinstance(body, bytes) or response.content_length is not None:
            return False
        status = response.status
        try:
            self.connection.send_nowait(self._begin(status, response.fields, body, None))
        except trio.WouldBlock:
            return False
        self.responding = True
        self.body_open = self._bodiless = False
        self.status, self.sent = status, len(body)
        self.service.tally.classes[status // 100] += 1
        return True

    def send_whole_nowait(self, status: int, fields: Fields, body: bytes) -> bool:
        """Send a head and its body as `respond_nowait` does, with fields as on the wire."""
        head = self._begin(status, fields, body, None)
        try:
            self.connection.send_nowait(head)
        except trio.WouldBlock:
            return False
        self.responding = True
        self._note_begun(head)
        return True

    async def respond(self, response: Response) -> None:
        """Send a response that a handler has returned, and close its body's iterator."""
        body = response.body
        if not isinstance(body, bytes):
            await self._stream(response, body)
            return
        head = self._begin(response.status, response.fields, body, None)
        if response.content_length is not None:
            _announce(head, response.content_length)
        await self._send(head)

    async def _stream(self, response: Response, body: AsyncIterable[bytes | str]) -> None:
        try:
            await self.send_head(
                response.status, response.fields, None, content_length=response.content_length
            )
            if self.body_open and not await self._sent_as_file(body):
                async for piece in body:
                    await self.send_piece(piece)
            await self.end_response(response.trailers)
        finally:
            aclose = getattr(body, "aclose", None)
            if aclose is not None:
                await aclose()

    async def _sent_as_file(self, body: object) -> bool:
        """Send a body from the file that it comes from, if it is one and that can be done."""
        if not (isinstance(body, FileBody) and self.connection.can_send_file):
            return False
        return await body.send(self.send_piece, self._send_file)

    async def _send_file(self, descriptor: int, offset: int, size: int) -> None:
        cast("ServerCoder", self.connection.coder).leave_out(size)
        self.sending_file = True
        try:
            await self.connection.send_file(descriptor, offset, size)
        finally:
            self.sending_file = False
        self.sent += size

    @property
    def has_untaken(self) -> bool:
        """Whether a response is under way of which the client has bytes to take."""
        if self.head is None or self.upgraded:
            return False
        return self.sending_file or self.connection.pending > 0

    async def send_head(
        self,
        status: int,
        fields: Fields,
        body: bytes | None,
        *,
        content_length: int | None = None,
    ) -> None:
        """Send a head with fields as they stand on the wire, and its body if that is known."""
        await self._send(self._begin(status, fields, body, content_length))

    def _begin(
        self, status: int, fields: Fields, body: bytes | None, content_length: int | None
    ) -> ResponseHead:
        """Return the head of a response that may be sent now."""
        head = self.head
        assert head is not None
        if self.responding:
            raise LocalProtocolError("this request has its response already")
        if head.method == "CONNECT" and status < 300:
            raise HTTPError(501, "no tunnels are opened here")
        plain = self.body_ended and body is not None  # as nearly all are
        if (
            self.expired
            or not head.keep_alive
            or self.requests == self.service.limits.max_requests
            # What follows may be meant for whom the tunnel would have led to.
            or head.method == "CONNECT"
            or (not plain and self._must_end(head, body, content_length))
        ):
            self.ending = True
        stamp: Fields = self.service.stamp.fields()
        for name, _ in fields:
            if name in _STAMPED:
                stamp = [each for each in stamp if each[0] != name]
        return ResponseHead(
            status,
            (*stamp, *fields),
            body,
            head.method,
            head.http_version,
            not self.ending,
            content_length,
            (),
        )

    def _must_end(self, head: RequestHead, body: bytes | None, content_length: int | None) -> bool:
        """Whether the connection cannot go on after this response."""
        if body is None and content_length is None and head.http_version == "1.0":
            return True  # Its body has no other end.
        if self.body_ended:
            return False
        if head.expects_continue and not self.said_continue:
            return True  # Nobody knows whether the client sends its body all the same.
        left = self.left
        too_long = left is None or left > self.service.limits.max_unread_body
        return too_long and body is not None  # A handler that streams may read it yet.

    async def _send(self, head: ResponseHead) -> None:
        """Send a head. Where that fails, or is cancelled, no response has begun."""
        self.responding = True
        try:
            await self.connection.send(head)
        except BaseException:
            self.responding = False
            raise
        self._note_begun(head)

    def _note_begun(self, head: ResponseHead) -> None:
        status, body = head.status, head.body
        if body is None:
            # RFC 9110 section 6.4.1: what these say of a body, none follows.
            self.body_open = head.method != "HEAD" and status not in (204, 304)
            self._bodiless = not self.body_open
            self.sent = 0
        else:
            self.body_open = self._bodiless = False
            self.sent = len(body)
        self.status = status
        self.service.tally.classes[status // 100] += 1

    async def send_piece(self, piece: bytes | str) -> None:
        """Send a piece of a response's body; nothing is sent where it cannot have one."""
        data = piece.encode() if isinstance(piece, str) else piece
        if not self.body_open:
            if self._bodiless:
                return
            raise LocalProtocolError("the body of this response has ended")
        if data:
            await self.connection.send(data)
            self.sent += len(data)

    async def end_response(self, trailers: HeadersToSend = ()) -> None:
        """End a response's body; idempotent."""
        if not self.body_open:
            return
        fields = write_headers(trailers)
        if self.head is not None and self.head.http_version == "1.0":
            fields = []  # It has no place for them.
        await self.connection.send(EndOfMessage(fields))
        self.body_open = False

    async def send_informational(self, status: int, headers: HeadersToSend) -> None:
        """Send a response before the response."""
        if not 102 <= status <= 199:
            raise ValueError(f"an informational response has a status of 102 to 199, not {status}")
        head = self.head
        assert head is not None
        if self.responding:
            raise LocalProtocolError("the response has begun")
        if head.http_version != "1.0":
            await self.connection.send(ResponseHead(status=status, fields=write_headers(headers)))


def _announce(head: ResponseHead, content_length: int) -> None:
    """Note the length that a handler gave beside a whole body."""
    if head.method == "HEAD" and not head.body:
        head.body, head.content_length = None, content_length
    elif head.body is not None and len(head.body) != content_length:
        raise LocalProtocolError(
            f"the body has {len(head.body)} bytes, and {content_length} were announced"
        )
