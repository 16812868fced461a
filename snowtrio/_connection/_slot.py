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

    __slots__ = ("_task", "_value")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._value: ValueT | None = None

    @property
    def waiting(self) -> bool:
        """Whether a task waits: what is put is taken only then."""
        return self._task is not None

    async def wait(self) -> ValueT:
        """Wait for a value. A checkpoint; cancelled, it has taken nothing."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        value, self._value = self._value, None
        return cast("ValueT", value)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def put(self, value: ValueT) -> None:
        """Give the task that waits a value; there must be one."""
        assert self._task is not None
        task, self._task = self._task, None
        self._value = value
        trio.lowlevel.reschedule(task)
