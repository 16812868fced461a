"""How long workers are waited for, and how often they are tried."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional

from .._supervisor import DrainTimeouts

_DRAIN = DrainTimeouts()
_ROLL = DrainTimeouts(settle=10.0)

# Its own type says that it may be None.
_MANY: int | None = 5


@attrs.frozen(kw_only=True)
class WorkerLimits:
    """The bounds of workers. Times are in seconds; ``math.inf`` is no such bound.

    Parameters:
        start_timeout: how long a worker may take from its start until it is ready, imports and all;
            then it is killed.
        report_interval: how often a worker sends its statistics, which say too that it lives.
        hang_timeout: how long it may send none before it is taken for hung: a handler that does not
            let others run, a stopped process, a machine without memory.
        kill_hung: whether one that hangs is killed and replaced; by default it is logged, and
            counted as `WorkerState.HUNG` until it goes on.
        drain: the phases of a drain, where `Workers.drain` is not told others.
        roll: the phases of the drain of a worker that another one has replaced. By default
            connections may go on for 10 seconds before they are told to end.
        kill_timeout: how long a worker has to end after that, when its connections have been cut;
            then it is killed.
        first_delay: how long to wait before a worker that has ended is replaced; twice as long
            after each that follows.
        longest_delay: the most that this becomes.
        healthy_after: how long a worker must have been ready for the next delay to be the first
            again.
        max_failed_starts: how many workers in a row may end before they are ready, each in the same
            place, while no worker at all is ready: then `WorkerStartError` ends all. None goes on
            for ever.
    """

    start_timeout: float = attrs.field(default=60.0, validator=gt(0))
    report_interval: float = attrs.field(default=1.0, validator=gt(0))
    hang_timeout: float = attrs.field(default=60.0, validator=gt(0))
    kill_hung: bool = False
    drain: DrainTimeouts = _DRAIN
    roll: DrainTimeouts = _ROLL
    kill_timeout: float = attrs.field(default=5.0, validator=gt(0))
    first_delay: float = attrs.field(default=0.1, validator=gt(0))
    longest_delay: float = attrs.field(default=30.0, validator=gt(0))
    healthy_after: float = attrs.field(default=30.0, validator=gt(0))
    max_failed_starts: int | None = attrs.field(default=_MANY, validator=optional(ge(1)))

    def __attrs_post_init__(self) -> None:
        if self.hang_timeout < 2 * self.report_interval:
            raise ValueError("hang_timeout must be at least twice report_interval")
