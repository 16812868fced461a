"""The kinds of handlers, each as a coroutine function."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias, cast

from ..._threads import ThreadedFunction
from .._socket import (
    FunctionHandler,
    ThreadedHandler,
    WebSocket,
    WebSocketCallbacks,
    answer_by_awaiting,
    run_callbacks,
)

CoroutineHandler: TypeAlias = Callable[[WebSocket], Awaitable[None]]

WebSocketHandler: TypeAlias = (
    CoroutineHandler | FunctionHandler | ThreadedHandler | WebSocketCallbacks
)
"""What serves a WebSocket; see `WebSocketServer`."""


def as_coroutine_handler(handler: WebSocketHandler) -> CoroutineHandler:
    """Return what is awaited once a WebSocket.

    Raises:
        TypeError: it is no handler.
    """
    if isinstance(handler, WebSocketCallbacks):
        return partial(run_callbacks, callbacks=handler)
    if not callable(handler):
        raise TypeError(
            f"a handler is a coroutine function, a plain function or callbacks, not {handler!r}"
        )
    if isinstance(handler, ThreadedFunction):
        return partial(answer_by_awaiting, function=cast("ThreadedHandler", handler))
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    ):
        return cast("CoroutineHandler", handler)
    return partial(WebSocket.answer, function=cast("FunctionHandler", handler))
