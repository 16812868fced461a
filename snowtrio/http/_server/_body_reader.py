"""The body of the request that is being answered."""

from __future__ import annotations

from typing import TypeAlias

import trio

from ..._connection import Connection
from ..._errors import RemoteProtocolError
from .._errors import BadMessageError, BodyTimeoutError, BodyTooLargeError
from .._wire import (
    EndOfMessage,
    Fields,
    RequestEvent,
    RequestHead,
    ResponseEvent,
    ResponseHead,
)
from ._service import Service

HTTPConnection: TypeAlias = Connection[ResponseEvent, RequestEvent, None]


class BodyReader:
    """Reads bodies, within their bounds.

    Parameters:
        connection: whose requests these are.
        service: what it shares with the others.
    """

    __slots__ = (
        "_pieces",
        "_received",
        "body_ended",
        "connection",
        "expired",
        "failure",
        "head",
        "max_body_size",
        "responding",
        "said_continue",
        "service",
        "trailers",
        "waits_for_body",
    )

    def __init__(self, connection: HTTPConnection, service: Service) -> None:
        self.connection = connection
        self.service = service
        self.head: RequestHead | None = None
        """The request that is being answered."""
        self.max_body_size: int | None = None
        self.waits_for_body = False
        self.body_ended = True
        """Whether all of the body has been taken from the connection."""
        self.expired = False
        """Whether the client was too slow."""
        self.failure: Exception | None = None
        """What the client's bytes were last found to break."""
        self.trailers: Fields = ()
        self.responding = False
        """Whether a response has begun."""
        self.said_continue = False
        self._received = 0
        self._pieces: list[bytes] = []

    def begin_body(self, head: RequestHead) -> None:
        """Begin to read the body of a request, which has no response yet."""
        self.head = head
        self.responding = False
        self.max_body_size = self.service.limits.max_body_size
        self.trailers = head.trailers
        self.body_ended = head.body is not None
        if not self.body_ended:
            self.said_continue = False
            self._received = 0
            self._pieces = []

    async def receive_body(self) -> bytes:
        """Return the whole body, where none of it was taken in pieces.

        Cancelled, it loses nothing: the next call goes on.

        Raises:
            BodyTooLargeError: it is above ``max_body_size``.
            BodyTimeoutError: it comes too slowly.
            BadMessageError: the client broke the protocol, or ended its input.
        """
        head = self.head
        assert head is not None
        if head.body is not None:
            self.check_size(len(head.body))
            return head.body
        while (piece := await self.receive_piece()) is not None:
            self._pieces.append(piece)
        body, self._pieces = b"".join(self._pieces), []
        return body

    async def receive_piece(self) -> bytes | None:
        """Return the next piece of a body that did not come with its head, None at its end.

        Raises as `receive_body`.
        """
        head = self.head
        assert head is not None
        if self.body_ended:
            return None
        self.check_size(head.content_length or 0)
        if head.expects_continue and not (self.said_continue or self.responding):
            await self.connection.send(ResponseHead(status=100))
            self.said_continue = True
        event = await self._receive_event()
        if isinstance(event, bytes):
            self._received += len(event)
            self.check_size(self._received)
            return event
        assert isinstance(event, EndOfMessage)
        self.trailers = event.trailers
        self.body_ended = True
        return None

    async def _receive_event(self) -> RequestEvent:
        self.waits_for_body = True
        try:
            return await self.connection.receive()
        except trio.EndOfChannel:
            if self.expired:
                raise BodyTimeoutError from None
            self.failure = BadMessageError(400, "the input ended inside the body")
            raise self.failure from None
        except BadMessageError as error:
            self.failure = error
            raise
        except RemoteProtocolError as error:
            self.failure = BadMessageError(400, "the input ended inside the body")
            raise self.failure from error
        finally:
            self.waits_for_body = False

    def check_size(self, size: int) -> None:
        """Refuse a body above ``max_body_size``."""
        limit = self.max_body_size
        if limit is not None and size > limit:
            raise BodyTooLargeError(limit)

    @property
    def left(self) -> int | None:
        """Bytes of the body that are still to come, None where nobody knows."""
        head = self.head
        if self.body_ended or head is None:
            return 0
        return None if head.content_length is None else head.content_length - self._received

    async def discard(self) -> bool:
        """Read the rest of the body and throw it away; say whether that was within the bound."""
        self.max_body_size = None
        taken = self._received
        while (await self.receive_piece()) is not None:
            if self._received - taken > self.service.limits.max_unread_body:
                return False
        return True
