"""Listeners behind a proxy: who is believed, and reading what the proxy says first.

A header is believed of those who are trusted, and of nobody else. It is read where a handshake is,
in the connection's own task: a peer that withholds it keeps nobody from being accepted, and has the
handshake's time and place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Literal, TypeAlias

import attrs
import trio
from attrs.validators import ge, in_

from .._errors import HandshakeError, IncompleteFrameError
from .._proxy_protocol import MAX_SIZE, ProxyInfo, may_begin_header, parse_proxy_header
from ._base import Address, PlainSocket, Transport
from ._listeners import Listener, as_listener

Without: TypeAlias = Literal["refuse", "direct"]
"""What becomes of a connection that brings no header that is believed."""

# The shortest header that a sender may need: addresses of Unix sockets, and some values.
_LEAST = 536
# What is behind the header goes on to whoever comes next, TLS for one, in one piece.
_RECEIVE_SIZE = 4096
# Bits in front of an IPv4 address that is written as one of IPv6.
_MAPPED = 96


def behind_proxy(
    listeners: Sequence[Listener | trio.abc.Listener[Any]],
    *,
    trusted: Iterable[str | IPv4Network | IPv6Network],
    untrusted: Without = "refuse",
    headerless: Without = "refuse",
    max_header_size: int = MAX_SIZE,
) -> list[Listener]:
    """Return listeners whose connections begin with a header of the PROXY protocol, 1 or 2.

    They are for any server: ``await serve_http_listeners(handler, behind_proxy(listeners,
    trusted=["10.0.0.0/8"]))``. A connection's header is read before TLS and its handshake, and
    belongs to them: it has their place among ``max_handshakes``, and their ``handshake_timeout``. A
    connection without one that is believed is a failed handshake.

    Afterwards ``peer_address`` is the client's, and ``local_address`` what the client connected to,
    where the header tells them; ``proxy`` of the connection (`ProxyInfo`) has the header and the
    addresses of the proxy itself. A header that tells no addresses (``LOCAL``, as of health checks,
    ``UNKNOWN``) leaves those of the proxy. Bounds for each peer count clients, never a proxy.

    Parameters:
        listeners: owned from now on, unless this raises.
        trusted: networks, or single addresses, of the proxies whose headers are believed.
            ``"unix"`` stands for whoever can connect to a Unix socket. A machine from which anybody
            else can connect as well must not be among them.
        untrusted: what becomes of the others: ``"refuse"`` closes them, ``"direct"`` serves them as
            what they are, and what they send is the protocol's, header or not.
        headerless: what becomes of a trusted peer that does not send a header: ``"refuse"``, or
            ``"direct"``, for the time in which proxies are being changed to send one. A proxy that
            sends none then lets its clients write one; and where the server speaks first, a peer
            without a header waits in vain, for its first bytes are waited for.
        max_header_size: bytes of the longest header of version 2; at least 536.

    Raises:
        TypeError: `trusted` is one string.
        ValueError: nobody is trusted, or something in `trusted` is no network; also where
            `listeners` are behind a proxy already.
    """
    terms = _Terms(
        *_split_trusted(trusted),
        untrusted=untrusted,
        headerless=headerless,
        max_header_size=max_header_size,
    )
    if any(isinstance(listener, ProxiedListener) for listener in listeners):
        raise ValueError("these listeners are behind a proxy already")
    return [ProxiedListener(as_listener(listener), terms.preface_of) for listener in listeners]


def _split_trusted(
    trusted: Iterable[str | IPv4Network | IPv6Network],
) -> tuple[tuple[IPv4Network | IPv6Network, ...], bool]:
    """Return the networks, and whether Unix sockets are trusted."""
    if isinstance(trusted, str):
        raise TypeError("trusted is a list of networks, not a single one")
    sources = list(trusted)
    if not sources:
        raise ValueError("nobody is trusted")
    networks = tuple(_as_version_4(ip_network(each)) for each in sources if each != "unix")
    return networks, "unix" in sources


def _as_version_4(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return what an IPv6 network of IPv4 addresses (``::ffff:10.0.0.0/104``) stands for."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED))


class ProxiedListener(Listener):
    """Another listener, what it accepts with a preface.

    Parameters:
        listener: owned from now on.
        preface_of: puts the preface on a transport, if it has to have one.
    """

    prefaced = True

    def __init__(self, listener: Listener, preface_of: Callable[[Transport], None]) -> None:
        self._listener = listener
        self._preface_of = preface_of
        self.address = listener.address

    @property
    def socket(self) -> PlainSocket | None:
        """The socket of the other."""
        return self._listener.socket

    async def accept_some(self, room: Callable[[], int]) -> list[Transport]:
        """Accept as the other does."""
        return self._mark(await self._listener.accept_some(room))

    def accept_waiting(self, limit: int) -> list[Transport]:
        """Accept as the other does."""
        return self._mark(self._listener.accept_waiting(limit))

    def close_nowait(self) -> list[Transport]:
        """Stop listening as the other does."""
        return self._mark(self._listener.close_nowait())

    def _mark(self, transports: list[Transport]) -> list[Transport]:
        for transport in transports:
            self._preface_of(transport)
        return transports

    async def aclose(self) -> None:
        """Close the other."""
        await self._listener.aclose()


@attrs.frozen
class _Terms:
    """Who is believed, and what becomes of the others: see `behind_proxy`."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    trusts_unix: bool
    untrusted: Without = attrs.field(kw_only=True, validator=in_(("refuse", "direct")))
    headerless: Without = attrs.field(kw_only=True, validator=in_(("refuse", "direct")))
    max_header_size: int = attrs.field(kw_only=True, validator=ge(_LEAST))

    def preface_of(self, transport: Transport) -> None:
        """Put the preface on a transport that was accepted."""
        if self._trusts(transport.peer_address):
            transport.preface = self._read_header
        elif self.untrusted == "refuse":
            transport.preface = _refuse

    def _trusts(self, peer: Address | None) -> bool:
        if not isinstance(peer, tuple):
            return self.trusts_unix and peer is not None
        try:
            host = ip_address(peer[0])
        except ValueError:
            return False
        if host.version == 6 and host.ipv4_mapped is not None:
            host = host.ipv4_mapped  # A socket for both families shows it so.
        return any(host in network for network in self.networks)

    async def _read_header(self, transport: Transport) -> bytes:
        received = b""
        while True:
            if self._is_direct(received):
                return received
            parsed = parse_proxy_header(received, max_size=self.max_header_size)
            if parsed is not None:
                header, size = parsed
                proxy = ProxyInfo(header, transport.peer_address, transport.local_address)
                transport.stand_for_client(proxy)
                return received[size:]
            data = transport.receive_nowait(_RECEIVE_SIZE)  # Mostly it came with the connection.
            if data is None:
                data = await transport.receive_some(_RECEIVE_SIZE)
            if not data:
                # No header begins with these bytes and the end behind them.
                if self._is_direct(received + b"?"):
                    return received
                raise IncompleteFrameError(received)
            received += data

    def _is_direct(self, received: bytes) -> bool:
        return self.headerless == "direct" and not may_begin_header(received)


async def _refuse(transport: Transport) -> bytes:
    await trio.lowlevel.checkpoint()
    raise HandshakeError(f"{transport.peer_address} is no proxy that is trusted")
