"""Multicast: groups, and how what is sent to them travels.

Interfaces go by name or index, in both families: an address of an interface may change, or be the
same on two.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

# Linux delivers what comes for any group that anybody on the machine has joined, unless told not
# to. The numbers are those of <linux/in.h> and <linux/in6.h>; the socket module has no names.
_ALL_GROUPS = {
    socket.AF_INET: (socket.IPPROTO_IP, 49),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 29),
}


def change_membership(
    sock: socket.socket, group: str, interface: str | int | None, *, join: bool
) -> None:
    """Join or leave a group.

    Raises:
        ValueError: `group` is no address of the socket's family.
        OSError: there is no such interface, or no such membership.
    """
    packed, index = _pack(sock, group), index_of(interface)
    if sock.family == socket.AF_INET6:
        option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
        sock.setsockopt(socket.IPPROTO_IPV6, option, packed + struct.pack("@I", index))
    else:
        option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
        sock.setsockopt(socket.IPPROTO_IP, option, _ip_mreqn(packed, index))
    if join and sys.platform == "linux":
        level, number = _ALL_GROUPS[sock.family]
        sock.setsockopt(level, number, 0)


def set_interface(sock: socket.socket, interface: str | int) -> None:
    """Choose the interface on which groups are sent to; 0 is the system's choice."""
    index = index_of(interface)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _ip_mreqn(b"\0\0\0\0", index))


def set_hops(sock: socket.socket, hops: int) -> None:
    """Set how many routers pass it on, plus one."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)


def set_loop(sock: socket.socket, loop: bool) -> None:
    """Set whether this machine gets it too."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, loop)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, loop)


def index_of(interface: str | int | None) -> int:
    """Return the index of an interface, 0 for the system's choice.

    Raises:
        OSError: there is none of that name.
    """
    if isinstance(interface, str):
        try:
            return socket.if_nametoindex(interface)
        except OSError:
            raise OSError(errno.ENODEV, f"there is no interface {interface!r}") from None
    return interface or 0


def _pack(sock: socket.socket, group: str) -> bytes:
    try:
        return socket.inet_pton(sock.family, group)
    except OSError:
        raise ValueError(f"{group!r} is no group of this endpoint's family") from None


def _ip_mreqn(group: bytes, index: int) -> bytes:
    """Return the C structure: a group, no address of an interface, its index."""
    return struct.pack("@4s4si", group, b"\0\0\0\0", index)
