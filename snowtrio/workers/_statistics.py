"""What workers count, as their parent sees it."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs


class WorkerState(enum.Enum):
    """Where a worker process stands."""

    STARTING = "starting"
    """It imports, or does what its target does before it serves."""
    READY = "ready"
    """It serves."""
    HUNG = "hung"
    """It served, and has not been heard of for ``hang_timeout``."""
    DRAINING = "draining"
    """It was told to end, or has been asked to by a SIGTERM of its own."""


@attrs.frozen(kw_only=True)
class WorkerStatistics:
    """One worker process at one moment. A place has two of them while it is rolled.

    Parameters:
        number: its place, from 0 on.
        pid: its process.
        state: where it stands.
        seconds: since it was started.
        silent: seconds since it was last heard of.
        restarts: how many processes in its place ended unasked before it.
        connections: there are now, in all its servers. What it counts is as old as its last report:
            `WorkerLimits.report_interval`, unless it is busy, or has so many connections that it
            counts them less often.
        opened: connections since its start.
        messages_received: likewise; requests among them, and pieces of bodies.
        messages_sent: likewise.
        servers: all that each of its servers counts: what its ``statistics`` method returns, as
            dicts.
    """

    number: int
    pid: int
    state: WorkerState
    seconds: float
    silent: float
    restarts: int
    connections: int
    opened: int
    messages_received: int
    messages_sent: int
    servers: tuple[Mapping[str, Any], ...]


@attrs.frozen(kw_only=True)
class WorkersStatistics:
    """All workers at one moment.

    Parameters:
        workers: the processes that there are, by their places, the oldest of each first.
        restarts: processes replaced because they had ended unasked.
        failed_starts: of those, and of the ones that were to replace others in a roll, how many
            ended before they were ready.
        rolls: times that all were replaced on request.
        killed: processes that had to be killed: hung, too slow to start, or too slow to end.
    """

    workers: tuple[WorkerStatistics, ...]
    restarts: int
    failed_starts: int
    rolls: int
    killed: int


@attrs.frozen(kw_only=True)
class WorkersDrainReport:
    """What a drain of all workers did.

    Parameters:
        connections: how many there were in all servers, as far as the workers have said.
        cut: of those, how many had to be cut.
        killed: the processes that did not end in time.
        failed: of the others, those that did not end with exit status 0.
        seconds: how long it took.
    """

    connections: int
    cut: int
    killed: tuple[int, ...]
    failed: tuple[int, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether no connection and no process was cut off."""
        return not (self.cut or self.killed or self.failed)


def to_plain(value: Any) -> Any:
    """Return what JSON has a form for: counts stay, what has a name is told by it."""
    if attrs.has(value.__class__):
        return {name: to_plain(each) for name, each in attrs.asdict(value, recurse=False).items()}
    if isinstance(value, Mapping):
        # One type checker knows what it is, the other has to be told.
        items = cast("Mapping[Any, Any]", value).items()  # type: ignore[redundant-cast]
        return {str(to_plain(key)): to_plain(each) for key, each in items}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def sum_of_pools(servers: object, name: str) -> int:
    """Add up a count of the pools of connections, wherever plain statistics have one."""
    return sum(int(pool.get(name, 0)) for pool in _find_pools(servers))


def _find_pools(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        for each in cast("Sequence[object]", value):
            yield from _find_pools(each)
    elif isinstance(value, Mapping):
        for key, each in cast("Mapping[str, object]", value).items():
            if key == "pool" and isinstance(each, Mapping):
                yield cast("Mapping[str, Any]", each)
            else:
                yield from _find_pools(each)
