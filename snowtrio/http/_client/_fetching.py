"""A request's way to its response: attempts, pauses, redirects."""

from __future__ import annotations

import trio

from ..._errors import ConnectError, HandshakeError
from .._errors import NoResponseError
from .._wire import ResponseHead
from ._asking import Outgoing
from ._bodies import RequestBody
from ._exchange import Exchange
from ._hops import Hops
from ._limits import HTTPClientLimits
from ._pool import ConnectionPool
from ._redirects import Redirects, without_secrets
from ._response import ClientResponse
from ._retrying import RetryPolicy
from ._timing import Phase, Stopwatch


class Fetching:
    """Asks for a response on the connections of a pool.

    Parameters:
        pool: has the connections.
        limits: the client's bounds.
        retries: what is sent again.
        hops: what each hop is told besides.
    """

    def __init__(
        self, pool: ConnectionPool, limits: HTTPClientLimits, retries: RetryPolicy, hops: Hops
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._retries = retries
        self._hops = hops

    async def follow(
        self,
        request: Outgoing,
        redirects: Redirects,
        watch: Stopwatch,
        nursery: trio.Nursery | None,
    ) -> tuple[Exchange, ResponseHead, tuple[ClientResponse, ...]]:
        """Return the response to a request after all redirects, and those that redirected.

        The caller has to `finish` the exchange. `request` is what was asked last.

        Raises:
            RedirectError: a redirect is not followed.
            ProxyError: a proxy wants to know who asks.
            FetchError: as `ask`.
        """
        history: tuple[ClientResponse, ...] = ()
        while True:
            self._hops.prepare(request)
            exchange, head = await self.ask(request, watch, nursery)
            try:
                self._hops.note(request, head)
                asked = redirects.follow(request.asked, head.status, head.fields)
                if asked is None:
                    return exchange, head, history
                await exchange.discard(head)
            except BaseException:
                exchange.finish()
                raise
            exchange.finish()
            history += (ClientResponse(head, request.asked.destination.url),)
            if asked.destination.origin != request.asked.destination.origin:
                request.defaults = tuple(without_secrets(request.defaults))
            request.asked = asked
            if not asked.has_body:
                request.body = RequestBody()

    async def ask(
        self, request: Outgoing, watch: Stopwatch, nursery: trio.Nursery | None
    ) -> tuple[Exchange, ResponseHead]:
        """Return the response to a request, after as many attempts as the policy allows.

        Raises:
            ConnectError: no connection could be opened; nothing was sent.
            HandshakeError: likewise, TLS said no.
            ProxyError: likewise, a proxy said no.
            PoolBusyError: too many requests wait for a connection; nothing was sent.
            PoolClosedError: the client is closed.
            NoResponseError: the connection ended without a response.
            BadResponseError: what came is no response.
        """
        attempt = 1
        while True:
            pause: float | None
            try:
                exchange, head = await self._attempt(request, watch, nursery)
            except (ConnectError, HandshakeError, NoResponseError) as error:
                doubt = isinstance(error, NoResponseError) and error.in_doubt
                pause = self._retries.after_failure(attempt, request, in_doubt=doubt)
                if pause is None or pause > watch.left:
                    raise
            else:
                pause = self._retries.after_response(attempt, request, head.status, head.fields)
                if pause is None or pause > watch.left:
                    return exchange, head
                try:
                    await exchange.discard(head)
                finally:
                    exchange.finish()
            attempt += 1
            watch.enter(Phase.PAUSE, None)
            await trio.sleep(pause)

    async def _attempt(
        self, request: Outgoing, watch: Stopwatch, nursery: trio.Nursery | None
    ) -> tuple[Exchange, ResponseHead]:
        """Ask once; and once more where the connection had ended before the server saw anything."""
        fresh = False
        while True:
            held = await self._pool.take(request.asked.destination.origin, watch, fresh=fresh)
            exchange = Exchange(held, self._pool, request, watch, self._limits)
            try:
                await exchange.send(nursery)
                head = await exchange.receive_head()
            except NoResponseError:
                exchange.finish()
                if fresh or not _may_repeat(exchange, request):
                    raise
            except BaseException:
                exchange.finish()
                raise
            else:
                if fresh or not _is_timeout(exchange, request, head):
                    return exchange, head
                exchange.finish()
            self._pool.stale += 1
            fresh = True


def _may_repeat(exchange: Exchange, request: Outgoing) -> bool:
    """Whether a request without a response can be sent once more, whatever the policy."""
    if not exchange.sent:
        return request.body.sendable
    return exchange.stale and request.repeatable


def _is_timeout(exchange: Exchange, request: Outgoing, head: ResponseHead) -> bool:
    """Whether a server only says that it waited too long for a request on this connection."""
    told = head.status == 408 and not head.keep_alive
    return told and exchange.reused and request.repeatable
