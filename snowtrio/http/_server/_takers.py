"""Which clients take a response too slowly: a byte now and then keeps ``stall_timeout`` away."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from ._limits import HTTPLimits

KeyT = TypeVar("KeyT", bound=Hashable)


class Takers(Generic[KeyT]):
    """Remembers how far behind each client is that has something to take."""

    def __init__(self) -> None:
        self._seen: dict[KeyT, tuple[int, float]] = {}

    def look(
        self, takers: Iterable[tuple[KeyT, int]], passed: float, limits: HTTPLimits
    ) -> list[KeyT]:
        """Return those that are too far behind.

        What was taken early is no credit for later: who was quick for a while may not sleep for it.

        Parameters:
            takers: connections that have bytes to take now, and how many they have taken so far.
            passed: seconds since the last look.
            limits: the bounds.
        """
        before, self._seen = self._seen, {}
        late: list[KeyT] = []
        for key, taken in takers:
            behind = 0.0
            if key in before:
                earlier, behind = before[key]
                behind = max(0.0, behind + passed - (taken - earlier) / limits.min_send_rate)
            self._seen[key] = taken, behind
            if behind >= limits.stall_timeout:
                late.append(key)
        return late
