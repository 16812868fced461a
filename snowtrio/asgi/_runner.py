"""The application, run for each request in a task of its own.

Its task is not the connection's: what it does after its response must not hold up the client's next
request, and is not cancelled when the client leaves.
"""

from __future__ import annotations

import logging
from types import NoneType

import trio

from .._errors import LocalProtocolError
from ..http import HTTPError, Request
from ..http._server import Exchange, exchange_of
from ._errors import ClientDisconnectedError
from ._exchange import ASGIExchange
from ._scope import Surroundings, make_scope
from ._types import ASGIApplication, Scope

logger = logging.getLogger("snowtrio.asgi")


class Run:
    """One call of the application.

    Parameters:
        exchange: what it has for its request.
    """

    __slots__ = ("_wakes", "ended", "exchange", "in_background")

    def __init__(self, exchange: ASGIExchange) -> None:
        self.exchange = exchange
        self.ended = False
        self.in_background = False
        """Whether its connection has gone on without it."""
        self._wakes: trio.Event | None = None

    def end(self) -> None:
        """Note that the application has returned."""
        self.ended = True
        self.exchange.let_go()
        if self._wakes is not None:
            self._wakes.set()

    async def wait_ended(self) -> None:
        """Wait until the application has returned."""
        if not self.ended:
            self._wakes = trio.Event()
            await self._wakes.wait()


class Runner:
    """A handler of the server that runs an application.

    Parameters:
        app: the application.
        around: what all requests have in common.
        nursery: of the application's tasks.
        max_background: requests whose application may go on behind its response.
    """

    def __init__(
        self,
        app: ASGIApplication,
        around: Surroundings,
        nursery: trio.Nursery,
        max_background: int,
    ) -> None:
        self._app = app
        self._around = around
        self._nursery = nursery
        self._max_background = max_background
        self._background = 0

    async def __call__(self, request: Request) -> None:
        """Answer a request."""
        refuse_what_is_not_http(request)
        run = Run(ASGIExchange(exchange_of(request)))
        scope = make_scope(request, self._around)
        self._nursery.start_soon(self._run, scope, run, name=self._app)
        try:
            await run.exchange.wait_over()
            if not run.ended and self._background >= self._max_background:
                await run.wait_ended()
        except trio.Cancelled:
            run.exchange.abandon()
            # Its connection's place is held as long as its request makes work.
            with trio.CancelScope(shield=True):
                await run.wait_ended()
            raise
        if not run.ended:
            run.in_background = True
            self._background += 1
        await self._answer_for(run, exchange_of(request))

    async def _answer_for(self, run: Run, exchange: Exchange) -> None:
        """Do for the client what is left to do where the application has given no response."""
        failure = run.exchange.failure
        if failure is None and run.exchange.complete:
            return
        if exchange.responding and type(failure) in (NoneType, HTTPError):
            if exchange.body_open:
                exchange.body_open = False
                await exchange.cut()  # Why is in the log already.
            return
        if failure is None:
            failure = HTTPError(503 if self._nursery.cancel_scope.cancel_called else 500)
        raise failure

    async def _run(self, scope: Scope, run: Run) -> None:
        exchange = run.exchange
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            _report(error, scope, exchange)
        else:
            if not (exchange.complete or exchange.told):
                logger.error("the application left a response incomplete: %s", _name(scope))
        finally:
            if run.in_background:
                self._background -= 1
            run.end()


def refuse_what_is_not_http(request: Request) -> None:
    """Refuse what has a scope of its own, or none at all.

    Raises:
        HTTPError: 501.
    """
    if request.method == "CONNECT":
        raise HTTPError(501, "there are no tunnels here")
    offered = request.upgrade_offered
    if offered is not None and offered.lower() == "websocket":
        raise HTTPError(501, "WebSocket is not spoken here")


def _report(error: Exception, scope: Scope, exchange: ASGIExchange) -> None:
    """Log why an application failed; to end because the client has left is no failure."""
    if isinstance(error, ClientDisconnectedError):
        logger.debug("%s: %s", _name(scope), error)
    elif exchange.told and not (exchange.complete or isinstance(error, LocalProtocolError)):
        # Frameworks have errors of their own for it.
        logger.info("the application ended without its client: %s", _name(scope), exc_info=error)
    else:
        logger.error("the application failed: %s", _name(scope), exc_info=error)


def _name(scope: Scope) -> str:
    return f"{scope['method']} {scope['raw_path'].decode()}"
