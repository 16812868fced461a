"""What the clients of Redis have in common: which keys they get, how often, and what counts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from clients.asking import Asking
from load.errors import WrongReplyError

CONNECTIONS = 4


def key_of(task: int) -> str:
    """Return the key that a task gets."""
    return f"key:{task}"


def value_of(task: int) -> bytes:
    """Return what the key has."""
    return b"value of task %d" % task


async def get_often(
    task: int, get: Callable[[str], Awaitable[object]], times: int, asking: Asking
) -> None:
    """Get a key so many times, each time when the reply to the last time has come."""
    key, value = key_of(task), value_of(task)
    for _ in range(times):
        began = time.perf_counter()
        reply = await get(key)
        if reply != value:
            raise WrongReplyError(f"{reply!r} for {key}")
        asking.trips.append(time.perf_counter() - began)
