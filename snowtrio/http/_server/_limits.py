"""What an HTTP server may be asked."""

from __future__ import annotations

from typing import cast

import attrs
from attrs.validators import ge, gt, optional

from ..._server import ServerLimits

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class HTTPLimits(ServerLimits):
    """The bounds of an HTTP server, each with what a client gets that goes above it.

    Times are in seconds and up to a quarter more is given: they are looked at now and then.

    Parameters:
        max_head_size: bytes of a request's line and fields, and of its trailers; 431.
        max_target_size: bytes of the target in the request line; 414.
        max_fields: header fields of a request, and trailers; 431.
        max_body_size: bytes of a request's body, None is no bound; 413. A handler sets
            ``request.max_body_size`` to take more, or less.
        max_unread_body: bytes of a body that a handler left, to be read and thrown away so that the
            connection can go on; with more the connection is closed after the response.
        max_requests: requests of one connection, None is no bound; the last is answered with
            ``Connection: close``.
        head_timeout: for a request's head, from its first byte on, and for the first byte of a
            connection; 408, or just closed where nothing came.
        body_timeout: how long a handler may wait for a body in all, besides what `min_body_rate`
            gives it; 408.
        min_body_rate: bytes a second that a body has to come with once `body_timeout` is used up.
        min_send_rate: bytes a second that a client has to take of a response, on average over
            ``stall_timeout``, as long as there are some that the system has no room for; cut.
        keep_alive_timeout: from one request to the next; closed.
    """

    max_head_size: int = attrs.field(default=32 * KIB, validator=ge(1))
    max_target_size: int = attrs.field(default=8 * KIB, validator=ge(1))
    max_fields: int = attrs.field(default=100, validator=ge(1))
    max_body_size: int | None = attrs.field(
        default=cast("int | None", MIB), validator=optional(ge(0))
    )
    max_unread_body: int = attrs.field(default=64 * KIB, validator=ge(0))
    max_requests: int | None = attrs.field(default=None, validator=optional(ge(1)))
    head_timeout: float = attrs.field(default=10.0, validator=gt(0))
    body_timeout: float = attrs.field(default=20.0, validator=gt(0))
    min_body_rate: int = attrs.field(default=500, validator=ge(1))
    min_send_rate: int = attrs.field(default=500, validator=ge(1))
    keep_alive_timeout: float = attrs.field(default=60.0, validator=gt(0))
