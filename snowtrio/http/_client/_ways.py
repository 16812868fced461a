"""How origins are reached: by TCP or what the user says, with TLS where the scheme says so."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypeAlias

import attrs

from ..._transport import (
    Endpoint,
    Kind,
    SocketOptions,
    StreamEndpoint,
    TCPEndpoint,
    UnixEndpoint,
    check_options,
)
from ._limits import HTTPClientLimits
from ._proxies import Proxy, ProxyChoice, choose_proxy
from ._site import HTTPClientProtocol, Way
from ._tunnel import TunnelProtocol
from ._urls import Origin

Where: TypeAlias = Endpoint | Callable[[Origin], Endpoint]
"""Where requests go: an endpoint for all of them, or what returns one for an origin."""


class Ways:
    """Says how an origin is reached.

    Parameters:
        limits: of the client.
        ssl_context: for https; by default one that trusts what the system trusts, made when the
            first connection needs it.
        endpoint: where to connect, rather than to the origin's host and port.
        proxy: which one to go through.
        options: of the sockets.

    Raises:
        TypeError: there is an endpoint as well as a proxy, or as options; or options and a SOCKS
            proxy.
        UnsupportedOptionError: an option is not for connections, or not on this platform.
    """

    def __init__(
        self,
        limits: HTTPClientLimits,
        ssl_context: ssl.SSLContext | None,
        endpoint: Where | None,
        proxy: ProxyChoice | None,
        options: SocketOptions | None = None,
    ) -> None:
        if endpoint is not None and proxy is not None:
            raise TypeError("connections go to an endpoint or to a proxy, not to both")
        if endpoint is not None and options is not None:
            raise TypeError("an endpoint has its own options")
        check_options(options, Kind.TCP_CONNECTION)
        if isinstance(proxy, Proxy):
            proxy.check_options(options)
        self._options = options
        self._limits = limits
        self._proxy = proxy
        self._protocol = HTTPClientProtocol(limits)
        self._ssl_context = ssl_context
        self._endpoint = endpoint

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """What TLS is spoken with (row Z14)."""
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context

    def find(self, origin: Origin) -> Way:
        """Return the way to an origin."""
        context = self.ssl_context if origin.secure else None
        proxy = choose_proxy(self._proxy, origin)
        if proxy is not None:
            protocol = self._protocol
            if proxy.tunnels(origin):
                protocol = TunnelProtocol(self._limits, proxy, origin, context)
            endpoint = proxy.endpoint(origin, context, lambda: self.ssl_context, self._options)
            return Way(endpoint, protocol)
        return Way(self._find_endpoint(origin, context), self._protocol)

    def _find_endpoint(self, origin: Origin, context: ssl.SSLContext | None) -> Endpoint:
        given = self._endpoint
        if given is None:
            return TCPEndpoint(origin.host, origin.port, ssl_context=context, options=self._options)
        endpoint = given if isinstance(given, Endpoint) else given(origin)
        if context is None or endpoint.ssl_context is not None:
            return endpoint
        if isinstance(endpoint, TCPEndpoint | UnixEndpoint | StreamEndpoint):
            # The certificate is to be the origin's, wherever its connections go.
            hostname = endpoint.tls_hostname or origin.host
            return attrs.evolve(endpoint, ssl_context=context, tls_hostname=hostname)
        raise TypeError(f"give {endpoint!r} an ssl_context of its own for https")
