"""Addresses: to and from names, and which of them the system can send to without asking anybody."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import trio

from ._datagram import InternetAddress

FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}


class Way(NamedTuple):
    """One result of a look-up."""

    family: int
    address: InternetAddress


async def look_up(host: str | None, port: int, *, local: bool = False) -> Sequence[Way]:
    """Return the addresses of a host, without repetitions, in the order to try them in.

    Parameters:
        host: a name or an address; None is all addresses of this machine, or loopback.
        port: the port, which is put into the addresses.
        local: whether to bind to it, rather than to send there.

    Raises:
        ValueError: `port` is no number of a port.
        OSError: there are none.
    """
    check_port(port)
    flags = socket.AI_PASSIVE if local else 0
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{host}: {error.strerror}") from error
    ways = [Way(family, cast("Any", address)) for family, _, _, _, address in found]
    return [way for way in dict.fromkeys(ways) if way.family in FAMILIES]


def check_port(port: int) -> None:
    """Make sure that a number is that of a port; the system would look at its last 16 bits alone.

    Raises:
        ValueError: it is none.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"a port is a number from 0 to 65535, not {port}")


def check_numeric(family: int, address: InternetAddress) -> None:
    """Make sure that an address can be sent to as it is.

    A name would be resolved by the system in the middle of sending, and hold up every task.

    Raises:
        ValueError: it is a name, or of another family, or its port is none.
        TypeError: it is no tuple.
    """
    given = cast("object", address)  # Not everybody has types checked.
    if not isinstance(given, tuple):
        raise TypeError(f"an address is a pair of a host and a port, not {given!r}")
    check_port(address[1])
    host = address[0]
    try:
        # The zone behind an address of IPv6 names an interface, which asks nobody.
        socket.inet_pton(family, host.partition("%")[0] if family == socket.AF_INET6 else host)
    except (OSError, TypeError):
        what = FAMILIES[socket.AddressFamily(family)]
        reason = f"{host!r} is no {what} address; names go through UDPEndpoint.resolve"
        raise ValueError(reason) from None


def is_loopback(host: str) -> bool:
    """Whether a numeric address is one from which, and to which, only this machine sends."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback
