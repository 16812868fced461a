"""A place where one task waits for what another has for it: a hand-over with nothing in between.

A memory channel would do, but its waiting side costs as much as reading a socket, and an idle
connection is one that waits here twice.
"""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import trio

ValueT = TypeVar("ValueT")


class Slot(Generic[ValueT]):
    """Where one task waits for a value."""

    __slots__ = ("_value", "waiting")

    def __init__(self) -> None:
        self.waiting: trio.lowlevel.Task | None = None
        """The task that waits, if one does: only then may something be put."""
        self._value: ValueT | None = None

    @property
    def full(self) -> bool:
        """Whether something was put, other than None, that the task has not taken yet."""
        return self._value is not None

    async def wait(self) -> ValueT:
        """Wait for a value. A checkpoint; cancelled, it has taken nothing."""
        self.waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        value, self._value = self._value, None
        return cast("ValueT", value)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self.waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def put(self, value: ValueT) -> None:
        """Give the task that waits a value; there must be one."""
        task, self.waiting = self.waiting, None
        assert task is not None
        self._value = value
        trio.lowlevel.reschedule(task)
