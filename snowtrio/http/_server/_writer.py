"""A response that its handler sends piece by piece."""

from __future__ import annotations

from ..._errors import LocalProtocolError
from .._headers import HeadersToSend
from .._wire import RequestHead
from ._exchange import Exchange


class ResponseWriter:
    """Sends the body of a response that has begun: made by `Request.start_response`."""

    __slots__ = ("_exchange", "_head")

    def __init__(self, exchange: Exchange, head: RequestHead) -> None:
        """Begin behind a head that was sent.

        Parameters:
            exchange: whose response it is.
            head: of the request that is answered.
        """
        self._exchange = exchange
        self._head = head

    async def send(self, data: bytes | str) -> None:
        """Send a piece of the body; text in UTF-8. Waits while the client takes nothing.

        To a HEAD, and with a status that has no body, nothing is sent. Cancelled, it has sent
        nothing.

        Raises:
            LocalProtocolError: the body is longer than was announced, or has ended.
            ConnectionLostError: the client is gone.
        """
        await self._live().send_piece(data)

    async def end(self, trailers: HeadersToSend = ()) -> None:
        """End the body. Done for a handler that returns without it; idempotent.

        Parameters:
            trailers: fields behind a body of unknown length.

        Raises:
            LocalProtocolError: it is shorter than was announced.
        """
        await self._live().end_response(trailers)

    def _live(self) -> Exchange:
        exchange = self._exchange
        if exchange.head is not self._head:
            raise LocalProtocolError("this response is over: its handler has returned")
        return exchange
