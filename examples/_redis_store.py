"""The keys and values of the key-value server. It knows neither commands nor connections.

A key whose time is over is gone for every reader at once: looking at a key takes it out. What
nobody looks at is taken out by `Store.sweep`, some keys a call, the first due first.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from _redis_glob import compile_glob

Value: TypeAlias = "bytes | deque[bytes]"
"""A string or a list."""

_NEVER: Final = 2**64


class WrongTypeError(Exception):
    """The key holds a value of another type."""


def monotonic_milliseconds() -> int:
    """Return a time that never goes back; setting the wall clock expires nothing."""
    return time.monotonic_ns() // 1_000_000


class Store:
    """Values by key, some with a deadline.

    Parameters:
        clock: returns the time in milliseconds. By default a monotonic clock.
    """

    def __init__(self, clock: Callable[[], int] = monotonic_milliseconds) -> None:
        self._clock = clock
        self._values: dict[bytes, Value] = {}
        self._deadlines: dict[bytes, int] = {}
        # Deadlines in order. May hold some that were changed since; `_deadlines` is what counts.
        self._due: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._values)

    @property
    def mortals(self) -> int:
        """How many keys have a deadline."""
        return len(self._deadlines)

    def read(self, key: bytes) -> Value | None:
        """Return the value, or None if there is none (any more)."""
        # Most keys have no deadline, and most stores no such key.
        if self._deadlines and self._deadlines.get(key, _NEVER) <= self._clock():
            self.delete(key)
        return self._values.get(key)

    def read_string(self, key: bytes) -> bytes | None:
        """Return the string at the key, or None.

        Raises:
            WrongTypeError: it is a list.
        """
        value = self.read(key)
        if isinstance(value, deque):
            raise WrongTypeError
        return value

    def read_list(self, key: bytes) -> deque[bytes] | None:
        """Return the list at the key, or None; the caller deletes the key of one it has emptied.

        Raises:
            WrongTypeError: it is a string.
        """
        value = self.read(key)
        if isinstance(value, bytes):
            raise WrongTypeError
        return value

    def write(self, key: bytes, value: Value) -> None:
        """Set the value; a deadline stays as it is."""
        self._values[key] = value

    def delete(self, key: bytes) -> None:
        """Take the key out; nothing happens if it is not there."""
        self._values.pop(key, None)
        self._deadlines.pop(key, None)

    def clear(self) -> None:
        """Take all keys out."""
        self._values.clear()
        self._deadlines.clear()
        self._due.clear()

    def keys(self, pattern: bytes) -> list[bytes]:
        """Return the keys that match a pattern of Redis's kind (`compile_glob`)."""
        matches = compile_glob(pattern).match
        return [key for key in list(self._values) if matches(key) and self.read(key) is not None]

    def remaining(self, key: bytes) -> int | None:
        """Return the milliseconds that the key has left, or None if it has no deadline."""
        deadline = self._deadlines.get(key)
        return None if deadline is None else max(0, deadline - self._clock())

    def expire(self, key: bytes, milliseconds: int) -> None:
        """Give a key that is there a deadline so long from now, in place of any that it has."""
        deadline = self._clock() + milliseconds
        self._deadlines[key] = deadline
        heapq.heappush(self._due, (deadline, key))
        self._forget_old_deadlines()

    def persist(self, key: bytes) -> bool:
        """Take the key's deadline away; False if it had none."""
        return self._deadlines.pop(key, None) is not None

    def sweep(self, limit: int) -> int:
        """Take out keys whose time is over, looking at `limit` deadlines at most.

        Returns:
            How many deadlines it looked at: as many as `limit` if there may be more.
        """
        self._forget_old_deadlines()
        now = self._clock()
        for looked_at in range(limit):
            if not self._due or self._due[0][0] > now:
                return looked_at
            _, key = heapq.heappop(self._due)
            if self._deadlines.get(key, _NEVER) <= now:
                self.delete(key)
        return limit

    def _forget_old_deadlines(self) -> None:
        # A peer that moves deadlines again and again, or takes keys away, must not grow the heap.
        if len(self._due) > 2 * len(self._deadlines) + 64:
            self._due = [(deadline, key) for key, deadline in self._deadlines.items()]
            heapq.heapify(self._due)
