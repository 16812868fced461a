"""What a client may hold, how long it waits, and how often it tries."""

from __future__ import annotations

from typing import cast

import attrs
from attrs.validators import ge, gt, optional

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class HTTPClientLimits:
    """The bounds of a client, over all origins where nothing else is said.

    Parameters:
        max_connections: connections open or being opened. Where all are taken, one that is idle at
            another origin gives way.
        max_connections_per_origin: of those, for one scheme, host and port.
        max_idle: connections kept open that nobody uses.
        max_waiting: requests that may wait for a connection.
        keep_alive_timeout: seconds that a connection is kept which nobody uses, and up to a quarter
            more.
        max_head_size: bytes of a response's status line and fields, and of its trailers.
        max_fields: header fields of a response, and trailers.
        max_body_size: bytes of a response's body that `HTTPClient.fetch` returns, behind all
            codings; None is no bound. What goes elsewhere as it comes has no such bound.
        max_unread_body: bytes of a body that nobody wanted, to be read and thrown away so that the
            connection can be used again; with more it is cut.
        receive_size: bytes asked of a socket at a time.
    """

    max_connections: int = attrs.field(default=100, validator=ge(1))
    max_connections_per_origin: int = attrs.field(default=16, validator=ge(1))
    max_idle: int = attrs.field(default=32, validator=ge(0))
    max_waiting: int = attrs.field(default=1024, validator=ge(0))
    keep_alive_timeout: float = attrs.field(default=30.0, validator=gt(0))
    max_head_size: int = attrs.field(default=64 * KIB, validator=ge(1))
    max_fields: int = attrs.field(default=200, validator=ge(1))
    max_body_size: int | None = attrs.field(
        default=cast("int | None", 16 * MIB), validator=optional(ge(0))
    )
    max_unread_body: int = attrs.field(default=64 * KIB, validator=ge(0))
    receive_size: int = attrs.field(default=64 * KIB, validator=ge(1))

    @property
    def max_target_size(self) -> int:
        """Of requests, which a client does not receive."""
        return self.max_head_size


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long each part of a request may take, in seconds; None is for ever (row Z11).

    Parameters:
        total: everything, redirects and further attempts too, up to the end of the body; for
            `HTTPClient.stream`, up to its head.
        waiting: for a connection, where as many are open as may be.
        connect: name, TCP, a proxy, and TLS.
        send: for the server to take the next piece of a body that is sent piece by piece. How long
            that takes to be made counts only for the total. On an upgraded connection, for the
            server to take anything of what waits to be sent; then it is cut.
        response: from the request's end to the response's head.
        piece: for the next piece of a response's body.
    """

    total: float | None = attrs.field(
        default=cast("float | None", 300.0), validator=optional(gt(0))
    )
    waiting: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(gt(0))
    )
    connect: float | None = attrs.field(
        default=cast("float | None", 10.0), validator=optional(gt(0))
    )
    send: float | None = attrs.field(default=cast("float | None", 60.0), validator=optional(gt(0)))
    response: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(gt(0))
    )
    piece: float | None = attrs.field(default=cast("float | None", 60.0), validator=optional(gt(0)))


def as_timeouts(timeout: float | Timeouts | None, default: Timeouts) -> Timeouts:
    """Return timeouts for what a caller gives: a number is the total, None the default."""
    if timeout is None:
        return default
    if isinstance(timeout, Timeouts):
        return timeout
    return attrs.evolve(default, total=float(timeout))
