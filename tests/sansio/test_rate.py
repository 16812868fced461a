"""The token bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio._connection import TokenBucket

AMOUNTS = st.lists(st.floats(0, 1000), min_size=1, max_size=50)


def test_one_second_is_free_and_the_rest_waits() -> None:
    """B11: a burst of a second's worth passes, what is above it has to wait for its tokens."""
    bucket = TokenBucket(100, now=0)
    assert bucket.spend(100, now=0) == 0
    assert bucket.spend(50, now=0) == pytest.approx(0.5)


def test_tokens_come_back_with_time_up_to_one_second() -> None:
    """B11: a peer that was quiet for an hour has saved no more than a second."""
    bucket = TokenBucket(100, now=0)
    bucket.spend(100, now=0)
    assert bucket.spend(50, now=0.5) == 0
    assert bucket.spend(150, now=3600) == pytest.approx(0.5)


@given(AMOUNTS, st.floats(1, 500))
def test_who_waits_as_told_keeps_the_rate(amounts: list[float], rate: float) -> None:
    """B11: the average over any length of time is the rate, and one second's worth above it."""
    bucket, now = TokenBucket(rate, now=0), 0.0
    for amount in amounts:
        now += bucket.spend(amount, now)
    assert sum(amounts) <= rate * (now + 1) * (1 + 1e-9) + 1e-6
    # And it holds up nobody for longer than that takes.
    assert now <= max(0.0, sum(amounts) / rate - 1) * (1 + 1e-9) + 1e-6
