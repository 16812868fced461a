"""What a client is told about where to connect."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import cast

from .._transport import Endpoint, SocketOptions, TCPEndpoint


def as_endpoints(
    where: str | Endpoint | Sequence[Endpoint],
    port: int | None,
    ssl_context: ssl.SSLContext | None,
    options: SocketOptions | None,
) -> tuple[Endpoint, ...]:
    """Return the endpoints for a host and port, one endpoint, or several.

    Raises:
        TypeError: a host without a port; a port, TLS context or options beside an endpoint; or no
            endpoint.
        ValueError: an empty sequence.
        UnsupportedOptionError: an option is not for connections, or not on this platform.
    """
    if isinstance(where, str):
        if port is None:
            raise TypeError("a host needs a port; for a Unix socket give UnixEndpoint(path)")
        return (TCPEndpoint(where, port, ssl_context=ssl_context, options=options),)
    if (port, ssl_context, options) != (None, None, None):
        raise TypeError("an endpoint has its own port, ssl_context and options")
    # What the annotation promises, an untyped caller may not keep.
    given = cast("tuple[object, ...]", (where,) if isinstance(where, Endpoint) else tuple(where))
    if not given:
        raise ValueError("a client needs at least one endpoint")
    endpoints = tuple(each for each in given if isinstance(each, Endpoint))
    if len(endpoints) < len(given):
        raise TypeError(f"a host and port, or endpoints are needed, not {where!r}")
    return endpoints
