"""What a client of requests may hold."""

from __future__ import annotations

from typing import cast

import attrs
from attrs.validators import ge, gt, optional

from .._client import ClientLimits


@attrs.frozen(kw_only=True)
class RequestLimits(ClientLimits):
    """The bounds of a `RequestClient`; times are in seconds.

    Parameters:
        max_in_flight: requests under way on all connections together; others wait in line, up to
            ``max_waiting`` of them. Those of sessions count and do not wait; a batch enters as one.
        max_pending: requests under way on one connection; others go to another one, or wait.
        reply_timeout: a connection on which replies are due and none comes for so long is cut, and
            its requests are in doubt. One that is used exclusively may be silent for ever.
        max_stream_replies: replies of one stream that are kept for a slow reader; with more, its
            connection is not read.
        max_pushes: messages kept that answer nothing and that nobody has taken.
    """

    max_in_flight: int = attrs.field(default=1024, validator=ge(1))
    max_pending: int | None = attrs.field(
        default=cast("int | None", 256), validator=optional(ge(1))
    )
    reply_timeout: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(gt(0))
    )
    max_stream_replies: int = attrs.field(default=256, validator=ge(1))
    max_pushes: int = attrs.field(default=1024, validator=ge(1))
