"""The server that runs."""

from __future__ import annotations

import inspect
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import TypeAlias, cast

import attrs
import trio

from ..._server import AnyListener
from ..._supervisor import DrainReport, DrainTimeouts
from ..._transport import Address
from ...http import HTTPError, HTTPLimits, HTTPServer, Request, Response
from ...http._server import WhenFull, tells_of_own_end
from .._close import Close, CloseCode
from .._socket import WebSocket
from .._wire import Deflate, WebSocketLimits
from ._accepting import accept, last_word
from ._handlers import WebSocketHandler, as_coroutine_handler
from ._opening import ChooseSubprotocol
from ._statistics import Tally, WebSocketStatistics
from ._terms import MakeHeaders, Terms

# What strangers bring about is told at level DEBUG alone; failing handlers are the core's to tell.
logger = logging.getLogger("snowtrio.websocket.server")

ProcessRequest: TypeAlias = Callable[[Request], object | Awaitable[object]]
"""What looks at requests before they are answered; see `WebSocketServer`."""


class WebSocketServer:
    """Serves WebSockets until it is drained or cancelled.

    Made by `serve_websocket`, `serve_websocket_unix` and `serve_websocket_listeners`, which report
    it to ``nursery.start``.

    Parameters:
        handler: serves a WebSocket, in one of three ways:

            - A coroutine function, called once with each `WebSocket`. When it returns, the
              WebSocket is closed with 1000; if it raises, with 1011, and the error is logged, or
              propagated. If it raises only because its client has left, nothing is said.
            - A plain function, called with the `WebSocket` and each message, which returns the
              answer, or None for no answer. The fastest; it holds up everything else, so it must
              not take long.
            - A `WebSocketCallbacks` object, whose methods are called with what comes.

            Plain functions that block are marked with `snowtrio.Threads`.

        ssl_context: speak TLS: ``wss``.
        subprotocols: that we speak, the best first; one that was offered is chosen, if there is
            one. Or a function that is given the offered ones and returns one of them, or None.
        origins: pages that may open a WebSocket, such as ``https://example.org``; None among them
            stands for clients that are no browsers. By default everybody may: a server that knows
            its users by cookies has to name its own pages here.
        compression: how messages are compressed if the client can; None, the default, is not.
        headers: further fields of the response that opens; or a function that makes them of the
            request.
        process_request: called with each `snowtrio.http.Request` before anything is checked or
            answered; a coroutine function or a plain one. If it returns a
            `snowtrio.http.Response`, or raises `snowtrio.http.HTTPError`, that is the answer, and
            no handler is called (row W4): 401 to strangers, or a page for the load balancer that
            asks whether we live. Anything else that it returns is the ``websocket.context`` of the
            WebSocket: who asks, for example.
        limits: the bounds of each WebSocket.
        http_limits: those of connections and requests: how many there are at a time, how long a
            handshake may take. Each connection has one request: whoever is refused is closed.
        when_full: what a client gets that finds no place: ``"close"``, ``"wait"`` in the backlog,
            or a `snowtrio.http.Response`, 503 by default (plain connections only, TLS clients are
            closed).
        propagate_errors: let what a handler raises end the server, once its client has its 1011.

    Raises:
        TypeError: the handler is none, or an option is not what it has to be.
        ValueError: a subprotocol has no name that can be sent.
    """

    def __init__(
        self,
        handler: WebSocketHandler,
        *,
        ssl_context: ssl.SSLContext | None = None,
        subprotocols: ChooseSubprotocol = (),
        origins: Sequence[str | None] | None = None,
        compression: Deflate | None = None,
        headers: MakeHeaders = (),
        process_request: ProcessRequest | None = None,
        limits: WebSocketLimits | None = None,
        http_limits: HTTPLimits | None = None,
        when_full: WhenFull = None,
        propagate_errors: bool = False,
    ) -> None:
        self._handler = as_coroutine_handler(handler)
        self._process_request = process_request
        self._terms = Terms(
            subprotocols=subprotocols,
            origins=origins,
            compression=compression,
            limits=limits if limits is not None else WebSocketLimits(),
            headers=headers,
        )
        self._http = HTTPServer(
            self._handle,
            ssl_context=ssl_context,
            limits=_one_request(http_limits if http_limits is not None else HTTPLimits()),
            when_full=when_full,
            propagate_errors=propagate_errors,
        )
        self._open: dict[WebSocket, None] = {}
        self._tally = Tally()

    # Serving

    async def serve(
        self,
        listeners: Sequence[AnyListener],
        *,
        task_status: trio.TaskStatus[WebSocketServer] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until drained or cancelled; once only. Owns the listeners.

        Cancelled, it cuts its connections and leaves nothing open.

        Raises:
            OSError: a listener broke.
        """
        await self._http.serve(listeners, task_status=_Reports(self, task_status))

    async def _handle(self, request: Request) -> Response | None:
        try:
            answered = await self._look_at(request)
            if isinstance(answered, Response):
                self._note_rejected(request, answered.status)
                return answered
            websocket, conversation = await accept(request, self._terms, answered)
        except HTTPError as error:
            self._note_rejected(request, error.status, error.detail)
            raise
        except Exception as error:
            if not tells_of_own_end(error):
                self._note_rejected(request, 500)
            raise
        self._note_opened(websocket)
        try:
            await self._handler(websocket)
            await conversation.close(Close(CloseCode.NORMAL))
        except BaseException as error:
            conversation.begin_close(last_word(error))
            _note_where(error, websocket)
            raise
        finally:
            self._note_closed(websocket)
        return None

    async def _look_at(self, request: Request) -> object:
        if self._process_request is None:
            return None
        found = self._process_request(request)
        return await cast("Awaitable[object]", found) if inspect.isawaitable(found) else found

    def _note_rejected(self, request: Request, status: int, detail: str = "") -> None:
        self._tally.rejected[status] += 1
        logger.debug("rejected %r of %r: %d %s", request, request.peer_address, status, detail)

    def _note_opened(self, websocket: WebSocket) -> None:
        self._tally.opened += 1
        self._open[websocket] = None
        logger.debug("opened %r %s", websocket, websocket.target)

    def _note_closed(self, websocket: WebSocket) -> None:
        del self._open[websocket]
        code = self._tally.note_closed(websocket)
        logger.debug("closed %r %s: %d", websocket, websocket.target, code)

    # Looking at it

    @property
    def addresses(self) -> list[Address | None]:
        """Where it listens, with the real ports."""
        return self._http.addresses

    @property
    def port(self) -> int:
        """The port of the first TCP address.

        Raises:
            LookupError: it listens on no TCP address.
        """
        return self._http.port

    @property
    def websockets(self) -> Set[WebSocket]:
        """Those that are open or being closed, the oldest first: a view, which changes with them.

        Whoever awaits while iterating needs a copy: ``list(server.websockets)``.
        """
        return self._open.keys()

    @property
    def limits(self) -> WebSocketLimits:
        """The bounds of WebSockets; replaced, for those that are opened from then on (row B2)."""
        return self._terms.limits

    @limits.setter
    def limits(self, limits: WebSocketLimits) -> None:
        self._terms = attrs.evolve(self._terms, limits=limits)

    @property
    def http_limits(self) -> HTTPLimits:
        """The bounds of connections and requests; see `snowtrio.http.HTTPServer.limits`."""
        return self._http.limits

    @http_limits.setter
    def http_limits(self, limits: HTTPLimits) -> None:
        self._http.limits = _one_request(limits)

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS rules of new connections; may be replaced while the server runs (row B12)."""
        return self._http.ssl_context

    @ssl_context.setter
    def ssl_context(self, context: ssl.SSLContext | None) -> None:
        self._http.ssl_context = context

    def statistics(self) -> WebSocketStatistics:
        """Return the counts of this moment."""
        return WebSocketStatistics(
            http=self._http.statistics(),
            open=len(self._open),
            opened=self._tally.opened,
            rejected=dict(self._tally.rejected),
            closed=dict(self._tally.closed),
        )

    # Ending

    def close_all(self) -> None:
        """Cut the connections that are there and go on listening (row S24). Does not wait.

        Nobody is told why; a client sees 1006. Those that should be told are closed one by one.
        """
        self._http.close_all()

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order (rows W26, S23, B3); see `snowtrio.Server.drain`.

        Each WebSocket is closed with 1001, and its handler's iteration ends. Handlers are waited
        for, as are the clients' answers, up to ``close_timeout``. A handshake under way is answered
        with 503. When it returns, all handlers and close hooks have ended. From a thread,
        ``trio.from_thread.run(server.drain)`` does it.

        Parameters:
            timeouts: of the phases.

        Raises:
            RuntimeError: the server does not serve yet, or ended before it had drained.
        """
        return await self._http.drain(timeouts)


def _note_where(error: BaseException, websocket: WebSocket) -> None:
    """Have a traceback say which WebSocket it is about; one that is raised again says it once."""
    if isinstance(error, Exception) and not hasattr(error, "__notes__"):
        error.add_note(f"in the handler of {websocket!r} {websocket.target}")


def _one_request(limits: HTTPLimits) -> HTTPLimits:
    """Return bounds with which nobody keeps a place by requests that open no WebSocket."""
    return attrs.evolve(limits, max_requests=1)


class _Reports:
    """Reports a WebSocket server where HTTP reports its own."""

    def __init__(
        self, server: WebSocketServer, task_status: trio.TaskStatus[WebSocketServer]
    ) -> None:
        self._server = server
        self._task_status = task_status

    def started(self, value: object = None) -> None:
        """Note that it serves."""
        self._task_status.started(self._server)
