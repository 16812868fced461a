"""HTTP as a protocol of the core, and the watch over its connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import trio

from ..._connection import Connection
from ..._protocol import Protocol
from .._wire import RequestEvent, ResponseEvent, ServerCodec, ServerCoder
from ._date import Dates
from ._exchange import Exchange, HTTPConnection
from ._limits import HTTPLimits
from ._session import Handler, serve_requests
from ._watch import Phase, Sight, Watch, interval


class HTTPProtocol(Protocol[ResponseEvent, RequestEvent, None]):
    """Serves connections, and knows where each of them stands.

    Parameters:
        handler: answers requests.
        limits: the bounds.
    """

    def __init__(self, handler: Handler, limits: HTTPLimits) -> None:
        super().__init__(ServerCodec(limits))
        self._handler = handler
        self._limits = limits
        self._dates = Dates()
        self._exchanges: dict[HTTPConnection, Exchange] = {}
        self.requests = 0
        """Requests that have begun to be answered, on connections that have ended."""

    async def handle(self, connection: HTTPConnection) -> None:
        """Serve one connection."""
        exchange = Exchange(connection, self._limits, self._dates)
        self._exchanges[connection] = exchange
        try:
            await serve_requests(exchange, self._handler)
        finally:
            self.requests += exchange.requests
            del self._exchanges[connection]

    async def goodbye(self, connection: Connection[ResponseEvent, RequestEvent, None]) -> None:
        """End a connection when nothing is under way on it; the response under way is its last."""
        exchange = self._exchanges.get(connection)
        if exchange is None or exchange.upgraded:
            await super().goodbye(connection)
            return
        exchange.ending = True
        coder = cast("ServerCoder", connection.coder)
        if exchange.head is None and not coder.in_head:
            connection.stop_receiving()

    async def watch(self) -> None:
        """End connections whose clients are too slow; runs until it is cancelled."""
        watch: Watch[HTTPConnection] = Watch()
        seconds = interval(self._limits)
        while True:
            await trio.sleep(seconds)
            for connection, phase in watch.look(self._sights(), seconds, self._limits):
                self._exchanges[connection].expired = phase is not Phase.NEXT
                connection.stop_receiving()

    def _sights(self) -> Iterator[tuple[HTTPConnection, Sight]]:
        for connection, exchange in self._exchanges.items():
            if not exchange.upgraded:
                yield connection, _see(exchange, cast("ServerCoder", connection.coder))


def _see(exchange: Exchange, coder: ServerCoder) -> Sight:
    number = exchange.requests
    if exchange.head is not None:
        if exchange.waits_for_body:
            return Sight(Phase.BODY, number, coder.body_size)
        return Sight(Phase.OURS, number)
    if coder.in_head:
        return Sight(Phase.HEAD, number)
    return Sight(Phase.NEXT if number else Phase.FIRST_BYTE, number)
