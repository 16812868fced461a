"""The requests and responses of one connection, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, cast

import trio

from ..._codec import Codec
from ..._connection import Connection, control_of
from ..._errors import ConnectionClosedError, ConnectionLostError, LocalProtocolError
from .._errors import HTTPError
from .._headers import HeadersToSend, write_field, write_headers
from .._wire import RequestHead, ResponseHead, ServerCoder
from ._body_reader import HTTPConnection
from ._responder import Responder
from ._service import Service

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

Goodbye: TypeAlias = Callable[[Connection[SendT, ReceiveT, None]], Awaitable[None]]


class Exchange(Responder):
    """Begins and ends the requests of a connection, and hands it over to another protocol.

    The parameters are those of `Responder`.
    """

    __slots__ = ("_drain_began", "draining", "early", "goodbye", "sequence")

    def __init__(self, connection: HTTPConnection, service: Service) -> None:
        super().__init__(connection, service)
        self.sequence = 0
        """Which of the server's requests is being answered."""
        self.draining = False
        """Whether the server has asked the connection to end."""
        self._drain_began: trio.Event | None = None
        self.goodbye: Goodbye[Any, Any] | None = None
        """How another protocol parts that the connection speaks by now."""
        self.early: RequestHead | None = None
        """A request that came while the one before it was answered."""

    def begin(self, head: RequestHead) -> None:
        """Begin to answer a request."""
        tally = self.service.tally
        tally.requests += 1
        self.sequence = tally.requests
        self.requests += 1
        self.begin_body(head)

    # Drains

    def drain(self) -> None:
        """Note that the server has asked the connection to end."""
        self.draining = self.ending = True
        if self._drain_began is not None:
            self._drain_began.set()

    async def wait_draining(self) -> None:
        """Return once the server has asked the connection to end."""
        if self._drain_began is None:
            self._drain_began = trio.Event()
            if self.draining:
                self._drain_began.set()
        await self._drain_began.wait()

    # Requests that come early

    async def wait_disconnected(self) -> None:
        """Return once the client has ended its input or is lost; keep a request that comes."""
        if not self.body_ended:
            raise LocalProtocolError("a client is only watched once the body has been read")
        if self.early is not None:
            await trio.sleep_forever()
        if self.head is not None and self.head.upgrade is not None and not self.upgraded:
            await self._wait_ended()
            return
        try:
            event = await self.connection.receive()
        except (trio.EndOfChannel, ConnectionLostError, ConnectionClosedError):
            await trio.lowlevel.checkpoint()
            return
        assert isinstance(event, RequestHead)
        self.early = event
        await trio.sleep_forever()

    async def _wait_ended(self) -> None:
        """Return once the client has ended its input, where nobody knows what it speaks."""
        await trio.lowlevel.checkpoint()
        control = control_of(self.connection)
        await control.wait_until(lambda: control.peer_ended)

    def take_early(self) -> RequestHead | None:
        """Return the request that came early, which is nobody's then."""
        head, self.early = self.early, None
        return head

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
