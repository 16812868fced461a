"""Messages that wait for one task, with a bound."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import trio

from .._connection import again

MessageT = TypeVar("MessageT")


class Backlog(Generic[MessageT]):
    """A queue between a connection and a task that takes from it when it can.

    Who puts does not wait: the bound says when it should stop, and `wait_room` when to go on.

    Parameters:
        bound: messages from which on it is full.
    """

    __slots__ = ("_error", "_messages", "_room", "_taker", "bound", "dropped")

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.dropped = 0
        self._messages: deque[MessageT] = deque()
        self._room = trio.lowlevel.ParkingLot()
        self._taker = trio.lowlevel.ParkingLot()
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether no more should be put."""
        return len(self._messages) >= self.bound and self._error is None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._error is not None

    def put(self, message: MessageT) -> None:
        """Add a message; what comes after the end is thrown away."""
        if self._error is None:
            self._messages.append(message)
            self._taker.unpark()

    def drop_oldest(self) -> None:
        """Throw the oldest message away."""
        self._messages.popleft()
        self.dropped += 1

    def drop_all(self) -> None:
        """Throw away what is there."""
        self.dropped += len(self._messages)
        self._messages.clear()

    def end(self, reason: Exception) -> None:
        """Give `reason` to who takes after the last message; the first reason counts."""
        if self._error is None:
            self._error = reason
        self._taker.unpark_all()
        self._room.unpark_all()

    async def take(self) -> MessageT:
        """Return the oldest message, wait for one, or raise the reason of the end.

        A checkpoint only where it waits; cancelled, it has taken nothing.
        """
        while not self._messages:
            if self._error is not None:
                raise again(self._error)
            await self._taker.park()
        return self.take_nowait()

    def take_nowait(self) -> MessageT:
        """Return the oldest message; there must be one."""
        message = self._messages.popleft()
        if self._room:
            self._room.unpark_all()
        return message

    async def wait_room(self) -> None:
        """Wait until it is not full."""
        while self.full:
            await self._room.park()
