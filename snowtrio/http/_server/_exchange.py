"""The requests and responses of one connection, one after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeAlias, TypeVar, cast

import trio

from ..._codec import Codec
from ..._connection import Connection
from ..._errors import LocalProtocolError, RemoteProtocolError
from .._errors import BodyTimeoutError, BodyTooLargeError
from .._headers import HeadersToSend, write_field, write_headers
from .._wire import (
    EndOfMessage,
    RequestEvent,
    RequestHead,
    ResponseEvent,
    ResponseHead,
    ServerCoder,
)
from ._date import Dates
from ._file_body import FileBody
from ._limits import HTTPLimits
from ._response import Response

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

HTTPConnection: TypeAlias = Connection[ResponseEvent, RequestEvent, None]


class Exchange:
    """Reads the body of the request that is being answered, and sends the response.

    Parameters:
        connection: whose requests these are.
        limits: the bounds.
        dates: gives the ``Date`` field.
    """

    def __init__(self, connection: HTTPConnection, limits: HTTPLimits, dates: Dates) -> None:
        self.connection = connection
        self.limits = limits
        self.requests = 0
        """Requests that have begun to be answered."""
        self.head: RequestHead | None = None
        """The request that is being answered."""
        self.max_body_size = limits.max_body_size
        self.waits_for_body = False
        self.waited = 0.0
        """Seconds that the handler has waited for the body, as the watch has seen it."""
        self.ending = False
        """Whether the response under way is the last one."""
        self.expired = False
        """Whether the client was too slow."""
        self.responding = False
        """Whether a response has begun."""
        self.upgraded = False
        """Whether the connection speaks another protocol by now."""
        self.body_open = False
        """Whether pieces of a response's body may follow."""
        self.status = 0
        """Of the response that has begun."""
        self.trailers: Any = ()
        self._dates = dates
        self._body_size = 0
        self._body_ended = False
        self._said_continue = False

    def begin(self, head: RequestHead) -> None:
        """Begin to answer a request."""
        self.requests += 1
        self.head = head
        self.max_body_size = self.limits.max_body_size
        self.waited = 0.0
        self.responding = False
        self.trailers = head.trailers
        self._body_size = 0
        self._body_ended = head.body is not None
        self._said_continue = False

    # The request's body

    async def receive_body(self) -> bytes:
        """Return the rest of the body.

        Raises:
            BodyTooLargeError: it is above ``max_body_size``.
            BodyTimeoutError: it comes too slowly.
            RemoteProtocolError: the client left in the middle of it, or broke the protocol.
        """
        head = self.head
        assert head is not None
        if head.body is not None:
            self._check_size(len(head.body))
            body, head.body = head.body, b""
            return body
        pieces: list[bytes] = []
        while (piece := await self.receive_piece()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    async def receive_piece(self) -> bytes | None:
        """Return the next piece of the body, None at its end; raises as `receive_body`."""
        head = self.head
        assert head is not None
        if self._body_ended:
            piece, head.body = head.body, None
            if piece:
                self._check_size(len(piece))
            return piece or None
        self._check_size(head.content_length or 0)
        await self._say_continue(head)
        event = await self._receive_event()
        if isinstance(event, bytes):
            self._body_size += len(event)
            self._check_size(self._body_size)
            return event
        assert isinstance(event, EndOfMessage)
        self.trailers = event.trailers
        self._body_ended = True
        return None

    async def _receive_event(self) -> RequestEvent:
        self.waits_for_body = True
        try:
            return await self.connection.receive()
        except trio.EndOfChannel:
            if self.expired:
                raise BodyTimeoutError from None
            raise RemoteProtocolError("the input ended inside a request's body") from None
        finally:
            self.waits_for_body = False

    def _check_size(self, size: int) -> None:
        limit = self.max_body_size
        if limit is not None and size > limit:
            raise BodyTooLargeError(limit)

    async def _say_continue(self, head: RequestHead) -> None:
        if head.expects_continue and not self._said_continue and not self.responding:
            self._said_continue = True
            await self.connection.send(ResponseHead(status=100))

    # The response

    async def respond(self, response: Response) -> None:
        """Send a response that a handler has returned."""
        body = response.body
        if isinstance(body, bytes):
            await self._send_head(response.status, response.fields, body)
            return
        try:
            await self._send_head(
                response.status, response.fields, None, content_length=response.content_length
            )
            if self.body_open and not await self._sent_as_file(body):
                async for piece in body:
                    await self.send_piece(piece)
            await self.end_response(response.trailers)
        finally:
            if isinstance(body, (AsyncGenerator, FileBody)):
                await cast("AsyncGenerator[Any, None] | FileBody", body).aclose()

    async def _sent_as_file(self, body: object) -> bool:
        """Send a body from the file that it comes from, if it is one and that can be done."""
        if not (isinstance(body, FileBody) and self.connection.can_send_file):
            return False
        return await body.send(self.send_piece, self._send_file)

    async def _send_file(self, descriptor: int, offset: int, size: int) -> None:
        cast("ServerCoder", self.connection.coder).leave_out(size)
        await self.connection.send_file(descriptor, offset, size)

    async def start_response(
        self, status: int, headers: HeadersToSend, content_length: int | None
    ) -> None:
        """Send a head alone; its body follows in pieces."""
        await self._send_head(status, write_headers(headers), None, content_length=content_length)

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

    async def _send_head(
        self,
        status: int,
        fields: list[tuple[bytes, bytes]],
        body: bytes | None,
        *,
        content_length: int | None = None,
    ) -> None:
        head = self.head
        assert head is not None
        if self.responding:
            raise LocalProtocolError("this request has its response already")
        unbounded = body is None and content_length is None and head.http_version == "1.0"
        if not head.keep_alive or unbounded or self._must_end(head):
            self.ending = True
        self.responding = True
        self.status = status
        # RFC 9110 section 6.4.1: what these say of a body, none follows.
        self.body_open = body is None and head.method != "HEAD" and status not in (204, 304)
        await self.connection.send(
            ResponseHead(
                status=status,
                fields=(self._dates.field(), *fields),
                body=body,
                method=head.method,
                http_version=head.http_version,
                keep_alive=not self.ending,
                content_length=content_length,
            )
        )

    def _must_end(self, head: RequestHead) -> bool:
        """Whether the connection cannot go on after this response."""
        if self.ending or self.expired or self.requests == self.limits.max_requests:
            return True
        if self._body_ended:
            return False
        if head.expects_continue and not self._said_continue:
            return True  # Nobody knows whether the client sends its body all the same.
        left = None if head.content_length is None else head.content_length - self._body_size
        return left is None or left > self.limits.max_unread_body

    async def send_piece(self, piece: bytes | str) -> None:
        """Send a piece of a response's body."""
        data = piece.encode() if isinstance(piece, str) else piece
        if data and self.body_open:
            await self.connection.send(data)

    async def end_response(self, trailers: HeadersToSend = ()) -> None:
        """End a response's body; idempotent."""
        if self.body_open:
            self.body_open = False
            await self.connection.send(EndOfMessage(write_headers(trailers)))

    async def upgrade(
        self, protocol: str, codec: Codec[SendT, ReceiveT], headers: HeadersToSend
    ) -> Connection[SendT, ReceiveT, None]:
        """Answer that another protocol is spoken from here on, and speak it."""
        head = self.head
        assert head is not None
        if head.upgrade is None or self.responding:
            raise LocalProtocolError("this request offers no upgrade, or has its response")
        self.responding = self.upgraded = self.ending = True
        self.status = 101
        fields = write_headers(headers)
        if head.method == "CONNECT":
            await self.connection.send(
                ResponseHead(status=200, fields=fields, method="CONNECT", body=b"")
            )
        else:
            fields += [write_field("connection", "upgrade"), write_field("upgrade", protocol)]
            await self.connection.send(ResponseHead(status=101, fields=fields))
        connection = cast("Connection[SendT, ReceiveT, None]", self.connection)
        connection.switch(codec)
        return connection

    # Behind the response

    async def finish(self) -> bool:
        """Bring the request to its end; say whether another one may follow."""
        if self.body_open:
            await self.end_response()
        while not (self._body_ended or self.ending):
            self.max_body_size = None
            await self.receive_piece()
        head, self.head = self.head, None
        if self.ending:
            return False
        if head is not None and head.upgrade is not None:
            # An offer that was not taken: what stands behind the request is one more request.
            self.connection.switch(self.connection.coder)
        return True
