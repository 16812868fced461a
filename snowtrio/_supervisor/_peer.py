"""Whose a connection is."""

from __future__ import annotations

from .._transport import Transport


def peer_of(transport: Transport) -> object:
    """Return what tells one peer from another: the host, None where it cannot be told (yet)."""
    if transport.preface is not None:
        return None  # So far it is a proxy's, which may have many clients.
    address = transport.peer_address
    return address[0] if isinstance(address, tuple) else None
