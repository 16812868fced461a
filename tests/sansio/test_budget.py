"""The memory budget of many connections."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from snowtrio._connection import MemoryBudget

CHANGES = st.lists(st.tuples(st.integers(0, 3), st.integers(-50, 50)), max_size=60)


@given(CHANGES)
def test_what_is_held_is_what_the_shares_hold(changes: list[tuple[int, int]]) -> None:
    """B11: the sum stays right whatever is taken and given back, and ends at nothing."""
    budget = MemoryBudget(1000)
    shares = [budget.open() for _ in range(4)]
    peak = 0
    for index, change in changes:
        share = shares[index]
        share.charge(max(change, -share.held))
        peak = max(peak, budget.held)
        assert budget.held == sum(share.held for share in shares)
    for share in shares:
        share.close()
        share.close()
        share.charge(10)  # Too late to count.
    assert budget.held == 0
    assert budget.peak == peak


def test_while_half_is_free_anybody_may_take() -> None:
    """B11: one busy connection may hold half of it all, were it alone."""
    budget = MemoryBudget(100)
    busy = budget.open()
    assert busy.allows
    busy.charge(49)
    assert busy.allows
    busy.charge(1)
    assert not busy.allows


def test_the_other_half_is_dealt_out_evenly() -> None:
    """B11: whatever one holds, another has its share."""
    budget = MemoryBudget(100)
    hog, small = budget.open(), budget.open()
    hog.charge(1000)
    assert small.allows
    small.charge(24)
    assert small.allows
    small.charge(1)
    assert not small.allows


async def test_who_waits_is_woken_when_something_is_given_back() -> None:
    """B11: the wait ends when memory comes back, and not before."""
    budget = MemoryBudget(100)
    hog, waiting = budget.open(), budget.open()
    hog.charge(60)
    waiting.charge(30)
    done: list[str] = []

    async def wait() -> None:
        await waiting.wait()
        done.append("allowed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        hog.charge(-5)
        await wait_all_tasks_blocked()
        assert not done
        hog.charge(-36)
        await wait_all_tasks_blocked()
        assert done


async def test_a_share_that_closes_makes_the_others_larger() -> None:
    """B11: also when it held nothing itself."""
    budget = MemoryBudget(100)
    hog, idle, waiting = budget.open(), budget.open(), budget.open()
    hog.charge(60)
    waiting.charge(20)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.wait)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        idle.close()
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks


@pytest.mark.parametrize("limit", [0, -1])
def test_a_budget_of_nothing_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1 byte"):
        MemoryBudget(limit)
