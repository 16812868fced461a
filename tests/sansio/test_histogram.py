"""Latencies, counted in buckets (row B7)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio import LatencyHistogram
from snowtrio._requests._histogram import Latencies

SHORTEST, LONGEST = 2.0**-20, 2.0**12

times = st.one_of(
    st.just(0.0),
    st.floats(0, 1e-5),
    st.floats(1e-4, 10),
    st.floats(0, 1e6),
    st.integers(-25, 20).map(lambda exponent: 2.0**exponent),
)


def histogram(seconds: list[float]) -> LatencyHistogram:
    latencies = Latencies()
    for each in seconds:
        latencies.note(each)
    return latencies.snapshot()


@given(st.lists(times, max_size=60))
def test_counts_are_those_of_a_list(seconds: list[float]) -> None:
    """B7: number, sum, mean and longest are exact."""
    found = histogram(seconds)
    assert found.count == len(seconds) == sum(count for _, count in found.buckets)
    assert found.longest == max(seconds, default=0)
    assert math.isclose(found.total, math.fsum(seconds), abs_tol=1e-9)
    assert math.isclose(found.mean, math.fsum(seconds) / max(1, len(seconds)), abs_tol=1e-9)


@given(st.lists(times, min_size=1, max_size=60))
def test_each_time_is_in_the_bucket_that_says_so(seconds: list[float]) -> None:
    """B7: the bounds ascend, and below each of them are as many as were shorter."""
    found = histogram(seconds)
    bounds = [bound for bound, _ in found.buckets]
    assert bounds == sorted(set(bounds))
    below = 0
    for bound, count in found.buckets:
        below += count
        if bound < LONGEST:
            assert below == sum(each < bound for each in seconds)
        else:
            assert below == len(seconds)


@given(st.lists(times, min_size=1, max_size=60), st.integers(1, 100))
def test_percentiles_are_right_to_a_sixteenth(seconds: list[float], percent: int) -> None:
    """B7: a percentile is never below the exact one, nor more than a sixteenth above."""
    rank = -(-len(seconds) * percent // 100)
    exact = sorted(seconds)[rank - 1]
    found = histogram(seconds).percentile(percent)
    if exact < SHORTEST:
        assert exact <= found <= SHORTEST * 17 / 16
    elif exact < LONGEST:
        assert exact <= found <= exact * 17 / 16
    else:
        assert found >= LONGEST


def test_no_time_at_all_is_the_shortest() -> None:
    """B7: a request that took no measurable time does not count as a long one."""
    found = histogram([0.0] * 99 + [10.0])
    assert found.percentile(50) < 2 * SHORTEST
    assert found.percentile(100) == 10


def test_an_empty_one() -> None:
    """B7: without requests everything is 0."""
    found = histogram([])
    assert (found.count, found.mean, found.longest, found.percentile(99)) == (0, 0, 0, 0)


@pytest.mark.parametrize("percent", [0, -1, 100.5])
def test_a_percentile_that_is_none(percent: float) -> None:
    """B7: above 0, and 100 at most."""
    with pytest.raises(ValueError, match="percentile"):
        histogram([1.0]).percentile(percent)
