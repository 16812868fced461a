"""One call of the application, made within the task that serves its connection."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from types import CoroutineType
from typing import Any

import trio

from ..http._server import access_logger
from ..http._wire import RequestHead
from ._exchange import ASGIExchange
from ._types import ASGIApplication, Scope
from ._websocket import ASGIWebSocket


class Call(Generator[Any, Any, None]):
    """Awaited, it runs the application to its end, in context variables of its own.

    It passes on whatever the application waits for, and so sees that it waits: an application that
    still does so when its response is complete is in the way of the next request.

    Parameters:
        app: the application.
        scope: what it is told.
        head: of its request.
        exchange: what it receives and sends by.
        on_lag: called, perhaps more than once, when the application has no business with the
            connection any more and goes on.
    """

    # No slots, and defaults in the class: one is made for each request.

    ended = False
    """Whether the application has returned."""
    failed = False
    """Whether it has raised."""
    left = False
    """Whether its connection has gone on without it."""
    _coroutine: Any

    def __init__(
        self,
        app: ASGIApplication,
        scope: Scope,
        head: RequestHead,
        exchange: ASGIExchange | ASGIWebSocket,
        on_lag: Callable[[], None],
    ) -> None:
        self.scope = scope
        self.head = head
        self.began: float | None = None
        if access_logger.isEnabledFor(logging.INFO):
            self.began = trio.current_time()
        self.exchange = exchange
        self._on_lag = on_lag
        self._run = copy_context().run
        # Called there, since it may be more than a coroutine function.
        coroutine: Any = self._run(app, scope, exchange.receive, exchange.send)
        if type(coroutine) is not CoroutineType:
            coroutine = _wait_for(coroutine)
        self._coroutine = coroutine

    @property
    def lags(self) -> bool:
        """Whether the application goes on, and not with the connection."""
        return self.exchange.over and not (self.ended or self.left)

    # As an awaitable

    def __await__(self) -> Call:
        """Return what is iterated over."""
        return self

    def send(self, value: Any) -> Any:
        """Take a step."""
        exchange = self.exchange
        exchange.in_step = True
        try:
            trap = self._run(self._coroutine.send, value)
        finally:
            exchange.in_step = False
        if exchange.over:
            self._on_lag()
        return trap

    def throw(self, *error: Any) -> Any:
        """Take a step that begins with an error."""
        exchange = self.exchange
        exchange.in_step = True
        try:
            trap = self._run(self._coroutine.throw, *error)
        finally:
            exchange.in_step = False
        if exchange.over:
            self._on_lag()
        return trap

    def close(self) -> None:
        """End the application, whose task is no more."""
        self._coroutine.close()

    # What shows a task's frames looks for these.

    @property
    def cr_frame(self) -> Any:
        """Where the application stands."""
        return self._coroutine.cr_frame

    @property
    def cr_await(self) -> Any:
        """What it waits for."""
        return self._coroutine.cr_await


async def _wait_for(awaitable: Awaitable[None]) -> None:
    await awaitable
