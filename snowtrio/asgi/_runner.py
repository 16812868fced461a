"""What all connections of a server share, and what is logged of their applications."""

from __future__ import annotations

import logging

import trio

from .._errors import LocalProtocolError
from ..http._server import Exchange
from ._call import Call
from ._errors import ClientDisconnectedError
from ._exchange import ASGIExchange
from ._scope import Surroundings
from ._session import Session
from ._terms import WebSocketTerms
from ._types import ASGIApplication, Scope
from ._websocket import ASGIWebSocket

logger = logging.getLogger("snowtrio.asgi")


class Runner:
    """Serves connections with an application.

    Parameters:
        app: the application.
        around: what all requests have in common.
        nursery: of the application's tasks.
        max_background: requests whose application may go on behind its response.
        terms: on which WebSockets are opened.
    """

    def __init__(
        self,
        app: ASGIApplication,
        around: Surroundings,
        nursery: trio.Nursery,
        max_background: int,
        terms: WebSocketTerms,
    ) -> None:
        self.app = app
        self.around = around
        self.nursery = nursery
        self.terms = terms
        self._max_background = max_background
        self._background = 0

    async def serve(self, exchange: Exchange) -> None:
        """Serve a connection."""
        await Session(self, exchange).run()

    def may_leave(self, call: Call) -> bool:
        """Say whether a connection may go on without its application, and count it then."""
        if self._background >= self._max_background:
            return False
        self._background += 1
        call.left = True
        return True

    async def run(self, call: Call) -> None:
        """Run the application to its end, and log what it has failed in."""
        exchange = call.exchange
        try:
            await call
        except Exception as error:
            call.failed = True
            _report(error, call.scope, exchange)
        else:
            if not (exchange.complete or exchange.told):
                logger.error("the application left a response incomplete: %s", _name(call.scope))
        finally:
            call.ended = True
            if call.left:
                self._background -= 1


def _report(error: Exception, scope: Scope, exchange: ASGIExchange | ASGIWebSocket) -> None:
    """Log why an application failed; to end because the client has left is no failure."""
    if isinstance(error, ClientDisconnectedError):
        logger.debug("%s: %s", _name(scope), error)
    elif exchange.deserted and not isinstance(error, LocalProtocolError):
        # Frameworks have errors of their own for it.
        logger.info("the application ended without its client: %s", _name(scope), exc_info=error)
    else:
        logger.error("the application failed: %s", _name(scope), exc_info=error)


def _name(scope: Scope) -> str:
    return f"{scope.get('method', 'WebSocket')} {scope['raw_path'].decode()}"
