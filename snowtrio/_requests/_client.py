"""A client that asks and is answered."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic

import trio
from typing_extensions import TypeVar

from .._broadcast import WhenSlow
from .._client import Client
from .._codec import Codec
from .._connection import Connection
from .._errors import StalledError
from .._protocol import Protocol, as_protocol, choose_handler
from .._supervisor import DrainReport, DrainTimeouts, EnteredOnce, open_plain_nursery
from .._transport import Endpoint, SocketOptions
from ._asking import Requester
from ._calls import Call, WhenCancelled
from ._correlation import Correlation, InOrder
from ._exchange import Exchange
from ._ledger import Ledger
from ._limits import RequestLimits
from ._protocol import RequestProtocol, exchange_of
from ._pushes import Pushes, PushQueue
from ._session import Session
from ._statistics import RequestStatistics
from ._turnstile import Turnstile

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

# A connection without replies is noticed within a quarter of `reply_timeout` after it is over.
_LOOKS = 4


class RequestClient(EnteredOnce, Requester[SendT, ReceiveT], Generic[SendT, ReceiveT, ContextT]):
    """Requests and replies: many tasks, few connections, pipelined.

    ``async with RequestClient(codec, "127.0.0.1", 6379) as client: await client.request(...)`` —
    any number of tasks may ask; each request goes to the connection with the fewest under way.
    Leaving the block drains: what is under way is answered, if the peer answers in time.

    Parameters:
        protocol: what is spoken; a bare codec is a protocol without a handshake. Its `handle`
            method, if it has one, is in the way: replies are taken by the client.
        where: a host, an endpoint, or several endpoints of the same service, tried in turn.
        port: the host's port.
        ssl_context: speak TLS with the host.
        options: of the sockets, set before they connect to the host.
        correlation: how replies find their requests; by their order unless one is given.
        limits: the bounds.
        when_cancelled: what becomes of the connection of a request that is cancelled.
        when_pushes_wait: what to do with a message that answers nothing when ``max_pushes`` of them
            wait already. ``WAIT`` reads no more from the connection that it came on, so replies
            behind it wait too; ``DISCONNECT`` cuts that connection.
        move_unsent: have requests that a dying connection has not begun to send sent by another
            one. Not where their order matters, or what a connection knows of those before.
    """

    def __init__(
        self,
        protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
        where: str | Endpoint | Sequence[Endpoint],
        port: int | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        options: SocketOptions | None = None,
        correlation: Correlation[SendT, ReceiveT] | None = None,
        limits: RequestLimits | None = None,
        when_cancelled: WhenCancelled = WhenCancelled.DROP_REPLY,
        when_pushes_wait: WhenSlow = WhenSlow.DROP_OLDEST,
        move_unsent: bool = False,
    ) -> None:
        spoken = as_protocol(protocol)
        if choose_handler(spoken, None) is not None:
            raise TypeError(f"{type(spoken).__name__} has a handle method, and nothing to handle")
        self._limits = limits if limits is not None else RequestLimits()
        if not isinstance(self._limits, RequestLimits):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"limits must be RequestLimits, not {type(self._limits).__name__}")
        self._correlation: Correlation[SendT, ReceiveT] = correlation or InOrder()
        self._when_cancelled = when_cancelled
        self._when_pushes_wait = when_pushes_wait
        self._turnstile = Turnstile(self._limits.max_in_flight, self._limits.max_waiting)
        super().__init__(Ledger(self._turnstile, self._note_done), self._limits.max_stream_replies)
        self._pushes = PushQueue[ReceiveT](self._limits.max_pushes, when_pushes_wait)
        self._client = Client[Any, ReceiveT, ContextT](
            RequestProtocol(spoken, self._open_exchange),
            where,
            port,
            ssl_context=ssl_context,
            options=options,
            limits=self._limits,
            move_unsent=move_unsent,
        )

    def _open_exchange(self) -> Exchange[ReceiveT]:
        return Exchange(self._correlation.start(), self._ledger, self._pushes, self._when_cancelled)

    def _note_done(self) -> None:
        self._client.load_changed()

    # Running

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None, None]:
        try:
            async with open_plain_nursery() as nursery:
                if self._limits.reply_timeout is not None:
                    nursery.start_soon(self._cut_the_silent, self._limits.reply_timeout)
                async with self._client:
                    try:
                        yield
                    finally:
                        self._turnstile.close()
                nursery.cancel_scope.cancel(reason="the client is closed")
        finally:
            self._pushes.end()

    async def _cut_the_silent(self, timeout: float) -> None:
        while True:
            await trio.sleep(timeout / _LOOKS)
            for connection in self._client.connections:
                exchange = exchange_of(connection)
                since = exchange.waiting_since
                if exchange.waits and trio.current_time() - since >= timeout:
                    exchange.give_up(
                        StalledError(f"the peer sent no reply for {timeout:g} seconds")
                    )

    # Asking

    async def _enter(self, count: int) -> None:
        if not self._turnstile.enter_nowait(count):
            await self._turnstile.enter(count)

    async def _send(self, message: SendT | Call[SendT, ReceiveT]) -> None:
        await self._client.send(message)

    async def _pick(self) -> Connection[Any, ReceiveT, Any]:
        return await self._client.pick()

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session[SendT, ReceiveT, ContextT], None]:
        """Have a connection alone: ``async with client.session() as session:``.

        For what must not mix with the requests of others: transactions, blocking commands,
        subscriptions. It is an idle connection, or a new one, or else the least busy one, once its
        requests are answered. After the block it goes back to the others, unless the block raised
        or was cancelled, a request is still under way on it, or ``session.keep`` is False: then it
        is cut.

        Raises as `Client.lend`.
        """
        async with self._client.lend() as connection:
            pushes = PushQueue[ReceiveT](self._limits.max_pushes, self._when_pushes_wait)
            exchange = exchange_of(connection)
            exchange.lend(pushes)
            session = Session[SendT, ReceiveT, ContextT](
                connection, self._ledger, self._turnstile, pushes, self._max_stream_replies
            )
            try:
                yield session
            finally:
                session.end()
                exchange.take_back()
                pushes.end()
            if exchange.unanswered or not session.keep:
                connection.drop()

    @property
    def pushes(self) -> Pushes[ReceiveT]:
        """Messages that answer nothing, of all connections that no session has."""
        return self._pushes

    @property
    def limits(self) -> RequestLimits:
        """The bounds."""
        return self._limits

    async def bootstrap(self) -> None:
        """Open one connection ahead of the first request; as `Client.bootstrap`."""
        await self._client.bootstrap()

    def statistics(self) -> RequestStatistics:
        """Return the counts of this moment."""
        ledger = self._ledger
        return RequestStatistics(
            client=self._client.statistics(),
            in_flight=self._turnstile.inside,
            in_flight_peak=self._turnstile.peak,
            waiting=self._turnstile.waiting,
            answered=ledger.answered,
            not_sent=ledger.not_sent,
            in_doubt=ledger.in_doubt,
            abandoned=ledger.abandoned,
            replies_dropped=ledger.replies_dropped,
            pushes=self._pushes.received,
            pushes_dropped=self._pushes.dropped,
            latency=ledger.latencies.snapshot(),
        )

    async def aclose(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """Take no more requests, wait for replies to those under way, close.

        Requests that are not accepted yet get `PoolClosedError`. When the replies to the others
        have come, the protocol's goodbye is said. Where they take longer than that phase of the
        drain, it is left out, and the connection ends with the last reply.

        Parameters:
            timeouts: of the phases of the drain.
        """
        self._turnstile.close()
        try:
            return await self._client.aclose(timeouts)
        finally:
            self._pushes.end()
