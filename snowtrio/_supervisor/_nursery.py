"""A nursery whose only failure comes out as it is.

What a user's block raises should reach them plain. Trio wraps it in a group, as it must where there
can be several; where there is one, the group says nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_plain_nursery() -> AsyncGenerator[trio.Nursery, None]:
    """Open a nursery; a single exception is raised without a group around it."""
    only: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        only, *others = group.exceptions
        if others:
            raise
    if only is not None:
        raise only
