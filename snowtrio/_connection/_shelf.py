"""Room for what was decoded before anybody received it.

Most protocols need none: while a receiver is away its peer waits, and TCP sees to that. A protocol
whose decoder answers by itself, pings say, has to be read on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from .._errors import SkippedMessageError

ReceiveT = TypeVar("ReceiveT")

Item: TypeAlias = list[ReceiveT] | SkippedMessageError


class Shelf(Generic[ReceiveT]):
    """Keeps batches, up to so many messages and so much of them.

    Parameters:
        max_messages: kept at most.
        max_size: of all of them together, after which no other batch is taken.
        size: of one message.
    """

    __slots__ = ("_max_messages", "_max_size", "_size", "_total", "items", "messages")

    def __init__(self, max_messages: int, max_size: int, size: Callable[[ReceiveT], int]) -> None:
        self.items: deque[Item[ReceiveT]] | None = None
        """What is kept; None rather than empty, for an idle queue is large."""
        self._max_messages = max_messages
        self._max_size = max_size
        self._size = size
        self.messages = 0
        """How many there are in all of them."""
        self._total = 0

    def put(self, item: Item[ReceiveT], *, force: bool = False) -> bool:
        """Keep a batch if there is room for it, or in any case; say whether it is kept."""
        if type(item) is list:
            if not (force or self._fits(len(item))):
                return False
            self.messages += len(item)
            self._total += sum(map(self._size, item))
        if self.items is None:
            self.items = deque()
        self.items.append(item)
        return True

    def _fits(self, count: int) -> bool:
        return self._total < self._max_size and self.messages + count <= self._max_messages

    def take(self) -> Item[ReceiveT]:
        """Return the oldest batch."""
        assert self.items is not None
        item = self.items.popleft()
        if not self.items:
            self.items = None
        if type(item) is list:
            self.messages -= len(item)
            self._total -= sum(map(self._size, item))
        return item
