"""What the tests on real sockets share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from snowtrio._transport._notifier import FEW, current_notifier


@pytest.fixture(params=["alone", "watched"])
async def readiness(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Both ways to wait for a socket: by itself, as few do, or watched together, as many are."""
    notifier = current_notifier()
    if request.param == "alone" or notifier is None:
        if request.param != "alone":
            pytest.skip("nothing here watches sockets together")
        yield request.param
        return
    for _ in range(FEW + 1):
        notifier.join()
    yield request.param
    for _ in range(FEW + 1):
        notifier.leave()
