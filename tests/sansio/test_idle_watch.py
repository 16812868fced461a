"""The idle watch: which connections have not moved for a while."""

from __future__ import annotations

from snowtrio._supervisor import LOOKS, IdleWatch


def test_idle_after_a_whole_timeout_and_not_before() -> None:
    """S27: the first look only learns the counts."""
    watch = IdleWatch[str]()
    for _ in range(LOOKS):
        assert watch.look([("a", 1)]) == []
    assert watch.look([("a", 1)]) == ["a"]


def test_a_move_starts_the_count_again() -> None:
    """S27."""
    watch = IdleWatch[str]()
    for _ in range(LOOKS):
        watch.look([("a", 1)])
    for _ in range(LOOKS):
        assert watch.look([("a", 2)]) == []
    assert watch.look([("a", 2)]) == ["a"]


def test_one_that_always_moves_is_never_idle() -> None:
    """S27."""
    watch = IdleWatch[str]()
    assert not any(watch.look([("a", moved)]) for moved in range(50))


def test_each_has_its_own_count_and_the_order_is_kept() -> None:
    """S27."""
    watch = IdleWatch[str]()
    watch.look([("b", 0), ("a", 0)])
    found: list[str] = []
    for moved in range(LOOKS):
        found = watch.look([("b", 0), ("moves", moved), ("a", 0), ("late", 0)])
    assert found == ["b", "a"]


def test_one_that_has_gone_is_forgotten() -> None:
    """B7: what is not looked at any more is not kept."""
    watch = IdleWatch[str]()
    for _ in range(LOOKS + 1):
        watch.look([("a", 1)])
    assert watch.look([]) == []
    assert watch.look([("a", 1)]) == []
