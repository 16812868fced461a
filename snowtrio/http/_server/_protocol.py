"""HTTP as a protocol of the core, and the watch over its connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import cast

import trio

from ..._protocol import Protocol
from .._wire import RequestEvent, ResponseEvent, ServerCodec, ServerCoder
from ._body_reader import HTTPConnection
from ._exchange import Exchange
from ._limits import HTTPLimits
from ._service import Service
from ._session import serve_requests
from ._takers import Takers
from ._watch import Phase, Sight, Watch, interval


class HTTPProtocol(Protocol[ResponseEvent, RequestEvent, None]):
    """Serves connections, and knows where each of them stands.

    Parameters:
        service: what they share.
    """

    def __init__(self, service: Service) -> None:
        self._codec = ServerCodec(service.limits)
        super().__init__(self._codec)
        self.service = service
        self.serve: Callable[[Exchange], Awaitable[None]] = serve_requests
        """What serves a connection."""
        self.exchanges: dict[HTTPConnection, Exchange] = {}
        self._new_limits = trio.Event()
        self._settling = False

    def set_limits(self, limits: HTTPLimits) -> None:
        """Replace the bounds; those of heads hold for connections that come from now on."""
        self.service.limits = self._codec.limits = limits
        self._new_limits.set()

    async def handle(self, connection: HTTPConnection) -> None:
        """Serve one connection."""
        exchange = self.exchanges[connection] = Exchange(connection, self.service)
        if self._settling:
            exchange.drain()
        try:
            await self.serve(exchange)
        finally:
            if exchange.looks_whole:
                connection.drop(reset=True)
            exchange.head = exchange.failure = None
            del self.exchanges[connection]

    def settle(self, connection: HTTPConnection) -> None:
        """Have the next response be the last: a client that is told so asks elsewhere."""
        self._settling = True
        exchange = self.exchanges.get(connection)
        if exchange is not None and not exchange.upgraded:
            exchange.drain()

    async def goodbye(self, connection: HTTPConnection) -> None:
        """End a connection when nothing is under way on it; the response under way is its last."""
        exchange = self.exchanges.get(connection)
        if exchange is None:
            await super().goodbye(connection)
            return
        exchange.drain()
        if exchange.upgraded:
            await exchange.part()
        elif exchange.head is None and not cast("ServerCoder", connection.coder).in_head:
            connection.stop_receiving()

    def purge(self, connection: HTTPConnection, messages: Sequence[ResponseEvent]) -> None:
        """Say nothing of clients that leave in the middle of a response; they are counted."""

    async def watch(self) -> None:
        """End connections whose clients are too slow; runs until it is cancelled."""
        watch: Watch[HTTPConnection] = Watch()
        takers: Takers[HTTPConnection] = Takers()
        looked = trio.current_time()
        while True:
            with trio.move_on_after(interval(self.service.limits)):
                await self._new_limits.wait()
                self._new_limits = trio.Event()
            before, looked = looked, trio.current_time()
            late = watch.look(self._sights(), looked - before, self.service.limits)
            for connection, phase in late:
                self._end(self.exchanges[connection], phase)
            for connection in takers.look(self._takers(), looked - before, self.service.limits):
                connection.drop()

    def _end(self, exchange: Exchange, phase: Phase) -> None:
        """Have the client told that it is too slow, where it has begun to ask for something."""
        exchange.expired = phase in (Phase.HEAD, Phase.BODY)
        exchange.ending = True
        exchange.connection.stop_receiving()

    def _sights(self) -> Iterator[tuple[HTTPConnection, Sight]]:
        for connection, exchange in self.exchanges.items():
            if not exchange.upgraded:
                yield connection, _see(exchange, cast("ServerCoder", connection.coder))

    def _takers(self) -> Iterator[tuple[HTTPConnection, int]]:
        for connection, exchange in self.exchanges.items():
            if exchange.has_untaken:
                yield connection, connection.statistics().bytes_sent


def _see(exchange: Exchange, coder: ServerCoder) -> Sight:
    number = exchange.requests
    if exchange.head is not None:
        if exchange.waits_for_body:
            return Sight(Phase.BODY, number, coder.body_size)
        return Sight(Phase.OURS, number)
    if coder.in_head:
        return Sight(Phase.HEAD, number)
    return Sight(Phase.NEXT if number else Phase.FIRST_BYTE, number)
