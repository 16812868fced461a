"""Who has a place: counted synchronously, with no await between the check and the count."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Hashable

from ._limits import PoolLimits


class Refusal(enum.Enum):
    """Why there is no place."""

    FULL = "all places are taken"
    HANDSHAKES = "too many handshakes are in progress"
    PEER = "this peer has as many connections as it may"
    CLOSING = "no more connections are taken"


class Places:
    """Registered and handshaking connections, under their bounds.

    Parameters:
        limits: the bounds; they can be replaced while places are taken.
        max_per_peer: places that one peer may have, None for no such bound.
        on_change: called whenever a place becomes free or changes its kind.
    """

    def __init__(
        self,
        limits: PoolLimits,
        max_per_peer: int | None = None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.limits = limits
        self.max_per_peer = max_per_peer
        self.handshaking = 0
        self.registered = 0
        self.peak = 0
        self.closing = False
        self._on_change = on_change
        self._peers: Counter[Hashable] = Counter()

    def refusal(self, peer: Hashable = None, *, handshake: bool = True) -> Refusal | None:
        """Return why `peer` cannot have a place now, None if it can.

        Parameters:
            peer: who asks, None where that cannot be told.
            handshake: whether it has to shake hands before it can be registered.
        """
        if self.closing:
            return Refusal.CLOSING
        if self.taken >= self.limits.max_connections:
            return Refusal.FULL
        if self._has_all(peer):
            return Refusal.PEER
        if handshake and self.handshaking >= self.limits.handshake_places:
            return Refusal.HANDSHAKES
        return None

    def room(self, *, handshake: bool = True) -> int:
        """Return how many places can be had now.

        Parameters:
            handshake: as for `refusal`.
        """
        if self.closing:
            return 0
        room = self.limits.max_connections - self.taken
        if handshake:
            room = min(room, self.limits.handshake_places - self.handshaking)
        return max(0, room)

    @property
    def taken(self) -> int:
        """Places that are not free."""
        return self.registered + self.handshaking

    def reserve(self, peer: Hashable = None) -> Place:
        """Take a place for a connection that is about to shake hands."""
        self.handshaking += 1
        if peer is not None:
            self._peers[peer] += 1
        return Place(self, peer)

    def _has_all(self, peer: Hashable) -> bool:
        return self.max_per_peer is not None and self._peers.get(peer, 0) >= self.max_per_peer

    def note_named(self, peer: Hashable) -> Refusal | None:
        """Count a place for the peer whose it has turned out to be; `Place` calls it."""
        if self._has_all(peer):
            return Refusal.PEER
        if peer is not None:
            self._peers[peer] += 1
        return None

    def note_registered(self) -> None:
        """Count a place that went from a handshake to a connection; `Place` calls it."""
        self.handshaking -= 1
        self.registered += 1
        self.peak = max(self.peak, self.registered)
        self._on_change()

    def note_released(self, peer: Hashable, *, registered: bool) -> None:
        """Count a place that is free again; `Place` calls it."""
        if registered:
            self.registered -= 1
        else:
            self.handshaking -= 1
        if peer is not None:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]
        self._on_change()


class Place:
    """One connection's place, from before its handshake until after its hooks."""

    __slots__ = ("_free", "_peer", "_places", "_registered")

    def __init__(self, places: Places, peer: Hashable) -> None:
        self._places = places
        self._peer = peer
        self._registered = False
        self._free = False

    def name(self, peer: Hashable) -> Refusal | None:
        """Say whose it is, which was not known when it was reserved.

        Returns why `peer` cannot have it, None if it can. It has to be given back in either case.
        """
        refusal = self._places.note_named(peer)
        if refusal is None:
            self._peer = peer
        return refusal

    def register(self) -> None:
        """Note that the handshake has succeeded."""
        self._registered = True
        self._places.note_registered()

    def release(self) -> None:
        """Give the place back; idempotent."""
        if not self._free:
            self._free = True
            self._places.note_released(self._peer, registered=self._registered)
