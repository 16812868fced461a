"""What one task is given to do by others: a channel that holds next to nothing while it is idle."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Generic, TypeVar

import trio

from ._slot import Slot

ItemT = TypeVar("ItemT")


class Post(Generic[ItemT]):
    """Keeps things in order until the task takes them. Whoever puts them bounds how many.

    A memory channel would do, but every idle connection has one of these, and that is as large as
    all else that its writer needs.
    """

    __slots__ = ("_closed", "_items", "_slot")

    def __init__(self) -> None:
        self._items: list[ItemT] = []
        self._slot: Slot[ItemT] = Slot()
        self._closed = False

    def put(self, item: ItemT) -> None:
        """Give something to the task.

        Raises:
            trio.ClosedResourceError: nothing more is to come.
        """
        if self._closed:
            raise trio.ClosedResourceError("nothing more was to come")
        if self._slot.waiting is not None:
            self._slot.put(item)
        else:
            self._items.append(item)

    def close(self) -> None:
        """Put nothing more; idempotent."""
        self._closed = True
        if self._slot.waiting is not None:
            self._slot.fail(trio.EndOfChannel("nothing more comes"))

    def take(self) -> Awaitable[ItemT]:
        """Wait for the next thing: to be awaited at once, by one task. A checkpoint.

        Raises:
            trio.EndOfChannel: nothing more comes, and everything was taken.
        """
        if self._items or self._closed:
            return self._take_next()
        return self._slot.wait()

    async def _take_next(self) -> ItemT:
        await trio.lowlevel.checkpoint()
        if not self._items:
            raise trio.EndOfChannel("nothing more comes")
        return self._items.pop(0)
