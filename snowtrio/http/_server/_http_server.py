"""The server that runs."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence

import trio

from ..._server import AnyListener, Server
from ..._supervisor import DrainReport, DrainTimeouts, open_plain_nursery
from ..._transport import Address
from .._wire import RequestEvent, ResponseEvent
from ._exchange import Exchange
from ._farewell import WhenFull, farewell
from ._limits import HTTPLimits
from ._protocol import HTTPProtocol
from ._service import Handler, Service
from ._statistics import HTTPStatistics


class HTTPServer:
    """Answers requests until it is drained or cancelled.

    Made by `serve_http`, `serve_http_unix` and `serve_http_listeners`, which report it to
    ``nursery.start``.

    Parameters:
        handler: a coroutine function or a plain function. It is called with each `Request` and
            returns a `Response`; or None where it has sent its response, by
            `Request.start_response` or `Request.upgrade`. One request of a connection is answered
            after the other.

            A plain function gets requests whose body has come, as ``request.content`` (at most
            ``max_body_size``, else the client gets 413), and is called with no task woken in
            between. It holds up everything else, so it must not take long; one that does is marked
            with `snowtrio.Threads`.

            What it raises is answered with 500 and logged by ``snowtrio.http``, an `HTTPError` as
            that says. Once a response has begun, the client sees a cut.
        ssl_context: speak HTTPS.
        limits: the bounds.
        when_full: what a client gets that finds no place: ``"close"``, ``"wait"`` in the backlog,
            or a `Response` to tell it so before closing, 503 with ``Retry-After: 1`` by default
            (plain connections only, TLS clients are closed).
        propagate_errors: let what a handler raises end the server, once its client has its 500.
        server_name: what a ``Server`` field says; there is none by default.
        request_id_header: the field from which `Request.id` is taken, such as ``X-Request-Id``.
            Only where a proxy sets it that can be trusted; by default each request gets an id here.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        ssl_context: ssl.SSLContext | None = None,
        limits: HTTPLimits | None = None,
        when_full: WhenFull = None,
        propagate_errors: bool = False,
        server_name: str | None = None,
        request_id_header: str | None = None,
    ) -> None:
        self._limits = limits if limits is not None else HTTPLimits()
        service = Service(
            handler,
            self._limits,
            server_name=server_name,
            request_id_header=request_id_header,
            propagate_errors=propagate_errors,
        )
        self._protocol = HTTPProtocol(service)
        self._server: Server[ResponseEvent, RequestEvent, None] = Server(
            None,
            self._protocol,
            ssl_context=ssl_context,
            limits=self._limits,
            when_full=farewell(when_full, self._limits),
            propagate_errors=propagate_errors,
        )

    async def serve(
        self,
        listeners: Sequence[AnyListener],
        *,
        task_status: trio.TaskStatus[HTTPServer] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until drained or cancelled; once only. Owns the listeners.

        Cancelled, it cuts its connections and leaves nothing open.

        Raises:
            OSError: a listener broke.
        """
        async with open_plain_nursery() as nursery:
            nursery.start_soon(self._protocol.watch)
            await self._server.serve(listeners, task_status=_Reports(self, task_status))
            nursery.cancel_scope.cancel(reason="the server has ended")

    # Looking at it

    @property
    def addresses(self) -> list[Address | None]:
        """Where it listens, with the real ports."""
        return self._server.addresses

    @property
    def port(self) -> int:
        """The port of the first TCP address.

        Raises:
            LookupError: it listens on no TCP address.
        """
        return self._server.port

    @property
    def limits(self) -> HTTPLimits:
        """The bounds. Replacing them cuts nobody (row B2).

        Those of connections, and of heads, hold for connections that come from then on; those of
        bodies, of requests and the deadlines hold for all at once.
        """
        return self._limits

    @limits.setter
    def limits(self, limits: HTTPLimits) -> None:
        self._limits = self._server.limits = limits
        self._protocol.set_limits(limits)

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS rules of new connections; may be replaced while the server runs (row B12)."""
        return self._server.ssl_context

    @ssl_context.setter
    def ssl_context(self, context: ssl.SSLContext | None) -> None:
        self._server.ssl_context = context

    def statistics(self) -> HTTPStatistics:
        """Return the counts of this moment."""
        tally, exchanges = self._protocol.service.tally, self._protocol.exchanges.values()
        upgraded = sum(exchange.upgraded for exchange in exchanges)
        return HTTPStatistics(
            server=self._server.statistics(),
            requests=tally.requests,
            under_way=sum(exchange.head is not None for exchange in exchanges) - upgraded,
            upgraded=upgraded,
            responses={digit: count for digit, count in enumerate(tally.classes) if count},
            refused=dict(tally.refused),
        )

    # Ending

    def close_all(self) -> None:
        """Cut the connections that are there and go on listening (row S24). Does not wait."""
        self._server.close_all()

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order (rows S23, B3); see `snowtrio.Server.drain`.

        Idle connections are closed. A request that is being answered, or whose head has begun to
        come, is answered with ``Connection: close``. Connections that were upgraded are parted
        from as their ``goodbye`` says.

        Parameters:
            timeouts: of the phases.

        Raises:
            RuntimeError: the server does not serve yet, or ended before it had drained.
        """
        return await self._server.drain(timeouts)


class ExchangeServer(HTTPServer):
    """A server for a room above that serves whole connections.

    Parameters:
        serve: called for each connection.
        ssl_context: speak HTTPS.
        limits: the bounds.
    """

    def __init__(
        self,
        serve: Callable[[Exchange], Awaitable[None]],
        *,
        ssl_context: ssl.SSLContext | None = None,
        limits: HTTPLimits | None = None,
    ) -> None:
        super().__init__(_no_handler, ssl_context=ssl_context, limits=limits)
        self._protocol.serve = serve


async def _no_handler(_: object) -> None:
    raise AssertionError("requests are taken by the room above")


class _Reports:
    """Reports an HTTP server where the core reports its own.

    Parameters:
        server: to report.
        task_status: whom to report it to.
    """

    def __init__(self, server: HTTPServer, task_status: trio.TaskStatus[HTTPServer]) -> None:
        self._server = server
        self._task_status = task_status

    def started(self, value: object = None) -> None:
        """Note that it serves."""
        self._task_status.started(self._server)
