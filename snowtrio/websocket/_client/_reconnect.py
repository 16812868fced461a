"""Whether a WebSocket is opened once more, and when. Pure."""

from __future__ import annotations

import math
import random
import ssl
from collections.abc import Callable
from typing import cast

import attrs
import trio
from attrs.validators import ge, gt, optional

from ..._errors import ConnectError, HandshakeError, HandshakeTimeoutError
from ...http import (
    ClientResponse,
    FetchTimeoutError,
    NoResponseError,
    ProxyError,
    UpgradeRefusedError,
)

# Refusals that pass: too slow, too early, too often, and what happens to servers and gateways.
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))


def is_temporary(error: Exception) -> bool:
    """Say whether what has kept a WebSocket from opening may be otherwise the next time.

    So it may where nobody answers, in time or at all, or who answers says so: 408, 425, 429, 500,
    502, 503 or 504, from the server or a proxy. Not a URL, a certificate, another status, a
    redirect, or an answer that is no WebSocket's.
    """
    if isinstance(error, UpgradeRefusedError):
        return error.status in _PASSING
    if isinstance(error, ProxyError):
        return error.status is None or error.status in _PASSING
    if isinstance(error, HandshakeError):
        return _was_cut_short(error)
    return isinstance(error, ConnectError | FetchTimeoutError | NoResponseError)


def _was_cut_short(error: HandshakeError) -> bool:
    """Whether TLS failed for the network's sake: what it says itself, it will say again."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    lost = (OSError, trio.BrokenResourceError, trio.EndOfChannel)
    return isinstance(error, HandshakeTimeoutError) or isinstance(cause, lost)


@attrs.frozen(kw_only=True)
class Reconnect:
    """How often and when a WebSocket is opened once more; times are in seconds.

    Parameters:
        backoff: the first pause; doubled with each that follows, and spread between half of that
            and all of it, so that clients which have lost a server together do not come back
            together.
        max_backoff: the longest pause. A server's ``Retry-After`` counts, up to it.
        settled: how long a WebSocket has to last for the pauses to begin anew.
        max_attempts: how many attempts in a row may fail; None is any number.
        retry: given the error of an attempt, says whether there is to be another; `is_temporary` by
            default.
    """

    backoff: float = attrs.field(default=1.0, validator=gt(0))
    max_backoff: float = attrs.field(default=60.0, validator=gt(0))
    settled: float = attrs.field(default=10.0, validator=ge(0))
    max_attempts: int | None = attrs.field(default=None, validator=optional(ge(1)))
    retry: Callable[[Exception], bool] = is_temporary

    def pause_after(
        self, losses: int, error: Exception | None = None, chance: float | None = None
    ) -> float:
        """Return how long to wait before the next attempt.

        Parameters:
            losses: connections lost and attempts failed since one has settled; 1 for the first.
            error: of the last one, if it was an attempt.
            chance: between 0 and 1; random by default.
        """
        if chance is None:
            chance = random.random()  # noqa: S311 - spreads load, keeps no secret
        longest = min(self.max_backoff, self.backoff * 2.0 ** min(losses - 1, 64))
        return max(longest * (0.5 + chance / 2), min(self.max_backoff, _asked_for(error)))


def _asked_for(error: Exception | None) -> float:
    """Return the seconds that the server of a refusal asks for."""
    if not isinstance(error, UpgradeRefusedError):
        return 0.0
    value = cast("ClientResponse", error.response).headers.get("retry-after", "")
    if not (value.isascii() and value.isdigit()):
        return 0.0
    return float(value) if len(value) < 9 else math.inf
