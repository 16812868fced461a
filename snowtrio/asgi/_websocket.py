"""The ``receive`` and ``send`` of one WebSocket."""

from __future__ import annotations

import math
from collections.abc import Sequence

import trio

from .._connection import control_of
from .._errors import ConnectionClosedError, ConnectionLostError, LocalProtocolError
from ..http import BadMessageError, HTTPError, Request
from ..http._server import Exchange
from ..http._wire import RequestHead
from ..websocket import (
    Close,
    CloseCode,
    WebSocket,
    WebSocketClosedError,
    WebSocketProtocolError,
)
from ..websocket._server import accept
from ..websocket._socket import Conversation
from ._errors import ClientDisconnectedError
from ._exchange import ASGIExchange
from ._messages import read_accept, read_message
from ._terms import WebSocketTerms
from ._types import Message

_DENIALS = ("websocket.http.response.start", "websocket.http.response.body")


class ASGIWebSocket:
    """What an application has for a WebSocket, from the request for it to its end.

    Parameters:
        exchange: the server's.
        head: of the request.
        terms: on which WebSockets are opened.
        offered: subprotocols of the client.
    """

    over = False
    """Whether the connection goes on without the application: it never does."""
    in_step = False

    def __init__(
        self,
        exchange: Exchange,
        head: RequestHead,
        terms: WebSocketTerms,
        offered: Sequence[str],
    ) -> None:
        self._exchange = exchange
        self._head = head
        self._terms = terms
        self._offered = offered
        self._http = ASGIExchange(exchange, _ignore)
        """For a response that is no WebSocket."""
        self._refusal: HTTPError | None = None
        self._websocket: WebSocket | None = None
        self._conversation: Conversation | None = None
        self._greeted = False
        self._accepting = False
        self._denying = False
        self._closing = False
        self._lost = False
        self._told = False
        self._control = control_of(exchange.connection)
        self._decided = False
        """Whether the WebSocket is open, or will never be."""
        self._closed = trio.Event()
        self.patience: trio.CancelScope | None = trio.CancelScope()
        """Of the application: how long it may go on without having heard of the end."""

    # For the server

    @property
    def complete(self) -> bool:
        """Whether the request has been answered."""
        return self._websocket is not None or self._http.complete

    @property
    def told(self) -> bool:
        """Whether the application knows that nobody listens any more."""
        return self._told or self.failure is not None or self._http.told

    @property
    def deserted(self) -> bool:
        """Whether it was left by its client, so that errors may well come of that."""
        return self.told

    @property
    def failure(self) -> HTTPError | BadMessageError | None:
        """Why the request cannot be answered as the application wants."""
        return self._refusal if self._refusal is not None else self._http.failure

    def abandon(self) -> None:
        """Have the application told that the connection has ended, and end it if it never hears.

        One that neither receives nor sends is cancelled ``handler_timeout`` after the end.
        """
        self._lost = True
        self._decide()
        self._http.abandon()
        timeout = self._terms.limits.handler_timeout
        if self._told or timeout is None or self.patience is None:
            return
        # A WebSocket that had closed in order has been waited for already.
        closed = self._websocket is not None and self._websocket.close_received is not None
        self.patience.deadline = trio.current_time() + (0 if closed else timeout)

    async def finish(self, close: Close) -> None:
        """Close in order, when the application has ended."""
        if self._conversation is not None:
            await self._conversation.close(close)

    # From the client

    async def receive(self) -> Message:
        """Return what comes next: the connection, a message, the end."""
        if not self._greeted:
            self._greeted = True
            await trio.lowlevel.checkpoint()
            return {"type": "websocket.connect"}
        if self._websocket is None:
            await self._wait_decided()
        if self._websocket is None:
            return await self._end(CloseCode.ABNORMAL)
        try:
            data = await self._websocket.receive()
        except WebSocketClosedError as error:
            return await self._end(error.code, error.reason)
        except WebSocketProtocolError as error:
            return await self._end(error.code, str(error))
        except (trio.EndOfChannel, ConnectionLostError, ConnectionClosedError):
            return await self._end(CloseCode.ABNORMAL)
        except trio.BusyResourceError:
            if not self._closing:
                raise
            await self._closed.wait()  # Another task closes, and receives what is left.
            return await self.receive()
        if isinstance(data, str):
            return {"type": "websocket.receive", "text": data, "bytes": None}
        return {"type": "websocket.receive", "bytes": data, "text": None}

    async def _wait_decided(self) -> None:
        """Return when the WebSocket is open, or will never be: its client may leave before that."""
        control = self._control
        await control.wait_until(
            lambda: self._decided or (control.peer_ended and not self._accepting)
        )

    def _decide(self) -> None:
        self._decided = True
        self._control.note()

    async def _end(self, code: int, reason: str = "") -> Message:
        await trio.lowlevel.checkpoint()  # An application may ask again and again.
        self._note_told()
        return {"type": "websocket.disconnect", "code": int(code), "reason": reason}

    def _note_told(self) -> None:
        self._told = True
        if self.patience is not None:
            self.patience.deadline = math.inf

    # To the client

    async def send(self, message: Message) -> None:
        """Take a message; wait while the client takes nothing."""
        kind, websocket = message["type"], self._websocket
        if websocket is None:
            await self._answer(message, kind)
        elif kind == "websocket.send" and not self._closing:
            await self._send_data(websocket, message)
        elif kind == "websocket.close" and not self._closing:
            await self._close(websocket, message)
        else:
            state = "closed" if self._closing else "open"
            raise LocalProtocolError(f"the application sent {kind!r}, the WebSocket is {state}")

    async def _send_data(self, websocket: WebSocket, message: Message) -> None:
        data = read_message(message)
        try:
            await websocket.send(data)
        except (ConnectionLostError, ConnectionClosedError) as error:
            self._note_told()
            raise ClientDisconnectedError from error

    async def _close(self, websocket: WebSocket, message: Message) -> None:
        code, reason = message.get("code"), message.get("reason")
        self._closing = True
        try:
            await websocket.close(CloseCode.NORMAL if code is None else code, reason or "")
        except ValueError as error:
            self._closing = False
            raise LocalProtocolError(str(error)) from error
        finally:
            self._closed.set()

    async def _answer(self, message: Message, kind: object) -> None:
        """Take the answer to the request."""
        if self._lost or self.failure is not None:
            self._note_told()
            raise ClientDisconnectedError
        if kind in _DENIALS and not self._accepting:
            await self._deny(message)
        elif kind == "websocket.close" and not (self._accepting or self._denying):
            self._denying = True
            await self._http.send({"type": "http.response.start", "status": 403})
            await self._deny({"type": "websocket.http.response.body"})
        elif kind == "websocket.accept" and not (self._accepting or self._denying):
            self._accepting = True
            try:
                await self._accept(message)
            finally:
                self._accepting = False
        else:
            raise LocalProtocolError(f"the application sent {kind!r}, the WebSocket is not open")

    async def _deny(self, message: Message) -> None:
        self._denying = True
        kind: str = message["type"]
        await self._http.send({**message, "type": kind.removeprefix("websocket.")})
        if self._http.complete:
            self._decide()

    async def _accept(self, message: Message) -> None:
        subprotocol, fields = read_accept(message, self._offered)
        terms = self._terms.accepting(subprotocol, fields)
        try:
            opened = await accept(Request(self._exchange, self._head), terms)
        except HTTPError as error:
            self._refusal = error
            self._decide()
            raise ClientDisconnectedError from error
        except (ConnectionLostError, ConnectionClosedError) as error:
            self._lost = True
            self._decide()
            self._note_told()
            raise ClientDisconnectedError from error
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error
        self._websocket, self._conversation = opened
        self._decide()


def _ignore() -> None:
    """A connection that is refused waits for the application to end."""
