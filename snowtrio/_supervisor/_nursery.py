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
    """Open a nursery; a single exception is raised without a group around it.

    What fails while the nursery is cancelled is raised in the place of the cancellation, as in a
    single task.
    """
    failed: BaseExceptionGroup[BaseException] | None = None
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        failed = group.split(trio.Cancelled)[1]
        if failed is None:
            raise
    if failed is not None:
        raise failed.exceptions[0] if len(failed.exceptions) == 1 else failed
