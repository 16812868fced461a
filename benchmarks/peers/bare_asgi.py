"""The ASGI application under test: one function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from peers.hello import CONTENT_TYPE, MESSAGE, write_json

Message: TypeAlias = MutableMapping[str, Any]


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],  # noqa: ARG001
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer a request with JSON."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = write_json(MESSAGE)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
