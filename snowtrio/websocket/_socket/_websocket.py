"""A WebSocket as its users see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy

from ..._connection import ConnectionStatistics
from ..._transport import Address
from .._close import Close, check_close
from .._wire import Agreed, Message, ToSend
from ._conversation import Conversation


class WebSocket:
    """Messages in both directions: text as ``str``, binary as ``bytes``.

    Any number of tasks may send; one receives. Pings are answered, and a close is, whatever the
    application does, as long as what it has not received is within its bounds.

    ::

        async for message in websocket:
            await websocket.send(message)

    Parameters:
        conversation: with its connection.
        agreed: in the handshake.
        request_headers: of the handshake.
        response_headers: of the handshake.
        target: path and query of the URL, as they stand in the request.
        context: what the server's ``process_request`` returned.
    """

    send: Callable[[ToSend], Awaitable[None]]
    """Accept a message; wait while the outbox is full, in the order of the callers.

    Cancelled, it has accepted nothing. A checkpoint only when the outbox is full.

    Raises `WebSocketClosedError` once either side has closed, `snowtrio.ConnectionLostError` where
    the connection broke, ``TypeError`` for what is no message.
    """

    receive: Callable[[], Awaitable[Message]]
    """Return the next message. Cancelled, it loses nothing.

    Raises `WebSocketClosedError` where the peer has closed, once its messages have been received;
    `WebSocketProtocolError`, `AbnormalCloseError` and `snowtrio.ConnectionLostError` likewise.
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
        self._conversation = conversation
        connection = conversation.connection
        self._connection = connection
        self._agreed = agreed
        self.request_headers = request_headers
        """The fields of the request that began it."""
        self.response_headers = response_headers
        """The fields of the response."""
        self.target = target
        """Path and query of the URL that it was opened with, as they stand in the request."""
        self.context = context
        """The application's own: on a server, what its ``process_request`` returned."""
        # The connection's own methods: a coroutine less for each message.
        self.send = connection.send
        self.receive = cast("Callable[[], Awaitable[Message]]", connection.receive)

    def __repr__(self) -> str:
        return f"<WebSocket {self._connection.side.value} peer={self.peer_address!r}>"

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over messages until the WebSocket closes, whatever the code is.

        Raises what `receive` does, but for `WebSocketClosedError`.
        """
        return cast("AsyncIterator[Message]", self._connection.__aiter__())

    # Who

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

    # Pings

    async def ping(self, payload: bytes | None = None) -> float:
        """Ask the peer for a pong, and return how long it took, in seconds.

        Cancelled, the ping may have been sent all the same.

        Parameters:
            payload: at most 125 bytes, not those of another ping under way; random by default.

        Raises:
            WebSocketClosedError: it closed before the pong.
            ConnectionLostError: the connection broke.
        """
        return await self._conversation.ping(payload)

    @property
    def latency(self) -> float | None:
        """The last round trip of a ping, in seconds; None before the first."""
        return self._conversation.pings.latency

    # The end

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order; idempotent.

        Sends what was accepted and the close, waits ``close_timeout`` for the peer's, and closes
        the connection. What still comes is thrown away, unless another task receives it.
        Cancelled, the connection is cut.

        Parameters:
            code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
            reason: at most 123 bytes of UTF-8.

        Raises:
            ValueError: the code or the reason cannot be sent; nothing has happened.
        """
        await self._conversation.close(check_close(code, reason))

    @property
    def close_received(self) -> Close | None:
        """What the peer has said when it closed."""
        return self._conversation.received

    @property
    def close_sent(self) -> Close | None:
        """What we have said when we closed."""
        return self._conversation.sent

    def statistics(self) -> ConnectionStatistics:
        """Return the counts of this moment."""
        return self._connection.statistics()
