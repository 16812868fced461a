"""The requests and responses of one connection, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, cast

import trio

from ..._codec import Codec
from ..._connection import Connection
from ..._errors import ConnectionClosedError, ConnectionLostError, LocalProtocolError
from .._errors import HTTPError
from .._headers import HeadersToSend, write_field, write_headers
from .._wire import EndOfMessage, Fields, RequestHead, ResponseHead, ServerCoder
from ._body_reader import BodyReader, HTTPConnection
from ._file_body import FileBody
from ._response import Response
from ._service import Service

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

_STAMPED = frozenset((b"date", b"server"))

Goodbye: TypeAlias = Callable[[Connection[SendT, ReceiveT, None]], Awaitable[None]]


class Exchange(BodyReader):
    """Reads the body of the request that is being answered, and sends the response.

    The parameters are those of `BodyReader`.
    """

    __slots__ = (
        "_bodiless",
        "body_open",
        "draining",
        "early",
        "ending",
        "goodbye",
        "requests",
        "sending_file",
        "sent",
        "sequence",
        "status",
        "upgraded",
    )

    def __init__(self, connection: HTTPConnection, service: Service) -> None:
        super().__init__(connection, service)
        self.requests = 0
        """Requests of this connection that have begun to be answered."""
        self.sequence = 0
        """Which of the server's requests is being answered."""
        self.ending = False
        """Whether the response under way, or the next one, is the last."""
        self.draining = False
        """Whether the server has asked the connection to end."""
        self.upgraded = False
        """Whether the connection speaks another protocol by now."""
        self.goodbye: Goodbye[Any, Any] | None = None
        """How that protocol parts."""
        self.body_open = False
        """Whether pieces of a response's body may follow."""
        self._bodiless = False
        self.status = 0
        """Of the response that has begun."""
        self.sent = 0
        """Bytes of its body."""
        self.sending_file = False
        self.early: RequestHead | None = None
        """A request that came while the one before it was answered."""

    def begin(self, head: RequestHead) -> None:
        """Begin to answer a request."""
        tally = self.service.tally
        tally.requests += 1
        self.sequence = tally.requests
        self.requests += 1
        self.begin_body(head)

    # Requests that come early

    async def wait_disconnected(self) -> None:
        """Return once the client has ended its input or is lost; keep a request that comes."""
        if not self.body_ended:
            raise LocalProtocolError("a client is only watched once the body has been read")
        if self.early is not None:
            await trio.sleep_forever()
        try:
            event = await self.connection.receive()
        except (trio.EndOfChannel, ConnectionLostError, ConnectionClosedError):
            await trio.lowlevel.checkpoint()
            return
        assert isinstance(event, RequestHead)
        self.early = event
        await trio.sleep_forever()

    def take_early(self) -> RequestHead | None:
        """Return the request that came early, which is nobody's then."""
        head, self.early = self.early, None
        return head

    # A response

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

    # Another protocol

    async def upgrade(
        self,
        protocol: str,
        codec: Codec[SendT, ReceiveT],
        headers: HeadersToSend,
        goodbye: Goodbye[SendT, ReceiveT] | None,
    ) -> Connection[SendT, ReceiveT, None]:
        """Answer that another protocol is spoken from here on, and speak it."""
        head = self.head
        assert head is not None
        self._check_offer(head, protocol)
        fields = write_headers(headers)
        if head.method == "CONNECT":
            answer = ResponseHead(status=200, fields=fields, method="CONNECT", body=b"")
        else:
            fields += [write_field("connection", "upgrade"), write_field("upgrade", protocol)]
            answer = ResponseHead(status=101, fields=fields)
        await self._send(answer)
        self.upgraded = self.ending = True
        self.goodbye = goodbye
        connection = cast("Connection[SendT, ReceiveT, None]", self.connection)
        connection.switch(codec)
        if self.draining:  # It was asked to end while the answer left.
            await self.part()
        return connection

    def _check_offer(self, head: RequestHead, protocol: str) -> None:
        if head.upgrade is None:
            raise LocalProtocolError("this request offers no other protocol")
        if self.responding:
            raise LocalProtocolError("this request has its response already")
        offered = [each.strip().lower() for each in head.upgrade.split(",")]
        if head.method != "CONNECT" and protocol.lower() not in offered:
            raise LocalProtocolError(f"the client has not offered {protocol!r}")
        if self.ending:
            raise HTTPError(503, "this connection is about to end", headers={"Retry-After": "1"})

    async def part(self) -> None:
        """End a connection that speaks another protocol."""
        if self.goodbye is not None:
            await self.goodbye(self.connection)
        else:
            self.connection.stop_receiving()

    # Behind the response

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do for this request, as is nearly always so."""
        head = self.head
        return (
            self.body_ended
            and not (self.body_open or self.ending)
            and head is not None
            and head.upgrade is None
        )

    async def finish(self) -> bool:
        """Bring the request to its end; say whether another one may follow.

        Raises:
            LocalProtocolError: the response's body is shorter than was announced.
        """
        await self.end_response()
        head = self.head
        if self.ending or head is None or not (self.body_ended or await self._discarded()):
            self.ending = True
            return False
        if head.upgrade is not None:
            # An offer that was not taken: what stands behind the request is one more request.
            self.connection.switch(self.connection.coder)
        return True

    async def _discarded(self) -> bool:
        """Throw the rest of the request's body away; say whether the connection can go on."""
        left = self.left
        if left is not None and left > self.service.limits.max_unread_body:
            return False
        try:
            return await self.discard() and not self.ending
        except HTTPError:
            return False
        except trio.BrokenResourceError as error:
            if error is self.failure:
                return False
            raise

    async def cut(self) -> None:
        """End the connection so that the client can see that the response is not whole."""
        self.ending = True
        with suppress(ConnectionClosedError):  # It has been cut, by a file that became shorter.
            await self.connection.flush()
        self.connection.drop(reset=self.looks_whole)

    @property
    def looks_whole(self) -> bool:
        """Whether the response under way would seem to be complete if the connection ended now."""
        coder = self.connection.coder
        return isinstance(coder, ServerCoder) and coder.ends_with_output


def _announce(head: ResponseHead, content_length: int) -> None:
    """Note the length that a handler gave beside a whole body."""
    if head.method == "HEAD" and not head.body:
        head.body, head.content_length = None, content_length
    elif head.body is not None and len(head.body) != content_length:
        raise LocalProtocolError(
            f"the body has {len(head.body)} bytes, and {content_length} were announced"
        )
