"""How long a client pauses between attempts to connect (row S17), and the bounds it is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio import ClientLimits
from snowtrio._client._opening import pause_after

LIMITS = ClientLimits(backoff=0.1, max_backoff=5.0)


def test_doubles_up_to_the_bound() -> None:
    """S17: exponential, bounded."""
    longest = [pause_after(attempt, LIMITS, 1.0) for attempt in range(8)]
    assert longest == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_jitter_spreads_over_the_upper_half() -> None:
    """S17: jittered, and never so short that it is no pause."""
    assert pause_after(2, LIMITS, 0.0) == pytest.approx(0.2)
    assert pause_after(2, LIMITS, 0.5) == pytest.approx(0.3)
    assert pause_after(2, LIMITS, 1.0) == pytest.approx(0.4)


def test_random_by_default() -> None:
    """S17: clients that failed together do not come back together."""
    pauses = {pause_after(0, LIMITS) for _ in range(50)}
    assert len(pauses) > 25
    assert all(0.05 <= pause <= 0.1 for pause in pauses)


@given(st.integers(0, 100_000), st.floats(0, 1))
def test_any_number_of_attempts(attempt: int, chance: float) -> None:
    """S17: a client that has been trying for weeks goes on with the longest pause."""
    pause = pause_after(attempt, LIMITS, chance)
    assert LIMITS.backoff / 2 <= pause <= LIMITS.max_backoff


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_connections": 0},
        {"min_connections": -1},
        {"max_connections": 2, "min_connections": 3},
        {"max_waiting": -1},
        {"connect_timeout": 0},
        {"connect_attempts": 0},
        {"backoff": 0},
        {"max_backoff": 0},
        {"max_lifetime": 0},
        {"idle_timeout": 0},
    ],
)
def test_limits_that_make_no_sense(wrong: dict[str, int]) -> None:
    """S14: refused where they are written, not where they bite."""
    with pytest.raises(ValueError, match=next(iter(reversed(wrong)))):
        ClientLimits(**wrong)
