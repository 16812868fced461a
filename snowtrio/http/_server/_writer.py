"""A response that its handler sends piece by piece."""

from __future__ import annotations

from .._headers import HeadersToSend
from ._exchange import Exchange


class ResponseWriter:
    """Sends the body of a response that has begun: made by `Request.start_response`.

    Parameters:
        exchange: whose response it is.
    """

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def send(self, data: bytes | str) -> None:
        """Send a piece of the body; text in UTF-8. Waits while the client takes nothing.

        Raises:
            LocalProtocolError: the body is longer than was announced, or has ended.
        """
        await self._exchange.send_piece(data)

    async def end(self, trailers: HeadersToSend = ()) -> None:
        """End the body. Done for a handler that returns without it.

        Parameters:
            trailers: fields behind a body of unknown length.

        Raises:
            LocalProtocolError: it is shorter than was announced.
        """
        await self._exchange.end_response(trailers)
