"""Which clients are too slow: a look now and then at what is counted anyway.

Clocks read for each request, and scopes with deadlines, would be a tenth of what a request costs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from ._limits import HTTPLimits

KeyT = TypeVar("KeyT", bound=Hashable)

LOOKS = 4
"""How often to look within the shortest timeout."""


class Phase(Enum):
    """What a connection waits for."""

    FIRST_BYTE = "the first byte"
    HEAD = "the rest of a head"
    BODY = "more of a body"
    NEXT = "the next request"
    OURS = "us"


class Sight(NamedTuple):
    """What one look sees of a connection.

    Parameters:
        phase: what it waits for.
        request: which request it is at.
        size: bytes of the body that have come.
    """

    phase: Phase
    request: int
    size: int = 0


class Watch(Generic[KeyT]):
    """Remembers how long each connection has waited for its client."""

    def __init__(self) -> None:
        self._waits: dict[KeyT, tuple[Phase, int, float]] = {}

    def look(
        self, sights: Iterable[tuple[KeyT, Sight]], passed: float, limits: HTTPLimits
    ) -> list[tuple[KeyT, Phase]]:
        """Return those that have waited too long, and for what.

        Parameters:
            sights: what is to be seen of each connection now.
            passed: seconds since the last look.
            limits: the bounds.
        """
        before, self._waits = self._waits, {}
        late: list[tuple[KeyT, Phase]] = []
        for key, sight in sights:
            phase, request, waited = before.get(key, (sight.phase, sight.request, 0.0))
            if sight.phase is Phase.OURS and request == sight.request:
                self._waits[key] = phase, request, waited
                continue
            same = (phase, request) == (sight.phase, sight.request) and key in before
            waited = waited + passed if same else 0.0
            self._waits[key] = sight.phase, sight.request, waited
            if waited >= _patience(sight, limits):
                late.append((key, sight.phase))
        return late


def _patience(sight: Sight, limits: HTTPLimits) -> float:
    """Return how long a client may be waited for."""
    match sight.phase:
        case Phase.FIRST_BYTE | Phase.HEAD:
            return limits.head_timeout
        case Phase.BODY:
            return limits.body_timeout + sight.size / limits.min_body_rate
        case Phase.NEXT:
            return limits.keep_alive_timeout
        case Phase.OURS:
            return float("inf")


def interval(limits: HTTPLimits) -> float:
    """Return how many seconds to let pass between two looks."""
    ours = min(limits.head_timeout, limits.body_timeout, limits.keep_alive_timeout)
    return min(ours, limits.stall_timeout) / LOOKS
