"""A place where one task waits for what another has for it: a hand-over with nothing in between.

A memory channel would do, but its waiting side costs as much as reading a socket, and an idle
connection is one that waits here twice.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Generic, TypeVar

import outcome
import trio

ValueT = TypeVar("ValueT")


class Slot(Generic[ValueT]):
    """Where one task waits for a value."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: trio.lowlevel.Task | None = None
        """The task that waits, if one does: only then may something be put."""

    def wait(self) -> Awaitable[ValueT]:
        """Wait for a value: to be awaited at once. A checkpoint; cancelled, it has taken nothing.

        It is Trio's own coroutine that is awaited: one less for each idle connection to keep.
        """
        self.waiting = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._abort)  # noqa: ASYNC105 - by the caller

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self.waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def put(self, value: ValueT) -> None:
        """Give the task that waits a value; there must be one."""
        task, self.waiting = self.waiting, None
        assert task is not None
        trio.lowlevel.reschedule(task, outcome.Value(value))

    def fail(self, error: Exception) -> None:
        """Raise an error in the task that waits; there must be one."""
        task, self.waiting = self.waiting, None
        assert task is not None
        trio.lowlevel.reschedule(task, outcome.Error(error))
