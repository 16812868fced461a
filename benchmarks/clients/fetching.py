"""What the HTTP clients have in common: what they fetch, how often, and what counts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from clients.asking import Asking
from load.errors import WrongReplyError
from peers.hello import MESSAGE, write_json

CONNECTIONS = 10
BODY = write_json(MESSAGE)


def url_of(port: int) -> str:
    """Return what is fetched."""
    return f"http://127.0.0.1:{port}/"


async def fetch_often(fetch: Callable[[], Awaitable[bytes]], times: int, asking: Asking) -> None:
    """Fetch so many times, each time when the last body has come."""
    for _ in range(times):
        began = time.perf_counter()
        body = await fetch()
        if body != BODY:
            raise WrongReplyError(f"{body!r} was fetched")
        asking.trips.append(time.perf_counter() - began)
