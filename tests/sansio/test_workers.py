"""What workers decide and count, without a process."""

from __future__ import annotations

import enum
import math

import pytest

from snowtrio import Cause, Refusal
from snowtrio.workers import WorkerLimits, WorkersDrainReport
from snowtrio.workers._backoff import Backoff
from snowtrio.workers._sharing import MOST_UNASKED, SLACK, Turns
from snowtrio.workers._spawn import describe_end
from snowtrio.workers._statistics import sum_of_pools, to_plain

LIMITS = WorkerLimits(first_delay=1, longest_delay=5, healthy_after=60)


def test_delays_grow_to_the_longest() -> None:
    """W33."""
    backoff = Backoff(LIMITS)
    assert [backoff.next_delay(None) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.failed_starts == 5


def test_health_resets_the_delay() -> None:
    """W33: being ready for a moment is no health, but no failed start either."""
    backoff = Backoff(LIMITS)
    assert [backoff.next_delay(None), backoff.next_delay(59.0)] == [1, 2]
    assert backoff.failed_starts == 0
    assert [backoff.next_delay(60.0), backoff.next_delay(0.0)] == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_timeout": 0},
        {"max_failed_starts": 0},
        {"first_delay": -1},
        {"hang_timeout": 1.5, "report_interval": 1.0},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WorkerLimits(**wrong)  # type: ignore[arg-type]


def test_ends_are_described() -> None:
    assert describe_end(3) == "has ended with exit status 3"
    assert describe_end(-9) == "was killed by SIGKILL"
    assert describe_end(-64) in ("was killed by SIGRTMAX", "was killed by signal 64")
    assert describe_end(-120) == "was killed by signal 120"
    assert describe_end(None) == "has ended"


class Color(enum.Enum):
    """Something that has names."""

    RED = 1


def test_counts_become_plain() -> None:
    """W33: names for what has one, and nothing that JSON has no form for."""
    counts = {
        Cause.DONE: 1,
        "refused": {Refusal.FULL: 2},
        "limits": LIMITS,
        "list": (1, math.inf, None, Color.RED, b"x"),
        404: True,
    }
    plain = to_plain(counts)
    assert plain["limits"]["drain"] == {"settle": 0.0, "goodbye": 5.0, "wait": 30.0}
    del plain["limits"]
    assert plain == {
        "DONE": 1,
        "refused": {"FULL": 2},
        "list": [1, None, None, "RED", "b'x'"],
        "404": True,
    }


def test_pools_are_found_wherever_they_are() -> None:
    """W33: those of HTTP servers are one level deeper."""
    servers = [
        {"pool": {"connections": 2}},
        {"http": {"server": {"pool": {"connections": 3, "opened": 1}}}, "pool": None},
        {"open": 7},
    ]
    assert sum_of_pools(servers, "connections") == 5
    assert sum_of_pools(servers, "opened") == 1


def test_a_report_is_clean_if_nothing_was_cut_off() -> None:
    clean = WorkersDrainReport(connections=5, cut=0, killed=(), failed=(), seconds=1.0)
    assert clean.clean
    for other in ({"cut": 1}, {"killed": (1,)}, {"failed": (1,)}):
        assert not WorkersDrainReport(**{**to_plain(clean), **other}).clean


def test_one_that_is_ahead_lets_the_others_go_first() -> None:
    """W33: by what all have accepted."""
    counts = [0, 0, 0]
    turns = [Turns(number, counts) for number in range(3)]
    turns[1].note_accepted(SLACK)
    assert not any(each.ahead for each in turns)
    turns[1].note_accepted(1)
    assert [each.ahead for each in turns] == [False, True, False]
    turns[0].note_accepted(5)
    turns[2].note_accepted(1)
    assert [each.ahead for each in turns] == [True, False, False]


def test_a_new_one_gets_its_share_and_no_more() -> None:
    """W33: the others have accepted many meanwhile; what its place had counted stays."""
    counts = [7, 1000, 1005]
    Turns(0, counts)
    assert counts == [1000, 1000, 1005]
    Turns(2, counts)
    assert counts == [1000, 1000, 1005]


def test_who_waits_in_vain_waits_less_often() -> None:
    """W33: a worker that hangs, or is full, delays the others hardly."""
    counts = [0, 0]
    turns = Turns(0, counts)
    turns.note_accepted(10)
    waits = 0
    for _ in range(1000):
        if turns.ahead:
            waits += 1
            turns.note_accepted(1)
            turns.note_waited(in_vain=True)
        else:
            turns.note_accepted(1)
    assert waits <= 8 + 1000 / MOST_UNASKED
    while not turns.ahead:
        turns.note_accepted(1)
    turns.note_waited(in_vain=False)
    assert turns.ahead
