"""One token bucket a peer, however many connections it has (row B11)."""

from __future__ import annotations

from collections.abc import Hashable

from .._connection import TokenBucket


class PeerRates:
    """Gives all connections of a peer the same bucket, and forgets it with the last of them."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, tuple[TokenBucket, int]] = {}

    def join(self, peer: Hashable, rate: int | None, now: float) -> TokenBucket | None:
        """Return the bucket of `peer`, None where there is no limit."""
        if rate is None:
            return None
        bucket, users = self._buckets.get(peer, (TokenBucket(rate, now), 0))
        self._buckets[peer] = bucket, users + 1
        return bucket

    def leave(self, peer: Hashable) -> None:
        """Note that a connection of `peer` has ended."""
        if peer in self._buckets:
            bucket, users = self._buckets.pop(peer)
            if users > 1:
                self._buckets[peer] = bucket, users - 1
