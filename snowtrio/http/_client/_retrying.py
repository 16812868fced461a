"""Which requests are sent once more, and when. Pure."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

import attrs
from attrs.validators import ge, gt

from .._wire import Fields
from ._asking import Outgoing


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often a request is sent again that came to nothing, and after which pauses (row Z8).

    Only idempotent requests whose body can be sent again, and those of which nothing was sent. The
    pause doubles with each attempt and is spread between half of that and all of it; a server's
    ``Retry-After`` counts instead, and one beyond `max_backoff` ends the attempts.

    Parameters:
        attempts: in all; 1 sends nothing again, but for what met a connection that the server had
            closed, which is always sent once more.
        statuses: responses to which a request is sent again.
        backoff: the first pause, in seconds.
        max_backoff: the longest pause, in seconds.
    """

    attempts: int = attrs.field(default=1, validator=ge(1))
    statuses: frozenset[int] = attrs.field(default=frozenset((429, 502, 503, 504)))
    backoff: float = attrs.field(default=0.5, validator=gt(0))
    max_backoff: float = attrs.field(default=30.0, validator=gt(0))

    def after_failure(
        self, attempt: int, request: Outgoing, *, in_doubt: bool, chance: float | None = None
    ) -> float | None:
        """Return the pause after an attempt without a response, None to give up.

        Parameters:
            attempt: 1 for the first.
            request: what was asked.
            in_doubt: whether the server may have got it.
            chance: between 0 and 1; random by default.
        """
        again = request.repeatable if in_doubt else request.body.sendable
        return self._pause(attempt, chance) if again and attempt < self.attempts else None

    def after_response(
        self,
        attempt: int,
        request: Outgoing,
        status: int,
        fields: Fields,
        *,
        chance: float | None = None,
    ) -> float | None:
        """Return the pause after a response, None to take it; as `after_failure`."""
        if attempt >= self.attempts or status not in self.statuses or not request.repeatable:
            return None
        for name, value in fields:
            if name == b"retry-after":
                asked = _seconds(value.decode("latin-1"))
                if asked is not None:
                    return asked if asked <= self.max_backoff else None
        return self._pause(attempt, chance)

    def _pause(self, attempt: int, chance: float | None) -> float:
        if chance is None:
            chance = random.random()  # noqa: S311 - spreads load, keeps no secret
        longest = min(self.max_backoff, self.backoff * 2.0 ** min(attempt - 1, 64))
        return longest * (0.5 + chance / 2)


def _seconds(value: str) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, None where it says nothing."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
