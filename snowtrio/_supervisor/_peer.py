"""Whose a connection is."""

from __future__ import annotations

from .._transport import Transport


def peer_of(transport: Transport) -> object:
    """Return what tells one peer from another: the host, None where it cannot be told (yet)."""
    proxy = transport.proxy
    if transport.preface is not None or (proxy is not None and proxy.header.source is None):
        return None  # All that is known is a proxy, which may have many clients.
    address = transport.peer_address
    return address[0] if isinstance(address, tuple) else None
