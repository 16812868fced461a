"""The ``receive`` and ``send`` of one request."""

from __future__ import annotations

from collections.abc import Callable

import trio

from .._errors import ConnectionClosedError, ConnectionLostError, LocalProtocolError
from ..http import BadMessageError, HTTPError
from ..http._server import Exchange
from ._errors import ClientDisconnectedError
from ._messages import (
    Awaited,
    Start,
    misplaced,
    read_body,
    read_file,
    read_links,
    read_start,
    read_trailers,
)
from ._types import Message

_BODILESS = frozenset((204, 304))


class ASGIExchange:
    """What an application has for a request, until its response is complete.

    From then on it touches the connection no more, which belongs to the next request.

    Parameters:
        exchange: the server's.
        on_lag: called when the application has no business with the connection any more, but for
            what becomes so within a step of its own: then it may return next, as nearly all do.
    """

    # No slots, and defaults in the class: one is made for each request.

    over = False
    """Whether the application has no business with the connection any more."""
    failure: HTTPError | BadMessageError | None = None
    """What the client did wrong, or what the application did so wrong that it must end."""
    in_step = False
    """Whether the application's own task takes a step."""
    patience: trio.CancelScope | None = None
    """What cancels the application: nothing."""
    _awaited = Awaited.START
    _start: Start | None = None
    _body_ended = False
    _left = False
    _lost = False
    _pending: trio.CancelScope | None = None
    _turns: trio.lowlevel.ParkingLot | None = None

    def __init__(self, exchange: Exchange, on_lag: Callable[[], None]) -> None:
        self._exchange = exchange
        self._on_lag = on_lag

    @property
    def complete(self) -> bool:
        """Whether the response has been given whole."""
        return self._awaited is Awaited.NOTHING

    @property
    def told(self) -> bool:
        """Whether the application knows that nobody listens any more."""
        return self._lost or self._left or self.failure is not None

    @property
    def deserted(self) -> bool:
        """Whether its client has left it before its end, so that errors may well come of that."""
        return self.told and not self.complete

    def let_go(self) -> None:
        """Leave the connection to whoever waits for it."""
        if not self.over:
            self.over = True
            if not self.in_step:
                self._on_lag()

    def abandon(self) -> None:
        """Have the application told that the client has left."""
        self._lost = True
        if self._pending is not None:
            self._pending.cancel(reason="the client has left")

    def _end(self) -> None:
        """Leave the connection, once nobody waits for it here."""
        if self._pending is None:
            self.let_go()
        else:
            self._pending.cancel(reason="the response is complete")

    def _fail(self, error: HTTPError | BadMessageError) -> None:
        if self.failure is None:
            self.failure = error
            self._end()

    # From the client

    async def receive(self) -> Message:
        """Return a piece of the body; after that, wait until the client or the response is gone."""
        exchange = self._exchange
        head = exchange.head
        if not self._body_ended and not self._idle and head is not None and head.body is not None:
            self._body_ended = True
            try:
                body = await exchange.receive_body()
            except HTTPError as error:
                return self._refuse(error)
            return {"type": "http.request", "body": body, "more_body": False}
        while self._pending is not None and not self._idle:
            await self._wait_for_turn()
        if self._idle:
            await trio.lowlevel.checkpoint()  # An application may ask again and again.
            return {"type": "http.disconnect"}
        return await self._receive()

    @property
    def _idle(self) -> bool:
        """Whether there is nothing to be had from the client any more."""
        return self._left or self._lost or self.complete or self.failure is not None

    async def _wait_for_turn(self) -> None:
        """Wait while another task of the application receives."""
        if self._turns is None:
            self._turns = trio.lowlevel.ParkingLot()
        await self._turns.park()

    async def _receive(self) -> Message:
        message: Message = {"type": "http.disconnect"}
        try:
            with trio.CancelScope() as self._pending:
                message = await self._receive_next()
        except HTTPError as error:
            self._refuse(error)
        except BadMessageError as error:
            self._fail(error)
        except (ConnectionLostError, ConnectionClosedError):
            self._left = True
        finally:
            self._pending = None
            if self._turns is not None:
                self._turns.unpark_all()
            if self.complete or self.failure is not None:
                self.let_go()
        return message

    async def _receive_next(self) -> Message:
        if self._body_ended:
            await self._exchange.wait_disconnected()
            self._left = True
            return {"type": "http.disconnect"}
        piece = await self._exchange.receive_piece()
        self._body_ended = piece is None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    def _refuse(self, error: HTTPError) -> Message:
        """Have the server answer what the client did wrong: the application has nobody then."""
        self._fail(error)
        return {"type": "http.disconnect"}

    # To the client

    async def send(self, message: Message) -> None:
        """Take a message of the response; wait while the client takes nothing."""
        if self._lost or self.failure is not None:
            raise ClientDisconnectedError
        kind, awaited = message["type"], self._awaited
        try:
            if kind == "http.response.body" and awaited is not Awaited.START:
                if awaited is Awaited.FIRST_BODY and self._sent_now(message):
                    self._awaited = Awaited.NOTHING
                    self._end()
                else:
                    await self._send_body(message, awaited)
            elif kind == "http.response.start" and awaited is Awaited.START:
                self._start = read_start(message)
                self._awaited = Awaited.FIRST_BODY
            else:
                await self._send_rare(message, kind, awaited)
        except (ConnectionLostError, ConnectionClosedError) as error:
            self._lost = True
            raise ClientDisconnectedError from error
        except LocalProtocolError:
            if not self.complete:
                self._fail(HTTPError(500))  # What it has sent so far is no response.
            raise

    async def _send_rare(self, message: Message, kind: object, awaited: Awaited) -> None:
        if kind == "http.response.early_hint" and awaited is Awaited.START:
            await self._exchange.send_informational(103, read_links(message))
        elif kind == "http.response.pathsend" and awaited is Awaited.FIRST_BODY:
            await self._send_path(message)
        elif kind == "http.response.trailers" and awaited is Awaited.TRAILERS:
            await self._send_trailers(message)
        else:
            raise misplaced(kind, awaited)

    def _sent_now(self, message: Message) -> bool:
        """Send a response whose body came in one piece, if it is a plain one and there is room."""
        start, exchange = self._start, self._exchange
        assert start is not None
        status, fields, length, closes, trailers = start
        if message.get("more_body", False) or trailers or status in _BODILESS:
            return False
        body, head = read_body(message), exchange.head
        if (length is not None and length != len(body)) or head is None or head.method == "HEAD":
            return False
        if closes:
            exchange.ending = True
        return exchange.send_whole_nowait(status, fields, body)

    async def _send_body(self, message: Message, awaited: Awaited) -> None:
        body, more = read_body(message), message.get("more_body", False)
        if awaited is Awaited.FIRST_BODY:
            start = self._start
            assert start is not None
            if start.closes:
                self._exchange.ending = True
            if not (more or start.trailers):
                await self._send_whole(start, body)
                self._awaited = Awaited.NOTHING
                self._end()
                return
            await self._send_head(start)
        elif awaited is not Awaited.BODY:
            raise misplaced(message["type"], awaited)
        if self._exchange.body_open:  # RFC 9110: a HEAD, a 204 and a 304 have none.
            await self._exchange.send_piece(body)
        if not more:
            await self._end_body()

    async def _send_path(self, message: Message) -> None:
        """Send a file as the body."""
        exchange, start = self._exchange, self._start
        assert start is not None
        head = exchange.head
        assert head is not None
        with_body = head.method != "HEAD" and start.status not in _BODILESS
        response = read_file(message, start, with_body=with_body)
        if start.closes:
            exchange.ending = True
        self._awaited = Awaited.BODY
        await exchange.respond(response)
        self._awaited = Awaited.NOTHING
        self._end()

    async def _send_head(self, start: Start) -> None:
        length = None if start.trailers else start.content_length
        await self._exchange.send_head(start.status, start.fields, None, content_length=length)
        self._awaited = Awaited.BODY

    async def _send_whole(self, start: Start, body: bytes) -> None:
        """Send a response whose body came in one piece."""
        exchange, length = self._exchange, start.content_length
        head = exchange.head
        assert head is not None
        if head.method == "HEAD":
            length = len(body) if length is None else length
            await exchange.send_head(start.status, start.fields, None, content_length=length)
        elif start.status in _BODILESS:
            await exchange.send_head(start.status, start.fields, b"")
        elif length is None or length == len(body):
            await exchange.send_head(start.status, start.fields, body)
        else:
            raise LocalProtocolError(f"the body has {len(body)} bytes, announced were {length}")

    async def _end_body(self) -> None:
        start = self._start
        assert start is not None
        if start.trailers:
            self._awaited = Awaited.TRAILERS
            self._trailers: list[tuple[str, str]] = []
            return
        await self._exchange.end_response()
        self._awaited = Awaited.NOTHING
        self._end()

    async def _send_trailers(self, message: Message) -> None:
        self._trailers += read_trailers(message)
        if not message.get("more_trailers", False):
            await self._exchange.end_response(self._trailers)
            self._awaited = Awaited.NOTHING
            self._end()
