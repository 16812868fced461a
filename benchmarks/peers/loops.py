"""The two event loops of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_on(loop: str, main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on ``asyncio`` or ``uvloop``."""
    if loop == "uvloop":
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)
