"""Cancelling at every await in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import trio


class _CancelAt(trio.abc.Instrument):
    """Cancels a scope when a task is suspended for the n-th time."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, suspension: int) -> None:
        self.struck = False
        self._task = task
        self._scope = scope
        self._left = suspension

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task and not self.struck:
            self.struck = self._left == 0
            self._left -= 1
            if self.struck:
                self._scope.cancel(reason="the test strikes here")


async def cancelled_at(suspension: int, function: Callable[[], Awaitable[object]]) -> bool:
    """Run a function and cancel it when it is suspended for the `suspension`-th time, from 0.

    Returns whether it was suspended that often.
    """
    with trio.CancelScope() as scope:
        strike = _CancelAt(trio.lowlevel.current_task(), scope, suspension)
        trio.lowlevel.add_instrument(strike)
        try:
            await function()
        finally:
            trio.lowlevel.remove_instrument(strike)
    return strike.struck


async def every_suspension(
    function: Callable[[int], Awaitable[bool]],
) -> AsyncIterator[int]:
    """Call a function with 0, 1, 2, … and yield each, until it says that the strike came too late.

    The function runs one scenario with `cancelled_at` and returns what that returned.
    """
    for suspension in count():
        if not await function(suspension):
            break
        yield suspension
