"""What a subscriber may hold, and how long it may take."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional

from .._client import ClientLimits


@attrs.frozen(kw_only=True)
class SubscriberLimits(ClientLimits):
    """The bounds of a subscriber; times are in seconds.

    Of those that it has from `ClientLimits`, the ones of a connection count, and of the others
    ``connect_timeout``, ``handshake_timeout``, ``backoff`` and ``max_backoff``. There is one
    connection at a time, so those of a pool say nothing, nor does ``idle_timeout``.

    Parameters:
        max_messages: messages kept for the consumer, beside those that the connection has decoded
            and not handed over, which are no more.
        subscribe_timeout: how long ``subscribe`` may take.
        silence_timeout: how long nothing may come before the connection is given up; None is for
            ever.
        max_attempts: how many attempts in a row may fail before the subscriber ends; None is any
            number.
    """

    max_messages: int = attrs.field(default=1024, validator=ge(1))
    subscribe_timeout: float = attrs.field(default=10.0, validator=gt(0))
    silence_timeout: float | None = attrs.field(default=None, validator=optional(gt(0)))
    max_attempts: int | None = attrs.field(default=None, validator=optional(ge(1)))
