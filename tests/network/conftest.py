"""What the tests on real sockets share."""

from __future__ import annotations

import sys

import pytest

from snowtrio._transport import _notifier


@pytest.fixture(params=["alone", "watched"])
def readiness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to wait for a socket: by itself, as few do, or watched together, as many are.

    A test with few sockets is run as if they were many, and the other way round.
    """
    way: str = request.param
    monkeypatch.setattr(_notifier, "FEW", 0 if way == "watched" else sys.maxsize)
    return way
