"""Token buckets shared by the connections of a peer."""

from __future__ import annotations

from snowtrio._supervisor._rates import PeerRates


def test_connections_of_a_peer_share_a_bucket() -> None:
    """B11."""
    rates = PeerRates()
    first = rates.join("a", 10, 0.0)
    assert first is not None
    assert rates.join("a", 10, 0.0) is first
    assert rates.join("b", 10, 0.0) is not first


def test_no_rate_no_bucket() -> None:
    assert PeerRates().join("a", None, 0.0) is None


def test_peers_that_cannot_be_told_apart_share_nothing() -> None:
    """B11: all of a Unix socket's peers would slow each other down."""
    rates = PeerRates()
    first, second = rates.join(None, 10, 0.0), rates.join(None, 10, 0.0)
    assert first is not second
    rates.leave(None, first)


def test_bucket_is_kept_while_anybody_uses_it() -> None:
    """B11: who reconnects at once has not got a full bucket again."""
    rates = PeerRates()
    bucket = rates.join("a", 10, 0.0)
    rates.join("a", 10, 0.0)
    rates.leave("a", bucket)
    assert rates.join("a", 10, 0.0) is bucket


def test_bucket_is_forgotten_with_the_last() -> None:
    rates = PeerRates()
    bucket = rates.join("a", 10, 0.0)
    rates.leave("a", bucket)
    assert rates.join("a", 10, 0.0) is not bucket


def test_one_without_a_bucket_takes_none_away() -> None:
    """B2: limits may change while connections live; those from before do not count."""
    rates = PeerRates()
    rates.join("a", None, 0.0)
    bucket = rates.join("a", 10, 0.0)
    rates.leave("a", None)
    assert rates.join("a", 10, 0.0) is bucket
