"""Which proxy a request goes through, and what that is told of it (row Z15). No I/O."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import TypeAlias
from urllib.request import getproxies, proxy_bypass

import attrs
from yarl import URL

from ..._transport import Endpoint, SocketOptions, TCPEndpoint
from .._errors import InvalidURLError
from .._headers import HeadersToSend, write_field, write_headers
from ._socks import SOCKS, SOCKSEndpoint, split_socks
from ._urls import Origin, locate, parse_url

Field = tuple[bytes, bytes]


class Proxy:
    """An HTTP proxy, or a SOCKS5 proxy.

    Requests for https go through a tunnel (``CONNECT``): TLS is spoken with the server, and the
    proxy learns its host and port. Those of http it is asked for with their whole URL, and sees.
    Through a SOCKS5 proxy go connections, whatever is spoken on them.

    Parameters:
        url: ``http://host:port``, or ``https://`` to speak TLS with the proxy itself as well;
            ``http://user:password@host:port`` sends it Basic credentials. ``socks5h://host:port``
            for SOCKS5, where the proxy resolves names, or ``socks5://``, where this machine does;
            with a user and a password if it wants them. That needs
            ``pip install snowtrio[socks]``.
        headers: further fields for the proxy alone, such as a ``Proxy-Authorization`` of another
            kind; none for SOCKS5.
        ssl_context: for TLS with the proxy; by default the client's.
        tunnel_all: whether requests of http go through tunnels too. WebSockets need that.

    Raises:
        InvalidURLError: the URL is none, or has a path.
        ModuleNotFoundError: python-socks is needed, and is not installed.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        headers: HeadersToSend = (),
        ssl_context: ssl.SSLContext | None = None,
        tunnel_all: bool = False,
    ) -> None:
        parsed = parse_url(url)
        socks = split_socks(parsed)
        where = locate(parsed if socks is None else socks[1])
        if where.target != "/":
            raise InvalidURLError("the URL of a proxy has no path")
        self.origin = where.origin
        """Where it is."""
        self.ssl_context = ssl_context
        self.tunnel_all = tunnel_all
        self.socks: SOCKS | None = None
        """What it is if it is one of SOCKS5."""
        if socks is not None:
            self.origin = attrs.evolve(where.origin, scheme=socks[0])
            self.socks = SOCKS(
                origin=self.origin, user=parsed.user or "", password=parsed.password or ""
            )
        fields = write_headers(headers)
        if where.authorization is not None:
            fields.insert(0, write_field("proxy-authorization", where.authorization))
        self.fields: tuple[Field, ...] = tuple(fields)
        """What it is told besides; not for others to see."""

    def __repr__(self) -> str:
        return f"<Proxy {self.origin}>"

    def tunnels(self, origin: Origin) -> bool:
        """Whether requests for an origin go through a tunnel that the proxy is asked for."""
        return self.socks is None and (origin.secure or self.tunnel_all)

    def sees(self, origin: Origin) -> bool:
        """Whether the proxy itself is asked for what belongs to an origin."""
        return self.socks is None and not self.tunnels(origin)

    def for_tunnels(self) -> Proxy:
        """Return the same proxy, asked for tunnels alone."""
        other = copy(self)
        other.tunnel_all = True
        return other

    def check_options(self, options: SocketOptions | None) -> None:
        """Raise ``TypeError`` where there are options, and what opens the socket takes none."""
        if self.socks is not None and options is not None:
            raise TypeError("sockets to a SOCKS proxy are opened by python-socks, without options")

    def endpoint(
        self,
        origin: Origin,
        context: ssl.SSLContext | None,
        default: Callable[[], ssl.SSLContext],
        options: SocketOptions | None,
    ) -> Endpoint:
        """Return where to connect.

        Parameters:
            origin: whom to reach.
            context: for TLS with that, None for none.
            default: gives the context for TLS with a proxy that has none of its own.
            options: of the socket.

        Raises:
            TypeError: there are options, and what opens the socket does not take any.
        """
        self.check_options(options)
        if self.socks is not None:
            return SOCKSEndpoint(self.socks, origin, context)
        own = None
        if self.origin.secure:
            own = self.ssl_context if self.ssl_context is not None else default()
        return TCPEndpoint(self.origin.host, self.origin.port, ssl_context=own, options=options)


ProxyChoice: TypeAlias = Proxy | Callable[[Origin], Proxy | None]
"""A proxy for all requests; or what returns one for an `Origin`, always the same for the same, None
for none."""


class EnvironmentProxies:
    """Chooses proxies as the environment has them: ``HTTPClient(proxy=EnvironmentProxies())``.

    ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, in either case, and the
    settings of macOS and Windows, as `urllib.request.getproxies` and
    `urllib.request.proxy_bypass` read them. The proxies are read once, when this is made; what
    bypasses them, once for each origin. A client that is not given this asks no environment.

    Raises:
        InvalidURLError: one of them is no proxy of these kinds, such as ``socks4://``.
    """

    def __init__(self) -> None:
        self._proxies = _read_environment()
        self._bypasses = lru_cache(maxsize=1024)(proxy_bypass)

    def __call__(self, origin: Origin) -> Proxy | None:
        """Return the proxy for an origin, None for none."""
        proxy = self._proxies.get(origin.scheme) or self._proxies.get("all")
        return None if proxy is None or self._bypasses(origin.authority) else proxy


def _read_environment() -> dict[str, Proxy]:
    found = {scheme: url for scheme, url in getproxies().items() if scheme in _SCHEMES and url}
    return {
        scheme: Proxy(url if "://" in url else f"http://{url}") for scheme, url in found.items()
    }


_SCHEMES = ("http", "https", "all")


def as_choice(given: str | URL | ProxyChoice | None) -> ProxyChoice | None:
    """Return how proxies are chosen, for what a client was given; raises as `Proxy`."""
    return Proxy(given) if isinstance(given, str | URL) else given


def choose_proxy(choice: ProxyChoice | None, origin: Origin) -> Proxy | None:
    """Return the proxy that a request for an origin goes through, None for none."""
    if choice is None or isinstance(choice, Proxy):
        return choice
    return choice(origin)
