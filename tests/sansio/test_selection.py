"""Which connection a message goes to (rows S14 and S15): the decision alone."""

from __future__ import annotations

from functools import partial

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio._selection import Grow, choose, least

OPEN, WAIT = Grow.OPEN, Grow.WAIT


@pytest.mark.parametrize(
    ("pending", "opening", "waiting", "maximum", "expected"),
    [
        # The first write opens one.
        ([], 0, 0, 16, OPEN),
        # An idle connection comes first, the oldest of them.
        ([0], 0, 0, 16, 0),
        ([3, 0, 1, 0], 0, 0, 16, 1),
        ([3, 0], 1, 0, 16, 1),
        # Then the pool grows.
        ([1], 0, 0, 2, OPEN),
        ([5, 1], 0, 0, 3, OPEN),
        # One that is being opened is idle when nobody waits for it, and busy otherwise.
        ([1], 1, 0, 16, WAIT),
        ([1], 1, 1, 16, OPEN),
        ([], 2, 1, 16, WAIT),
        # At the maximum the fewest pending decide, ties go to the oldest.
        ([3, 2, 4], 0, 0, 3, 1),
        ([2, 2, 2], 0, 0, 3, 0),
        ([4, 2, 2], 0, 0, 3, 1),
        ([2], 1, 1, 2, 0),
        # Nothing is open yet and nothing more may be: wait.
        ([], 1, 1, 1, WAIT),
        ([], 3, 100, 3, WAIT),
        # No place at all.
        ([], 0, 0, 0, None),
    ],
)
def test_choice(
    pending: list[int], opening: int, waiting: int, maximum: int, expected: int | Grow | None
) -> None:
    """S14, S15: idle, grow, fewest; never above the maximum."""
    assert choose(pending, opening=opening, waiting=waiting, maximum=maximum) == expected


@pytest.mark.parametrize(
    ("pending", "opening", "waiting", "expected"),
    [([], 0, 0, None), ([], 1, 0, WAIT), ([], 1, 1, WAIT), ([2, 1], 0, 0, 1), ([0], 0, 0, 0)],
)
def test_choice_where_no_other_may_be_opened(
    pending: list[int], opening: int, waiting: int, expected: int | Grow | None
) -> None:
    """S17: once opening has failed, a live connection is used, however busy."""
    found = choose(pending, opening=opening, waiting=waiting, maximum=16, may_open=False)
    assert found == expected


def test_choice_where_waiting_has_taken_too_long() -> None:
    """S17: a busy connection rather than one that does not come; without any there is no choice."""
    impatient = partial(choose, opening=1, waiting=0, maximum=16, may_open=False, may_wait=False)
    assert impatient([4, 3]) == 1
    assert impatient([]) is WAIT


states = {
    "pending": st.lists(st.integers(0, 5), max_size=6),
    "opening": st.integers(0, 4),
    "waiting": st.integers(0, 8),
    "maximum": st.integers(0, 8),
    "may_open": st.booleans(),
    "may_wait": st.booleans(),
}


@given(**states)
def test_properties(
    pending: list[int],
    opening: int,
    waiting: int,
    maximum: int,
    *,
    may_open: bool,
    may_wait: bool,
) -> None:
    """S14, S15: what holds in every state."""
    chosen = choose(
        pending,
        opening=opening,
        waiting=waiting,
        maximum=maximum,
        may_open=may_open,
        may_wait=may_wait,
    )
    if chosen is OPEN:
        assert may_open
        assert len(pending) + opening < maximum
        assert 0 not in pending
    elif chosen is WAIT:
        assert opening > 0
        assert 0 not in pending
        assert may_wait or not pending
    elif chosen is None:
        assert not pending
        assert not opening
    else:
        assert isinstance(chosen, int)
        assert pending[chosen] == min(pending)
        assert pending[chosen] not in pending[:chosen]  # The oldest of the least busy.


@attrs.frozen(eq=False)
class Load:
    """A connection with so many messages."""

    count: int


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 8))
def test_the_least_is_what_would_be_chosen(pending: list[int], waiting: int) -> None:
    """S15: the short way comes to what the whole rule does, where it may be taken."""
    loads = [Load(count) for count in pending]
    found = least(loads)
    chosen = choose(pending, opening=0, waiting=waiting, maximum=len(pending))
    assert found is (loads[chosen] if isinstance(chosen, int) else None)
    if found is not None and not found.count:
        # An idle one is used whatever else could be done.
        assert choose(pending, opening=4, waiting=waiting, maximum=20) == loads.index(found)


@pytest.mark.parametrize(
    ("pending", "opening", "maximum", "expected"),
    [
        # There is room on one of them.
        ([4, 3], 0, 2, 1),
        ([3, 4], 0, 2, 0),
        # All are full: grow where that can be, else wait.
        ([4, 4], 0, 3, OPEN),
        ([4, 4], 0, 2, WAIT),
        ([4, 5], 0, 2, WAIT),
        ([4], 1, 2, WAIT),
        # An idle one is never full.
        ([4, 0], 0, 2, 1),
        ([], 0, 0, None),
    ],
)
def test_choice_among_connections_that_may_be_full(
    pending: list[int], opening: int, maximum: int, expected: int | Grow | None
) -> None:
    """S13, S14: a full connection gets nothing; the pool grows, or its senders wait."""
    found = choose(pending, opening=opening, waiting=1, maximum=maximum, full=4)
    assert found == expected


@given(
    st.lists(st.integers(0, 6), max_size=6),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 8),
    st.integers(1, 6),
    st.booleans(),
    st.booleans(),
)
def test_a_full_connection_is_never_chosen(
    pending: list[int],
    opening: int,
    waiting: int,
    maximum: int,
    full: int,
    may_open: bool,
    may_wait: bool,
) -> None:
    """S13: with a bound the choice is the same as without, or to wait where that one is full."""
    decide = partial(
        choose,
        pending,
        opening=opening,
        waiting=waiting,
        maximum=maximum,
        may_open=may_open,
        may_wait=may_wait,
    )
    unbounded, bounded = decide(), decide(full=full)
    if isinstance(unbounded, int) and pending[unbounded] >= full:
        assert bounded is WAIT
    else:
        assert bounded == unbounded
