"""Which connection of a pool a message goes to: a pure decision (rows S14 and S15)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Load(Protocol):
    """Something whose messages can be counted."""

    @property
    def count(self) -> int:
        """Messages not yet done with."""
        ...


LoadT = TypeVar("LoadT", bound=Load)


class Grow(enum.Enum):
    """What to do when no connection is to be used right away."""

    OPEN = "open another connection and wait for it"
    WAIT = "wait for one that is being opened"


def least(loads: Iterable[LoadT]) -> LoadT | None:
    """Return the first of those that have the fewest messages, None of none.

    What `choose` comes to where a connection is idle or the pool cannot grow, in as few steps as
    can be: it runs for every message.

    Parameters:
        loads: of connections, the oldest first.
    """
    found, fewest = None, 0
    for load in loads:
        count = load.count
        if found is None or count < fewest:
            if not count:
                return load
            found, fewest = load, count
    return found


def choose(
    pending: Sequence[int],
    *,
    opening: int,
    waiting: int,
    maximum: int,
    may_open: bool = True,
    may_wait: bool = True,
    full: int | None = None,
) -> int | Grow | None:
    """Choose among the connections of a pool.

    An idle connection comes first; then the pool grows; then the fewest pending messages decide,
    and the oldest connection where they are equal. A connection that is being opened is busy with
    whoever waits for it, and idle when nobody does.

    Parameters:
        pending: of each usable connection, the oldest first, the messages not yet done with.
        opening: connections that are being opened.
        waiting: senders that wait for those.
        maximum: how many connections there may be, those being opened among them.
        may_open: whether opening another is an option now.
        may_wait: whether waiting is one while there is a connection to use instead.
        full: a connection with so many pending messages gets no more.

    Returns the index of the connection to use, or what to do instead; None where nothing can be
    done: nothing is open, nothing is being opened, and nothing may be.
    """
    fewest = min(pending, default=None)
    if fewest == 0:
        return pending.index(0)
    if opening > waiting and may_wait:
        return Grow.WAIT
    if may_open and len(pending) + opening < maximum:
        return Grow.OPEN
    if fewest is None:
        return Grow.WAIT if opening else None
    return Grow.WAIT if full is not None and fewest >= full else pending.index(fewest)
