"""A WebSocket as its users see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from operator import attrgetter
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import trio
from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy

from ..._proxy_protocol import ProxyInfo
from ..._side import Side
from ..._transport import Address, PlainSocket
from .._close import Close, check_close
from .._wire import Agreed, Message, Piece, ToSend, WebSocketLimits
from ._closing import WebSocketConnection
from ._conversation import Conversation
from ._receiving import MessageReader, PieceReceiver
from ._sending import MessageT, MessageWriter, send_message
from ._statistics import SocketStatistics


class WebSocket:
    """Messages in both directions: text as ``str``, binary as ``bytes``.

    Any number of tasks may send; one receives. Pings are answered, and a close is, whatever the
    application does, as long as what it has not received is within its bounds.

    ::

        async for message in websocket:
            await websocket.send(message)
    """

    send: Callable[[ToSend], Awaitable[None]]
    """Accept a message; wait while the outbox is full, in the order of the callers.

    Cancelled, it has accepted nothing. A checkpoint only when the outbox is full.

    Raises `WebSocketClosedError` once either side has closed, `AbnormalCloseError` where the
    connection broke or was cut, `WebSocketProtocolError` where the peer broke the protocol,
    ``TypeError`` for what is no message.
    """

    receive: Callable[[], Awaitable[Message]]
    """Return the next message. Cancelled, it loses nothing.

    Raises `WebSocketClosedError` where either side has closed, once what came before has been
    received; `AbnormalCloseError` and `WebSocketProtocolError` likewise; ``trio.BusyResourceError``
    where another task is receiving.
    """

    def __init__(
        self,
        conversation: Conversation,
        agreed: Agreed,
        request_headers: CIMultiDictProxy[str],
        response_headers: CIMultiDictProxy[str],
        *,
        target: str = "/",
        context: Any = None,
    ) -> None:
        """Begin with what the handshake has come to.

        Parameters:
            conversation: with its connection.
            agreed: in the handshake.
            request_headers: of the handshake.
            response_headers: of the handshake.
            target: path and query of the URL, as they stand in the request.
            context: what the server's ``process_request`` returned.
        """
        self._conversation = conversation
        connection = conversation.connection
        self._connection = connection
        self._control = conversation.control
        self._agreed = agreed
        self.request_headers = request_headers
        """The fields of the request that began it."""
        self.response_headers = response_headers
        """The fields of the response."""
        self.target = target
        """Path and query of the URL that it was opened with, as they stand in the request."""
        self.context = context
        """The application's own: on a server, what its ``process_request`` returned."""
        self._pieces = PieceReceiver(conversation) if conversation.limits.pieces else None
        # The connection's own methods: a coroutine less for each message.
        self.send = connection.send
        self.receive = cast("Callable[[], Awaitable[Message]]", connection.receive)
        if self._pieces is not None:
            self.receive = self._pieces.receive

    def __repr__(self) -> str:
        conversation = self._conversation
        closes = f" received={conversation.received} sent={conversation.sent}"
        said = closes if self.close_code is not None or conversation.sent else ""
        return f"<WebSocket {self.side.value} peer={self.peer_address!r}{said}>"

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over messages until the WebSocket closes, whatever the code is.

        Raises what `receive` does, but for `WebSocketClosedError`.
        """
        if self._pieces is not None:
            return self._pieces
        return cast("AsyncIterator[Message]", self._connection.__aiter__())

    # Many at a time

    async def receive_batch(self) -> list[Message]:
        """Return all messages that are there, at least one; raises as `receive`."""
        if self._pieces is not None:
            return [await self._pieces.receive()]
        return cast("list[Message]", await self._connection.receive_batch())

    async def send_batch(self, messages: Iterable[ToSend]) -> None:
        """Send many messages in order, together; as a `send` for each.

        Other tasks' messages may come between. Cancelled, those before it have been accepted.
        """
        await self._connection.send_batch(messages)

    def send_nowait(self, message: ToSend) -> None:
        """Accept a message if there is room for it; raises as `send`.

        Raises:
            trio.WouldBlock: the outbox is full; nothing was accepted.
        """
        self._connection.send_nowait(message)

    async def flush(self) -> None:
        """Wait until the kernel has all that was accepted so far. Always a checkpoint.

        Raises:
            WebSocketClosedError: it was closed before; as `send`.
        """
        await self._connection.flush()

    async def answer(self, function: Callable[[WebSocket, Message], ToSend | None]) -> None:
        """Answer messages with what a plain function returns, until the WebSocket closes.

        The function is called where messages are decoded, with no task woken in between: the
        fastest way to serve. It holds up everything else, so it must not take long. What it returns
        is sent in order, unless it is None; it may also use `send_nowait` and `close_nowait`. While
        the outbox is full it is not called, and nothing is read.

        Parameters:
            function: called with this WebSocket and each message.

        Raises:
            AbnormalCloseError: the connection ended without a close; `WebSocketProtocolError`
                likewise.
            trio.BusyResourceError: another task is receiving.
            Exception: what the function raised; the answers before that have been accepted.
        """
        if self._pieces is None:
            with suppress(trio.EndOfChannel):
                await self._control.answer(function, self)
            return
        async for message in self._pieces:
            reply = function(self, message)
            if reply is not None:
                await self.send(reply)

    # A message part by part

    def send_stream(
        self, kind: type[MessageT]
    ) -> AbstractAsyncContextManager[MessageWriter[MessageT]]:
        """Send a message whose parts are not all there yet (row W21).

        ::

            async with websocket.send_stream(bytes) as stream:
                async for part in source:
                    await stream.send(part)

        The message is complete when the block is left. Meanwhile other senders wait, and a `send`
        of the same task would wait for itself, which raises ``RuntimeError``; pings, pongs and a
        close go between the parts. Where the block raises or is cancelled after the first part, the
        message cannot be completed, and the WebSocket is closed with 1011. Where the WebSocket has
        closed before the message was complete, leaving the block raises what `send` would.

        Parameters:
            kind: ``str`` or ``bytes``.
        """
        return send_message(self._conversation, self._control, kind)

    async def receive_stream(self) -> MessageReader:
        """Wait for a message, and return it as its pieces come (row W15).

        ::

            async for piece in await websocket.receive_stream():
                ...

        It has more than one piece only with ``WebSocketLimits(pieces=True)``; then a message may
        be of any size, for ``max_message_size`` bounds only those that `receive` gathers. One that
        is left before its end is thrown away up to there by whoever receives next. Cancelled, it
        loses nothing.

        Raises what `receive` does.
        """
        if self._pieces is not None:
            return await self._pieces.receive_stream()
        return MessageReader(Piece(await self.receive(), last=True), None)

    # Who

    @property
    def side(self) -> Side:
        """The end that we are."""
        return self._connection.side

    @property
    def limits(self) -> WebSocketLimits:
        """The bounds."""
        return self._conversation.limits

    @property
    def path(self) -> str:
        """The path of the URL that it was opened with, decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> MultiDictProxy[str]:
        """The names and values of that URL's query, decoded as forms are."""
        pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        return MultiDictProxy(MultiDict(pairs))

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was chosen."""
        return self._agreed.subprotocol

    @property
    def peer_address(self) -> Address | None:
        """The peer's address."""
        return self._connection.peer_address

    @property
    def local_address(self) -> Address | None:
        """Our address."""
        return self._connection.local_address

    @property
    def proxy(self) -> ProxyInfo | None:
        """The proxy that brought it, where the server's listener is `behind_proxy`; else None."""
        return self._connection.proxy

    @property
    def socket(self) -> PlainSocket | None:
        """The connection's socket, for its options and for looking at: see `Connection.socket`."""
        return self._connection.socket

    # Pings

    async def ping(self, payload: bytes | None = None) -> float:
        """Ask the peer for a pong, and return how long it took, in seconds.

        Any number may be under way. It goes behind what was accepted before, and its pong behind
        what the peer has sent before: those messages have to be received, or fit what is kept.
        Cancelled, the ping may have been sent all the same.

        Parameters:
            payload: at most 125 bytes, not those of another ping under way; random by default.

        Raises:
            WebSocketClosedError: it closed before the pong.
            AbnormalCloseError: the connection ended; or `WebSocketProtocolError`.
            ValueError: a ping with this payload is under way, or it is too long.
        """
        return await self._conversation.ping(payload)

    async def pong(self, payload: bytes = b"") -> None:
        """Send a pong that nobody asked for (RFC 6455, section 5.5.3); raises as `send`.

        Parameters:
            payload: at most 125 bytes.
        """
        await self._conversation.pong(payload)

    @property
    def on_ping(self) -> Callable[[bytes], bytes | None] | None:
        """Called with each ping's payload; returns that of the pong, or None for none.

        Settable. A plain function, called where frames are decoded. If it raises, that is logged,
        and the ping is answered as it would be without.
        """
        return self._conversation.on_ping_hook

    @on_ping.setter
    def on_ping(self, function: Callable[[bytes], bytes | None] | None) -> None:
        self._conversation.on_ping_hook = function

    @property
    def on_pong(self) -> Callable[[bytes], object] | None:
        """Called with each pong's payload, whether it answers a ping or not; as `on_ping`."""
        return self._conversation.on_pong_hook

    @on_pong.setter
    def on_pong(self, function: Callable[[bytes], object] | None) -> None:
        self._conversation.on_pong_hook = function

    @property
    def latency(self) -> float | None:
        """The last round trip of a ping, in seconds; None before the first."""
        return self._conversation.pings.latency

    # The end

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order; idempotent, from any number of tasks. Always a checkpoint.

        Sends what was accepted and the close, waits ``close_timeout`` for the peer's, and ends the
        connection. What came before can still be received, and what comes meanwhile; where nobody
        receives, it is kept as far as there is room, and thrown away beyond that. Cancelled, the
        connection is cut, after the close was given to the kernel if it could take it.

        Parameters:
            code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
            reason: at most 123 bytes of UTF-8.

        Raises:
            ValueError: the code or the reason cannot be sent; nothing has happened.
        """
        await self._conversation.close(check_close(code, reason))

    def close_nowait(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close, and do not wait: for plain functions. Parameters and errors as `close`.

        A connection whose peer does not answer is cut after ``close_timeout``.
        """
        self._conversation.begin_close(check_close(code, reason))

    async def wait_closed(self) -> None:
        """Wait until nothing more can come, whatever the cause; does not close. A checkpoint.

        Where more comes than is kept, somebody has to receive it.
        """
        await self._conversation.wait_closed()

    @property
    def close_received(self) -> Close | None:
        """What the peer has said when it closed."""
        return self._conversation.received

    @property
    def close_sent(self) -> Close | None:
        """What we have said when we closed."""
        return self._conversation.sent

    @property
    def close_code(self) -> int | None:
        """How it closed (RFC 6455, section 7.1.5); None while it is open.

        The peer's code; 1005 where its close had none; 1006 where the connection ended without one.
        """
        return self._conversation.code

    @property
    def close_reason(self) -> str:
        """The reason that the peer gave; empty without."""
        received = self._conversation.received
        return received.reason if received is not None else ""

    def statistics(self) -> SocketStatistics:
        """Return the counts of this moment."""
        return self._conversation.statistics(self._connection, self._control.queued)


conversation_of: Callable[[WebSocket], Conversation] = attrgetter("_conversation")
"""For the room that does for many WebSockets at a time what `WebSocket` does for one."""

connection_of: Callable[[WebSocket], WebSocketConnection] = attrgetter("_connection")
"""Likewise; also after the end, when the conversation has it no more."""
