"""The client: any number of requests, to any number of origins, over connections that are kept."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
from yarl import URL

from ..._codec import Codec
from ..._connection import Connection
from ..._supervisor import DrainTimeouts, EnteredOnce, open_plain_nursery
from ..._transport import SocketOptions
from .._errors import UpgradeRefusedError
from .._headers import HeadersToSend
from ._asking import Informed, Outgoing, make_asked, merge_defaults
from ._bodies import NOTHING, BodyToSend, make_body
from ._cookies import CookieJar
from ._fetching import Fetching
from ._hops import Hops
from ._limits import HTTPClientLimits, Timeouts, as_timeouts
from ._pool import ConnectionPool, HTTPClientStatistics
from ._pouring import Pail
from ._proxies import ProxyChoice, as_choice
from ._reading import Incoming, read_beginning
from ._redirects import DEFAULT_MAX_REDIRECTS, Redirects
from ._response import ClientResponse, ResponseStream
from ._retrying import RetryPolicy
from ._sinks import Sink, as_sink
from ._timing import Stopwatch, Timekeeper
from ._urls import as_http, locate
from ._ways import Ways, Where

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")


class HTTPClient(EnteredOnce):
    """Fetches over connections that are kept and shared in turn (rows Z7, Z8).

    ::

        async with HTTPClient() as client:
            response = await client.fetch("https://example.org/books", json={"title": "Emma"})
            print(response.status, response.json())

    Any number of tasks may use it. A connection is one request's alone until its response has
    ended. Leaving the block waits for requests that are under way in other tasks, as `aclose` does;
    a block that raises or is cancelled cuts them.

    Parameters:
        headers: sent with every request that has no such field of its own, and instead of what is
            sent by default: ``Accept``, ``Accept-Encoding``, ``User-Agent``. An ``Authorization``
            or ``Cookie`` among them goes to every site that is asked, but not to one that another
            redirects to. Not ``Host``.
        limits: the bounds.
        timeout: of requests that have none of their own; a number is the total, in seconds.
        retries: which requests are sent again.
        ssl_context: for https. By default one is made, when it is first needed, that trusts what
            the system trusts; names are checked.
        endpoint: where to connect, rather than to the host and port of the URL: a
            `snowtrio.UnixEndpoint`, say; or a function that is given an ``Origin`` and returns one.
        proxy: what requests go through: the URL of a proxy, a `Proxy`, `EnvironmentProxies`, or a
            function that is given an ``Origin`` and returns a `Proxy`, None for none.
        options: of the sockets, set before they connect to a host or a proxy. An endpoint has its
            own, and connections through a SOCKS proxy have none.
        cookies: keeps those that servers set, and sends them back; by default there are none. With
            a jar a redirect may lead back to where it came from.
    """

    def __init__(
        self,
        *,
        headers: HeadersToSend = (),
        limits: HTTPClientLimits | None = None,
        timeout: float | Timeouts | None = None,
        retries: RetryPolicy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        endpoint: Where | None = None,
        proxy: str | URL | ProxyChoice | None = None,
        options: SocketOptions | None = None,
        cookies: CookieJar | None = None,
    ) -> None:
        self._limits = limits if limits is not None else HTTPClientLimits()
        self._timeouts = as_timeouts(timeout, Timeouts())
        self._defaults = merge_defaults(headers)
        choice = as_choice(proxy)
        self._ways = Ways(self._limits, ssl_context, endpoint, choice, options)
        self._pool = ConnectionPool(self._limits, self._ways.find)
        self._keeper = Timekeeper()
        self._hops = Hops(cookies, choice)
        policy = retries if retries is not None else RetryPolicy()
        self._fetching = Fetching(self._pool, self._limits, policy, self._hops)

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None, None]:
        async with open_plain_nursery() as nursery:
            self._pool.nursery = nursery
            nursery.start_soon(self._pool.watch_idle)
            nursery.start_soon(self._keeper.run)
            try:
                yield
                await self.aclose()
            finally:
                self._pool.close()
            nursery.cancel_scope.cancel(reason="the client is closed")

    # Requests

    async def fetch(
        self,
        url: str | URL,
        *,
        method: str | None = None,
        headers: HeadersToSend = (),
        body: BodyToSend | None = None,
        json: Any = NOTHING,
        timeout: float | Timeouts | None = None,
        sink: Sink | trio.abc.SendStream | None = None,
        max_body_size: int | None = None,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        content_length: int | None = None,
        expect_continue: bool = False,
        decode: bool = True,
        on_informational: Informed | None = None,
    ) -> ClientResponse:
        """Return the response to a request, with its whole body.

        Whatever its status is: 404 is a response, not an error. Cancelled, or when it raises, the
        connection is closed, unless the response was complete.

        Parameters:
            url: of http or https; text is percent-encoded where it has to be.
            method: in any case; by default GET, or POST where there is a body.
            headers: fields of the request; those that the client adds otherwise give way.
            body: what to send: see `BodyToSend`.
            json: a value whose JSON is sent.
            timeout: the total in seconds, or `Timeouts`; by default the client's.
            sink: where the body goes as it comes, if the status is 200 to 299: a file, a stream,
                a `BufferSink`, any `Sink`. Bodies of other responses are gathered as without one.
            max_body_size: bytes of the response's body, by default the client's bound, and none for
                what goes to a sink.
            max_redirects: followed at most; 0 gives the redirect as the response.
            content_length: bytes that an async iterator will give, if that is known; it is sent in
                chunks otherwise.
            expect_continue: wait for the server to agree, a second at most, before the body.
            decode: undo ``Content-Encoding``.
            on_informational: called with status and headers of each response below 200 that comes
                before the one that counts.

        Raises:
            InvalidURLError: no request can be made of the URL. Nothing was sent.
            ConnectError: no connection could be opened. Nothing was sent.
            HandshakeError: likewise, TLS said no.
            ProxyError: likewise, a proxy said no.
            PoolBusyError: ``max_waiting`` requests wait for a connection. Nothing was sent.
            PoolClosedError: the client is closed.
            FetchTimeoutError: it took too long; ``in_doubt`` says whether anything was sent.
            NoResponseError: the connection ended before the response was complete; likewise.
            BadResponseError: the server sent what is no response.
            RedirectError: a redirect is not followed.
            ResponseTooLargeError: the body is above the bound.
            ContentCodingError: the body is not what its coding says.
            Exception: whatever `sink` raises, such as `SinkOverflowError`.
        """
        content = make_body(body, json, content_length)
        request = Outgoing(
            asked=make_asked(method, locate(url), headers, content),
            body=content,
            defaults=self._defaults,
            expect_continue=expect_continue,
            on_informational=on_informational,
        )
        redirects = self._redirects(max_redirects)
        pail = Pail(as_sink(sink) if sink is not None else None, max_body_size, decode)
        watch = self._keeper.start(as_timeouts(timeout, self._timeouts))
        try:
            if not request.streams:
                return await self._fetch(request, redirects, watch, None, pail)
            async with open_plain_nursery() as nursery:
                response = await self._fetch(request, redirects, watch, nursery, pail)
                nursery.cancel_scope.cancel(reason="the response is complete")
            return response
        finally:
            watch.stop()

    async def _fetch(
        self,
        request: Outgoing,
        redirects: Redirects,
        watch: Stopwatch,
        nursery: trio.Nursery | None,
        pail: Pail,
    ) -> ClientResponse:
        exchange, head, history = await self._fetching.follow(request, redirects, watch, nursery)
        try:
            body = await pail.fill(exchange, head, watch, self._limits.max_body_size)
            if request.streams:
                await exchange.settle()
        finally:
            exchange.finish()
        url = request.asked.destination.url
        return ClientResponse(head, url, history, body, exchange.trailers)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str | URL,
        *,
        headers: HeadersToSend = (),
        body: BodyToSend | None = None,
        json: Any = NOTHING,
        timeout: float | Timeouts | None = None,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        content_length: int | None = None,
        expect_continue: bool = False,
        decode: bool = True,
        on_informational: Informed | None = None,
    ) -> AsyncGenerator[ResponseStream, None]:
        """Give a response whose body comes as it is read.

        ::

            async with client.stream("GET", url) as response:
                async for piece in response:
                    ...

        When the block is left, little of a body that was not read is read and thrown away, so that
        the connection can be used again; with more, or if the block raises, it is cut. A body that
        is sent piece by piece is sent while the block runs, if the response came before its end.

        Parameters and errors are those of `fetch`. The total of `timeout` is up to the response's
        head; every piece of the body has its own.
        """
        content = make_body(body, json, content_length)
        request = Outgoing(
            asked=make_asked(method, locate(url), headers, content),
            body=content,
            defaults=self._defaults,
            expect_continue=expect_continue,
            on_informational=on_informational,
        )
        async with open_plain_nursery() as nursery:
            redirects = self._redirects(max_redirects)
            watch = self._keeper.start(as_timeouts(timeout, self._timeouts))
            try:
                found = await self._fetching.follow(request, redirects, watch, nursery)
            finally:
                watch.stop()
            exchange, head, history = found
            try:
                incoming = Incoming(exchange, head, self._limits.max_body_size, decode=decode)
                url = request.asked.destination.url
                yield ResponseStream(head, url, history, incoming, watch.timeouts.piece)
                await exchange.discard(head)
            finally:
                exchange.finish()
            nursery.cancel_scope.cancel(reason="the response is not wanted any more")

    @asynccontextmanager
    async def upgrade(
        self,
        url: str | URL,
        protocol: str,
        codec: Codec[SendT, ReceiveT] | Callable[[ClientResponse], Codec[SendT, ReceiveT]],
        *,
        headers: HeadersToSend = (),
        timeout: float | Timeouts | None = None,
        max_redirects: int = 0,
        farewell: Callable[[], object] | None = None,
    ) -> AsyncGenerator[Connection[SendT, ReceiveT, object], None]:
        """Ask a server to go on in another protocol, and give the connection.

        What the server has sent behind its ``101 Switching Protocols`` is the new protocol's. The
        connection is closed in order when the block is left, and cut if the block raises; the
        server's end of input ends it.

        Parameters:
            url: of http or https, or of ws or wss, which are asked over those.
            protocol: for the ``Upgrade`` field.
            codec: of the new protocol; or a function that is given the response and returns it, or
                raises because the response will not do.
            headers: further fields of the request.
            timeout: up to the response's head, but for `Timeouts.send`, which goes on.
            max_redirects: followed at most.
            farewell: called, once the connection is there, before it is cut because the client is
                cancelled or closed, once or twice: the last moment for ``send_nowait``. It must not
                raise.

        Raises:
            UpgradeRefusedError: the server answered with another status; the error has the
                response, with the first 4 KiB of its body if they come soon.
            FetchError: as `fetch`, and what else that raises.
        """
        content = make_body(None, NOTHING, None)
        asked = make_asked("GET", locate(as_http(url)), headers, content)
        request = Outgoing(asked=asked, body=content, defaults=self._defaults)
        request.ask_upgrade(protocol)
        watch = self._keeper.start(as_timeouts(timeout, self._timeouts))
        try:
            redirects = self._redirects(max_redirects, upgrades=True)
            exchange, head, history = await self._fetching.follow(request, redirects, watch, None)
        finally:
            watch.stop()
        try:
            body = b"" if head.status == 101 else await read_beginning(exchange, head)
            response = ClientResponse(head, request.asked.destination.url, history, body)
            if head.status != 101:
                raise UpgradeRefusedError(head.status, protocol, response)
            made = codec(response) if callable(codec) else codec
            connection = exchange.switch(made, farewell)
            yield connection
            await connection.aclose()
        finally:
            exchange.finish()

    def _redirects(self, max_redirects: int, *, upgrades: bool = False) -> Redirects:
        allow_return = self._hops.cookies is not None
        return Redirects(max_redirects, allow_return=allow_return, upgrades=upgrades)

    # The client

    @property
    def limits(self) -> HTTPClientLimits:
        """The bounds."""
        return self._limits

    def statistics(self) -> HTTPClientStatistics:
        """Return the counts of this moment."""
        return self._pool.statistics()

    async def aclose(self, timeouts: DrainTimeouts | None = None) -> None:
        """Begin nothing more, wait for what is under way, close (row B3).

        Requests that wait for a connection get `PoolClosedError`.

        Parameters:
            timeouts: of them ``wait`` counts, 30 seconds by default: what is not done by then is
                cut.
        """
        self._pool.close()
        with trio.move_on_after((timeouts or DrainTimeouts()).wait):
            await self._pool.wait_empty()
        self._pool.cut()
        await self._pool.wait_empty()
