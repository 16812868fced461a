"""What a client is told about where to connect."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import cast

from .._transport import Endpoint, TCPEndpoint


def as_endpoints(
    where: str | Endpoint | Sequence[Endpoint],
    port: int | None,
    ssl_context: ssl.SSLContext | None,
) -> tuple[Endpoint, ...]:
    """Return the endpoints for a host and port, one endpoint, or several.

    Raises:
        TypeError: a host without a port, a port or TLS context beside an endpoint, or no endpoint.
        ValueError: an empty sequence.
    """
    if isinstance(where, str):
        if port is None:
            raise TypeError("a host needs a port; for a Unix socket give UnixEndpoint(path)")
        return (TCPEndpoint(where, port, ssl_context=ssl_context),)
    if port is not None or ssl_context is not None:
        raise TypeError("an endpoint has its own port and ssl_context")
    # What the annotation promises, an untyped caller may not keep.
    given = cast("tuple[object, ...]", (where,) if isinstance(where, Endpoint) else tuple(where))
    if not given:
        raise ValueError("a client needs at least one endpoint")
    endpoints = tuple(each for each in given if isinstance(each, Endpoint))
    if len(endpoints) < len(given):
        raise TypeError(f"a host and port, or endpoints are needed, not {where!r}")
    return endpoints
