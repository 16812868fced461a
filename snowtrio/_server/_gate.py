"""Who comes in: a place, a refusal, or a wait."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Literal, TypeAlias

from .._supervisor import Place, Places, Refusal
from .._transport import Transport

WhenFull: TypeAlias = Literal["close", "wait"] | bytes
"""What a peer gets when all places are taken: closed, left waiting in the backlog, or told."""

MANY = 64
"""How many connections to accept before others run."""


class Gate:
    """Decides on each connection that is accepted, without waiting.

    Parameters:
        places: what there is to give.
        when_full: what a peer gets when all places are taken.
        shakes_hands: whether a connection that comes now has to shake hands.
        welcome: serves a connection in its place.
        refuse: turns one away.
    """

    def __init__(
        self,
        places: Places,
        when_full: WhenFull,
        *,
        shakes_hands: Callable[[], bool],
        welcome: Callable[[Transport, Place], None],
        refuse: Callable[[Transport], None],
    ) -> None:
        self.accepted = 0
        self.refused = dict.fromkeys(Refusal, 0)
        self._places = places
        self._waits = when_full == "wait"
        self._shakes_hands = shakes_hands
        self._welcome = welcome
        self._refuse = refuse

    def room(self, *, prefaced: bool) -> int:
        """Return how many connections may be accepted now, those to be refused among them.

        Parameters:
            prefaced: whether something is to be read of them first, which is a handshake too.
        """
        handshake = prefaced or self._shakes_hands()
        full = self._places.refusal(handshake=handshake) is Refusal.FULL
        if full and not self._waits:
            return MANY
        return min(MANY, self._places.room(handshake=handshake))

    def admit(self, transport: Transport, peer: Hashable, *, may_wait: bool) -> bool:
        """Give a connection a place, or refuse it.

        Parameters:
            transport: owned from now on, unless the result is False.
            peer: whose it is.
            may_wait: whether it may be told to wait.

        Returns False if it has to wait for a place and nothing was done.
        """
        handshake = transport.preface is not None or self._shakes_hands()
        refusal = self._places.refusal(peer, handshake=handshake)
        if may_wait and self._passes(refusal):
            return False
        self.accepted += 1
        if refusal is None:
            self._welcome(transport, self._places.reserve(peer))
        else:
            self.turn_away(transport, refusal)
        return True

    def turn_away(self, transport: Transport, refusal: Refusal) -> None:
        """Refuse a connection that was accepted.

        Parameters:
            transport: owned from now on.
            refusal: why.
        """
        self.refused[refusal] += 1
        self._refuse(transport)

    def _passes(self, refusal: Refusal | None) -> bool:
        """Whether a refusal is worth waiting out: handshakes have a deadline."""
        return refusal is Refusal.HANDSHAKES or (refusal is Refusal.FULL and self._waits)
