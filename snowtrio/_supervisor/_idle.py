"""Which connections have not moved for a while.

A look now and then at counts that are kept anyway is cheaper than reading a clock on each message,
and a quarter late is soon enough.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

LOOKS = 4
"""How often to look within one timeout."""


class IdleWatch(Generic[KeyT]):
    """Remembers each connection's counts from the look before."""

    def __init__(self) -> None:
        self._seen: dict[KeyT, tuple[object, int]] = {}

    def look(self, activities: Iterable[tuple[KeyT, object]]) -> list[KeyT]:
        """Return those whose activity has been the same for `LOOKS` looks, in the order given."""
        before, self._seen = self._seen, {}
        for key, activity in activities:
            last, looks = before.get(key, (None, 0))
            self._seen[key] = activity, (looks + 1 if last == activity else 0)
        return [key for key, (_, looks) in self._seen.items() if looks >= LOOKS]
