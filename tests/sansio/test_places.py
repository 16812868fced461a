"""Places: who may be here, counted without an await in between."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snowtrio import PoolLimits, Refusal
from snowtrio._supervisor import Place, Places


def places(maximum: int = 8, handshakes: int | None = None, per_peer: int | None = None) -> Places:
    return Places(PoolLimits(max_connections=maximum, max_handshakes=handshakes), per_peer)


def test_place_is_counted_from_reservation_to_release() -> None:
    """S9, S20: it is a handshake's first, then a connection's, then nobody's."""
    of = places()
    place = of.reserve()
    assert (of.handshaking, of.registered, of.taken) == (1, 0, 1)
    place.register()
    assert (of.handshaking, of.registered, of.taken) == (0, 1, 1)
    place.release()
    assert (of.handshaking, of.registered, of.taken) == (0, 0, 0)


def test_failed_handshake_frees_its_place() -> None:
    """S8."""
    of = places()
    of.reserve().release()
    assert (of.handshaking, of.registered) == (0, 0)


@pytest.mark.parametrize("registered", [False, True])
def test_release_counts_once(registered: bool) -> None:
    of = places()
    place = of.reserve("peer")
    of.reserve("peer")
    if registered:
        place.register()
    place.release()
    place.release()
    assert of.taken == 1


def test_full_at_the_maximum_and_not_before() -> None:
    """S20: handshakes and connections count together."""
    of = places(3, handshakes=3)
    of.reserve().register()
    of.reserve()
    assert of.refusal() is None
    place = of.reserve()
    assert of.refusal() is Refusal.FULL
    place.release()
    assert of.refusal() is None


def test_handshakes_have_a_bound_of_their_own() -> None:
    """S9, B2: it does not touch those who need no handshake, nor those who are done with it."""
    of = places(8, handshakes=2)
    first, _ = of.reserve(), of.reserve()
    assert of.refusal() is Refusal.HANDSHAKES
    assert of.refusal(handshake=False) is None
    first.register()
    assert of.refusal() is None


@pytest.mark.parametrize(("maximum", "share"), [(1, 1), (3, 1), (4, 1), (8, 2), (128, 32)])
def test_handshakes_get_a_quarter_by_default(maximum: int, share: int) -> None:
    """S9."""
    assert PoolLimits(max_connections=maximum).handshake_places == share


def test_handshakes_never_get_more_than_all_places() -> None:
    assert PoolLimits(max_connections=2, max_handshakes=50).handshake_places == 2


def test_peer_has_a_bound_of_its_own() -> None:
    """S20: another peer, and one that cannot be told, still come in."""
    of = places(8, handshakes=8, per_peer=2)
    first = of.reserve("a")
    first.register()
    of.reserve("a")
    assert of.refusal("a") is Refusal.PEER
    assert of.refusal("b") is None
    assert of.refusal(None) is None
    first.release()
    assert of.refusal("a") is None


def test_unknown_peers_are_not_one_peer() -> None:
    of = places(8, handshakes=8, per_peer=1)
    of.reserve(None)
    assert of.refusal(None) is None


def test_peer_that_is_known_late_has_the_same_bound() -> None:
    """B2, W33: behind a proxy it is known when its place has been reserved."""
    bounded = places(per_peer=1)
    first, second = bounded.reserve(), bounded.reserve()
    assert first.name("a") is None
    assert second.name("a") is Refusal.PEER
    assert bounded.refusal("a") is Refusal.PEER
    second.release()
    assert bounded.refusal("a") is Refusal.PEER
    first.release()
    assert bounded.refusal("a") is None


def test_closing_refuses_everybody() -> None:
    """S23."""
    of = places()
    of.closing = True
    assert of.refusal() is Refusal.CLOSING
    assert of.room() == 0


def test_limits_replaced_while_places_are_taken() -> None:
    """B2: nobody loses a place; the new bound holds for those who come."""
    of = places(4, handshakes=4)
    for _ in range(3):
        of.reserve().register()
    of.limits = attrs.evolve(of.limits, max_connections=2)
    assert of.refusal() is Refusal.FULL
    assert of.room() == 0
    of.limits = attrs.evolve(of.limits, max_connections=5)
    assert of.room() == 2


def test_room_is_what_can_be_reserved() -> None:
    """S20: the smaller of both bounds, or of one where no handshake is needed."""
    of = places(8, handshakes=3)
    of.reserve()
    assert of.room() == 2
    assert of.room(handshake=False) == 7


def test_every_change_that_may_let_somebody_in_is_told() -> None:
    changes: list[int] = []
    of = Places(PoolLimits(), None, lambda: changes.append(of.taken))
    place = of.reserve()
    assert changes == []
    place.register()
    place.release()
    place.release()
    assert changes == [1, 0]


def test_peak_is_of_registered_connections() -> None:
    """B7."""
    of = places()
    of.reserve().release()
    first, second = of.reserve(), of.reserve()
    first.register()
    second.register()
    second.release()
    of.reserve().register()
    assert of.peak == 2


class PlacesMachine(RuleBasedStateMachine):
    """Any order of events keeps the counts those of a simple model."""

    def __init__(self) -> None:
        super().__init__()
        self.of = Places(PoolLimits(max_connections=5, max_handshakes=2), 3)
        self.held: list[tuple[Place, str, bool]] = []

    @rule(peer=st.sampled_from("ab"))
    def arrive(self, peer: str) -> None:
        if self.of.refusal(peer) is None:
            self.held.append((self.of.reserve(peer), peer, False))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def agree(self, data: st.DataObject) -> None:
        place, peer, registered = self._pop(data)
        if not registered:
            place.register()
        self.held.append((place, peer, True))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        place = self._pop(data)[0]
        place.release()
        place.release()

    @rule(maximum=st.integers(1, 6))
    def change(self, maximum: int) -> None:
        self.of.limits = attrs.evolve(self.of.limits, max_connections=maximum)

    def _pop(self, data: st.DataObject) -> tuple[Place, str, bool]:
        return self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))

    @invariant()
    def counts_are_right(self) -> None:
        registered = sum(done for *_, done in self.held)
        assert self.of.registered == registered
        assert self.of.handshaking == len(self.held) - registered

    @invariant()
    def bounds_hold(self) -> None:
        assert self.of.handshaking <= 2
        for peer in "ab":
            mine = sum(owner == peer for _, owner, _ in self.held)
            assert mine <= 3
            blocked = self.of.refusal(peer) is Refusal.PEER
            assert blocked == (mine == 3 and self.of.room(handshake=False) > 0)


TestPlacesMachine = PlacesMachine.TestCase
