"""The shapes of ASGI (https://asgi.readthedocs.io)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

ASGIApplication: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application: ``async def app(scope, receive, send)``."""

LifespanMode: TypeAlias = Literal["auto", "on", "off"]
"""Whether an application is told of the server's begin and end: ``"on"`` demands that it answers,
``"auto"`` does without where it does not, ``"off"`` never asks."""
