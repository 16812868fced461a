"""One token bucket a peer, however many connections it has (row B11)."""

from __future__ import annotations

from collections.abc import Hashable

from .._connection import TokenBucket


class PeerRates:
    """Gives all connections of a peer the same bucket, and forgets it with the last of them."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, tuple[TokenBucket, int]] = {}

    def join(self, peer: Hashable, rate: int | None, now: float) -> TokenBucket | None:
        """Return the bucket of `peer`, None where there is no limit.

        A peer that is None cannot be told from others: each such connection has its own bucket.
        """
        if rate is None:
            return None
        if peer is None:
            return TokenBucket(rate, now)
        bucket, users = self._buckets.get(peer, (TokenBucket(rate, now), 0))
        self._buckets[peer] = bucket, users + 1
        return bucket

    def leave(self, peer: Hashable, bucket: TokenBucket | None) -> None:
        """Note that a connection of `peer`, which got `bucket`, has ended."""
        if bucket is None or peer not in self._buckets:
            return
        shared, users = self._buckets.pop(peer)
        if users > 1:
            self._buckets[peer] = shared, users - 1
