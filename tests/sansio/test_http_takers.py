"""Which clients take a response too slowly."""

from __future__ import annotations

import pytest

from snowtrio.http import HTTPLimits
from snowtrio.http._server._takers import Takers

LIMITS = HTTPLimits(stall_timeout=60, min_send_rate=500)


def looks(takers: Takers[str], taken: list[int], passed: float = 10.0) -> list[bool]:
    """Look now and then; return whether the client was late."""
    return [takers.look([("a", size)], passed, LIMITS) == ["a"] for size in taken]


@pytest.mark.parametrize(
    ("each", "late"), [(0, 6), (1, 7), (1_000, 8), (4_000, 30), (5_000, None), (10**6, None)]
)
def test_a_client_that_takes_so_many_bytes_in_ten_seconds(each: int, late: int | None) -> None:
    """Z4: below the rate one is late, the sooner the slower."""
    seen = looks(Takers(), [each * look for look in range(40)])
    assert (seen.index(True) if late is not None else None) == late
    assert late is not None or not any(seen)


def test_nothing_is_saved_up() -> None:
    """Z4: megabytes at first do not pay for hours afterwards."""
    takers: Takers[str] = Takers()
    assert not any(looks(takers, [0, 10**7, 2 * 10**7]))
    assert looks(takers, [2 * 10**7] * 6) == [False] * 5 + [True]


def test_a_burst_makes_good() -> None:
    """Z4: systems take what they have room for in bursts."""
    takers: Takers[str] = Takers()
    for burst in range(1, 10):
        assert not any(looks(takers, [burst * 30_000] * 5))


def test_who_has_taken_all_begins_anew() -> None:
    """Z4: who has nothing to take is not late, however long that lasts."""
    takers: Takers[str] = Takers()
    for _ in range(3):
        assert not any(looks(takers, [7] * 6))
        assert takers.look([], 1_000, LIMITS) == []
