"""Addresses as sockets have them, from text and from bytes, and back."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from .._errors import LocalProtocolError, RemoteProtocolError
from ._header import ProxyAddress

UNIX_SIZE = 108
"""Bytes of a Unix socket's path, on whatever system."""

IPAddress = IPv4Address | IPv6Address


def join(host: IPAddress, port: int) -> ProxyAddress:
    """Return an internet address as sockets give it."""
    if isinstance(host, IPv4Address):
        return str(host), port
    # As the kernel writes it. Python does so only since 3.13.
    mapped = host.ipv4_mapped
    return (f"::ffff:{mapped}" if mapped is not None else str(host)), port, 0, 0


def split_pair(
    source: ProxyAddress | None, destination: ProxyAddress | None
) -> tuple[tuple[IPAddress, int], tuple[IPAddress, int]] | None:
    """Return the hosts, of one family, and ports of two internet addresses.

    None if either is something else.

    Raises:
        LocalProtocolError: one is no address.
    """
    if not (isinstance(source, tuple) and isinstance(destination, tuple)):
        return None
    first, second = _parse_host(source[0]), _parse_host(destination[0])
    if first.version != second.version:
        first, second = _as_version_6(first), _as_version_6(second)
    return (first, _checked_port(source[1])), (second, _checked_port(destination[1]))


def _parse_host(host: str) -> IPAddress:
    try:
        # What the zone is called elsewhere, nobody there knows.
        text, _, _ = host.partition("%")
        return IPv6Address(text) if ":" in text else IPv4Address(text)
    except AddressValueError as error:
        raise LocalProtocolError(f"{host!r} is no address: {error}") from error


def _as_version_6(host: IPAddress) -> IPv6Address:
    return IPv6Address(f"::ffff:{host}") if isinstance(host, IPv4Address) else host


def _checked_port(port: int) -> int:
    if not 0 <= port <= 65535:
        raise LocalProtocolError(f"{port} is no port")
    return port


def parse_text(family: str, host: str, port: str) -> ProxyAddress:
    """Return an address of a line of text.

    Parameters:
        family: ``"TCP4"`` or ``"TCP6"``.
        host: in the family's notation.
        port: decimal.

    Raises:
        RemoteProtocolError: it is not written as it has to be.
    """
    if not (port.isdecimal() and str(int(port)) == port and int(port) <= 65535):
        raise RemoteProtocolError(f"{port!r} is no port in a PROXY header")
    try:
        if "%" in host:
            raise AddressValueError("a zone")
        if family == "TCP6":
            return join(IPv6Address(host), int(port))
        IPv4Address(host)  # There is one way to write it.
        return host, int(port)
    except AddressValueError as error:
        raise RemoteProtocolError(f"{host!r} is no {family} address in a PROXY header") from error


def unpack_unix(raw: bytes) -> str:
    """Return a path that is filled up with zeros; that of an abstract socket begins with one."""
    path = raw.rstrip(b"\0") if raw[:1] == b"\0" else raw.partition(b"\0")[0]
    return path.decode(errors="surrogateescape")


def pack_unix(path: str) -> bytes:
    """Return a path filled up with zeros.

    Raises:
        LocalProtocolError: it is too long.
    """
    raw = path.encode(errors="surrogateescape")
    if len(raw) > UNIX_SIZE:
        raise LocalProtocolError(f"a path of {len(raw)} bytes is too long for a PROXY header")
    return raw.ljust(UNIX_SIZE, b"\0")
