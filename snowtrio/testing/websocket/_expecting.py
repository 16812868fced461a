"""What a test expects of a WebSocket, and what it is told that came instead."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from ..._errors import ConnectionClosedError, ConnectionLostError, RemoteProtocolError
from ...websocket import (
    Close,
    Message,
    WebSocket,
    WebSocketClosedError,
    WebSocketProtocolError,
)

DEFAULT_TIMEOUT = 2.0


@asynccontextmanager
async def soon(what: str, timeout: float) -> AsyncGenerator[None, None]:
    """Fail the test if the block takes too long."""
    with trio.move_on_after(timeout) as scope:
        yield
    if scope.cancelled_caught:
        raise AssertionError(f"expected {what}, but nothing came in {timeout:g} s")


def show(value: object) -> str:
    """Return how a message looks in an error: the beginning of a long one."""
    shown = repr(value)
    if len(shown) <= 200:
        return shown
    size = len(value) if isinstance(value, (str, bytes)) else len(shown)
    return f"{shown[:160]}… ({size} in all)"


async def expect_message(
    websocket: WebSocket, expected: Message | None = None, *, timeout: float = DEFAULT_TIMEOUT
) -> Message:
    """Receive a message, and check that it is the right one.

    Parameters:
        websocket: to receive from; nobody else does.
        expected: the message; text and bytes are not the same. By default any will do.
        timeout: seconds.

    Returns the message.

    Raises:
        AssertionError: another message came, or the WebSocket ended, or nothing came in time.
    """
    what = "a message" if expected is None else f"the message {show(expected)}"
    try:
        async with soon(what, timeout):
            message = await websocket.receive()
    except _ENDS as error:
        raise AssertionError(f"expected {what}, but {_tell(error)}") from error
    if expected is not None and (type(message) is not type(expected) or message != expected):
        raise AssertionError(f"expected {what}, but {show(message)} came")
    return message


async def expect_close(
    websocket: WebSocket,
    code: int | None = None,
    reason: str | None = None,
    *,
    timeout: float = DEFAULT_TIMEOUT,
) -> Close:
    """Check that the peer has closed, or does so next.

    Parameters:
        websocket: to receive from; nobody else does.
        code: the peer's. 1005 stands for a close without a code, 1006 for an end without a close.
            By default any will do, but not 1006.
        reason: the peer's; by default any will do.
        timeout: seconds.

    Returns what the peer has said.

    Raises:
        AssertionError: it said something else, sent a message, or did not close in time.
    """
    what = _describe(code, reason)
    try:
        async with soon(what, timeout):
            message = await websocket.receive()
    except WebSocketClosedError as error:
        if error.received is None:
            raise AssertionError(f"expected {what}, but only this side has closed") from error
        return check_close(error.received, code, reason)
    except _ENDS as error:
        if code == 1006 and not isinstance(error, WebSocketProtocolError):
            return Close(1006, "")
        raise AssertionError(f"expected {what}, but {_tell(error)}") from error
    raise AssertionError(f"expected {what}, but the message {show(message)} came")


async def expect_pong(
    websocket: WebSocket, payload: bytes | None = None, *, timeout: float = DEFAULT_TIMEOUT
) -> float:
    """Send a ping, and check that the peer answers it.

    Parameters:
        websocket: to ping from; another task may receive in the meantime, none needs to.
        payload: of the ping; random by default.
        timeout: seconds.

    Returns the round trip, in seconds.

    Raises:
        AssertionError: the WebSocket ended, or no pong came in time.
    """
    what = "a pong" if payload is None else f"the pong {show(payload)}"
    try:
        async with soon(what, timeout):
            return await websocket.ping(payload)
    except _ENDS as error:
        raise AssertionError(f"expected {what}, but {_tell(error)}") from error
    raise AssertionError("unreachable")


def check_close(close: Close, code: int | None, reason: str | None) -> Close:
    """Return what the peer has said, if it is what was expected."""
    if (code is not None and close.code != code) or (reason is not None and close.reason != reason):
        said = _describe(close.code, close.reason or None)
        raise AssertionError(f"expected {_describe(code, reason)}, but it was {said}")
    return close


_ENDS = (ConnectionClosedError, ConnectionLostError, RemoteProtocolError)


def _describe(code: int | None, reason: str | None) -> str:
    what = "a close" if code is None else f"a close with {code:d}"
    return what if reason is None else f"{what} and the reason {reason!r}"


def _tell(error: Exception) -> str:
    if isinstance(error, WebSocketClosedError) and error.received is not None:
        return f"the peer closed: {error.received}"
    if isinstance(error, WebSocketProtocolError):
        return f"the peer broke the protocol ({error.code:d}): {error}"
    return str(error)
