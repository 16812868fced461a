"""Opening endpoints: bound, or connected."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from typing_extensions import TypeVar

from .._codec import Codec
from .._transport import (
    Kind,
    SocketOptions,
    apply_options,
    check_options,
    merge_connect_errors,
)
from ._datagram import InternetAddress
from ._endpoint import UDPEndpoint
from ._limits import EndpointLimits
from ._ways import Way, check_port, look_up

SendT = TypeVar("SendT", default=bytes)
ReceiveT = TypeVar("ReceiveT", default=SendT)

# What binding says to an address of a family that this machine does not have.
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

# A port of the system's choosing, free on the first address, may be in use on the second.
_PORT_ATTEMPTS = 16


async def open_udp_endpoint(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    codec: Codec[SendT, ReceiveT] | None = None,
    limits: EndpointLimits | None = None,
    options: SocketOptions | None = None,
) -> UDPEndpoint[SendT, ReceiveT]:
    """Open an endpoint that talks to anybody.

    Parameters:
        port: where it is bound; 0 takes a free one.
        host: an address or name of this machine; of several addresses the first that can be bound.
            ``"0.0.0.0"`` is all of IPv4, ``"::"`` all of IPv6. Loopback by default, from where
            nobody else can be reached.
        codec: makes messages of datagrams, see `UDPEndpoint`.
        limits: the bounds.
        options: of the socket; ``reuse_address=True`` shares a port between several members of a
            multicast group, ``broadcast=True`` allows to send to everybody on a network.

    Raises:
        ValueError: a port is none.
        UnsupportedOptionError: an option is not for UDP, or not on this platform.
        OSError: the port is in use, or the host unknown; nothing is left open.
    """
    check_options(options, Kind.UDP)
    for index, way in enumerate(ways := await look_up(host, port, local=True)):
        try:
            return _own(_bind(way, port, options), codec, limits)
        except OSError as error:
            if error.errno not in _NO_SUCH_FAMILY or index + 1 == len(ways):
                raise
    raise OSError(errno.EADDRNOTAVAIL, f"{host} has no address for UDP")


async def open_udp_endpoints(
    port: int,
    *,
    host: str | None = "127.0.0.1",
    limits: EndpointLimits | None = None,
    options: SocketOptions | None = None,
) -> list[UDPEndpoint]:
    """Open an endpoint on every address that `host` has, all on the same port.

    For a server: see `serve_udp_endpoints`.

    Parameters:
        port: 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6.
        limits: the bounds of each.
        options: of the sockets.

    Raises:
        ValueError: a port is none.
        UnsupportedOptionError: an option is not for UDP, or not on this platform.
        OSError: the port is in use, or the host unknown; nothing is left open.
    """
    check_options(options, Kind.UDP)
    ways = await look_up(host, port, local=True)
    attempts = _PORT_ATTEMPTS if port == 0 else 1
    while True:
        attempts -= 1
        try:
            return [UDPEndpoint(sock, limits=limits) for sock in _bind_all(ways, port, options)]
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not attempts:
                raise


async def connect_udp_endpoint(
    host: str,
    port: int,
    *,
    local_host: str | None = None,
    local_port: int = 0,
    codec: Codec[SendT, ReceiveT] | None = None,
    limits: EndpointLimits | None = None,
    options: SocketOptions | None = None,
) -> UDPEndpoint[SendT, ReceiveT]:
    """Open an endpoint that talks to one peer.

    Nothing is sent, so nobody knows whether the peer is there. What comes from others never gets
    here, and what the network reports of our datagrams does (see `UDPEndpoint.receive`).

    Parameters:
        host: an address or name; of several addresses the first that there is a way to.
        port: the peer's.
        local_host: the numeric address of ours to use, None for the system's choice.
        local_port: our port; 0 takes a free one.
        codec: makes messages of datagrams, see `UDPEndpoint`.
        limits: the bounds.
        options: of the socket.

    Raises:
        ValueError: a port is none.
        UnsupportedOptionError: an option is not for UDP, or not on this platform.
        ConnectError: there is no way to the host, its name is unknown, or the local address cannot
            be had. Nothing is left open.
    """
    check_options(options, Kind.UDP)
    check_port(local_port)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    errors: list[OSError] = []
    try:
        ways = await look_up(host, port)
        here = await look_up(local_host, local_port, local=True) if local_host else ()
    except OSError as error:
        raise merge_connect_errors(target, [error]) from error
    for way in ways:
        try:
            return _own(_connect(way, here, local_port, options), codec, limits)
        except OSError as error:
            errors.append(error)
    raise merge_connect_errors(target, errors) from errors[-1]


def _own(
    sock: socket.socket, codec: Codec[SendT, ReceiveT] | None, limits: EndpointLimits | None
) -> UDPEndpoint[SendT, ReceiveT]:
    try:
        return UDPEndpoint(sock, codec=codec, limits=limits)
    except BaseException:  # The codec may refuse to start.
        sock.close()
        raise


def _make(family: int, options: SocketOptions | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6 and (options is None or options.ipv6_only is None):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        apply_options(options, sock, Kind.UDP)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(way: Way, port: int, options: SocketOptions | None) -> socket.socket:
    """Return a socket that is bound to an address and this port."""
    host, _, *rest = way.address
    sock = _make(way.family, options)
    try:
        sock.bind((host, port, *rest))
    except OSError as error:
        sock.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        reason = f"cannot bind to {where}: {error.strerror or error}"
        raise OSError(error.errno, reason) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_all(ways: Sequence[Way], port: int, options: SocketOptions | None) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for way in ways:
            try:
                sockets.append(_bind(way, port, options))
            except OSError as error:
                if error.errno in _NO_SUCH_FAMILY and len(ways) > 1:
                    continue
                raise
            port = sockets[0].getsockname()[1]
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, "this machine has none of the host's addresses")
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _connect(
    way: Way, here: Sequence[Way], local_port: int, options: SocketOptions | None
) -> socket.socket:
    sock = _make(way.family, options)
    try:
        local = _local_address(way, here, local_port)
        if local is not None:
            sock.bind(local)
        # Nothing has to be waited for: it is written down, and a route is looked for.
        sock.connect(way.address)
    except BaseException:
        sock.close()
        raise
    return sock


def _local_address(way: Way, here: Sequence[Way], local_port: int) -> InternetAddress | None:
    if here:
        for each in here:
            if each.family == way.family:
                return each.address
        raise OSError(errno.EAFNOSUPPORT, "the local address is of another family")
    if local_port:
        return ("::" if way.family == socket.AF_INET6 else "0.0.0.0", local_port)  # noqa: S104
    return None
