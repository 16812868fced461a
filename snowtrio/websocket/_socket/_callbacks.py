"""Handlers that are no coroutine functions over a WebSocket: functions and callbacks."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import trio

from ..._threads import ThreadedFunction
from .._close import CloseCode
from .._errors import WebSocketClosedError
from .._wire import Message, ToSend
from ._websocket import WebSocket

FunctionHandler: TypeAlias = Callable[[WebSocket, Message], ToSend | None]
AwaitedHandler: TypeAlias = Callable[[WebSocket, Message], Awaitable[ToSend | None]]
ThreadedHandler: TypeAlias = ThreadedFunction[[WebSocket, Message], ToSend | None]


class WebSocketCallbacks:
    """What is called for what happens on a WebSocket (row W29); override what is wanted.

    One object may serve any number of them. Of one WebSocket, one method runs at a time, but for
    `on_ping` and `on_pong`, which are called where frames are decoded and hold everything up: they
    must be plain functions. The others may be coroutine functions or plain ones, or be marked with
    `snowtrio.Threads` where they block.
    """

    def on_open(self, websocket: WebSocket) -> Awaitable[None] | None:
        """The WebSocket is open."""

    def on_message(
        self, websocket: WebSocket, message: Message
    ) -> ToSend | Awaitable[ToSend | None] | None:
        """A message has come; what is returned is sent, unless it is None."""

    def on_ping(self, websocket: WebSocket, payload: bytes) -> bytes | None:
        """A ping has come; return the payload of the pong, or None for none."""
        return payload

    def on_pong(self, websocket: WebSocket, payload: bytes) -> None:
        """A pong has come."""

    def on_close(self, websocket: WebSocket) -> Awaitable[None] | None:
        """The WebSocket is closed: ``close_code`` and ``close_reason`` say how.

        Called once, after all else has returned, whatever ended it; also where one of the others
        has raised, or the handler was cancelled. It has ``close_timeout`` seconds, in which a
        cancellation waits.
        """


async def run_callbacks(websocket: WebSocket, callbacks: WebSocketCallbacks) -> None:
    """Call what `callbacks` has for what happens, until the WebSocket is closed.

    Parameters:
        websocket: open; closed afterwards.
        callbacks: called.

    Raises:
        TypeError: `on_ping` or `on_pong` is a coroutine function; nothing was called.
        Exception: what a callback raised; or, where the connection ended without a close,
            `AbnormalCloseError` or `WebSocketProtocolError`.
    """
    _listen(websocket, callbacks)
    try:
        await _call(callbacks.on_open(websocket))
        await _run(websocket, callbacks)
        await websocket.close()
    except trio.Cancelled:
        websocket.close_nowait(CloseCode.GOING_AWAY)
        raise
    except BaseException:
        websocket.close_nowait(CloseCode.INTERNAL_ERROR)
        raise
    finally:
        websocket.on_ping = websocket.on_pong = None
        with trio.move_on_after(websocket.limits.close_timeout, shield=True):
            await _call(callbacks.on_close(websocket))


def _listen(websocket: WebSocket, callbacks: WebSocketCallbacks) -> None:
    kind, base = type(callbacks), WebSocketCallbacks
    for name, method in (("on_ping", callbacks.on_ping), ("on_pong", callbacks.on_pong)):
        if _is_awaited(method):
            raise TypeError(f"{kind.__qualname__}.{name} has to be a plain function")
    if kind.on_ping is not base.on_ping:
        websocket.on_ping = lambda payload: callbacks.on_ping(websocket, payload)
    if kind.on_pong is not base.on_pong:
        websocket.on_pong = lambda payload: callbacks.on_pong(websocket, payload)


async def _run(websocket: WebSocket, callbacks: WebSocketCallbacks) -> None:
    on_message = callbacks.on_message
    if _is_awaited(on_message):
        await answer_by_awaiting(websocket, cast("AwaitedHandler", on_message))
    else:
        await websocket.answer(cast("FunctionHandler", on_message))


async def answer_by_awaiting(websocket: WebSocket, function: AwaitedHandler) -> None:
    """Answer one message after the other with what a function returns once it is awaited.

    Parameters:
        websocket: open.
        function: one whose calls run in threads, or a coroutine function.
    """
    async for message in websocket:
        reply = await function(websocket, message)
        if reply is not None:
            try:
                await websocket.send(reply)
            except WebSocketClosedError:
                continue  # What came before is still told.


def _is_awaited(method: object) -> bool:
    return inspect.iscoroutinefunction(method) or isinstance(method, ThreadedFunction)


async def _call(result: Any) -> None:
    if inspect.isawaitable(result):
        await result
