"""Stands in for what ``_socket`` will have."""

from __future__ import annotations

from collections.abc import Callable

from .._socket import WebSocket
from .._wire import Message, ToSend


class WebSocketCallbacks:
    """Stub."""


async def answer(
    websocket: WebSocket, function: Callable[[WebSocket, Message], ToSend | None]
) -> None:
    """Stub."""
    async for message in websocket:
        reply = function(websocket, message)
        if reply is not None:
            await websocket.send(reply)


async def run_callbacks(websocket: WebSocket, callbacks: WebSocketCallbacks) -> None:  # noqa: ARG001
    """Stub."""
    async for _ in websocket:
        pass
