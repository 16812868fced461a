"""Either version, told by its first bytes."""

from __future__ import annotations

from .._errors import RemoteProtocolError
from . import _version1, _version2
from ._header import ProxyHeader

MAX_SIZE = 4096
"""Bytes of the longest header that is read, unless said otherwise; most have less than 536."""

_SIGNATURES = (_version1.SIGNATURE, _version2.SIGNATURE)


def may_begin_header(data: bytes) -> bool:
    """Whether a header begins with these bytes, or these with what a header begins with."""
    return any(data[: len(each)] == each[: len(data)] for each in _SIGNATURES)


def parse_proxy_header(data: bytes, *, max_size: int = MAX_SIZE) -> tuple[ProxyHeader, int] | None:
    """Read the header that some bytes begin with.

    Parameters:
        data: from the connection's first byte on, or a whole datagram.
        max_size: bytes that a header of version 2 may have; version 1 has 107 at most.

    Returns the header and how many bytes it has; the others belong to what comes after it. None if
    it is not complete, so that more bytes have to come.

    Raises:
        RemoteProtocolError: it is no header, or a wrong one.
    """
    if not may_begin_header(data):
        raise RemoteProtocolError("there is no PROXY header")
    if data[:1] == _version1.SIGNATURE[:1]:
        return _version1.parse(data)
    return _version2.parse(data, max_size)


def encode_proxy_header(header: ProxyHeader) -> bytes:
    """Return the bytes of a header, which have to leave before anything else.

    Addresses of two internet families are sent as those of IPv6. Those that cannot be told (of Unix
    sockets in version 1, one that is unknown) are left out, and the receiver goes by what it sees.

    Raises:
        LocalProtocolError: something cannot be said: an address is none, the header is longer than
            65,551 bytes, a value has a field of its own.
    """
    return _version1.encode(header) if header.version == 1 else _version2.encode(header)
