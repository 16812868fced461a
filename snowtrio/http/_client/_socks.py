"""Connections through a SOCKS5 proxy (RFC 1928), which python-socks asks."""

from __future__ import annotations

import math
import ssl
from typing import TYPE_CHECKING, Any

import attrs
from yarl import URL

from ..._transport import Endpoint, Transport, as_transport, merge_connect_errors
from .._errors import ProxyError
from ._urls import Origin

if TYPE_CHECKING:
    from python_socks.async_.trio.v2 import Proxy as Asking

_SCHEMES = ("socks5", "socks5h")
_DEFAULT_PORT = 1080


@attrs.frozen(kw_only=True)
class SOCKS:
    """A SOCKS5 proxy.

    Parameters:
        origin: where it is; the scheme says whether it resolves names (socks5h) or we do.
        user: who we are, empty to say nothing of that.
        password: likewise.

    Raises:
        ModuleNotFoundError: python-socks is not installed.
    """

    origin: Origin
    user: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)

    def __attrs_post_init__(self) -> None:
        self.ask()

    def ask(self) -> Asking:
        """Return what asks it."""
        try:
            from python_socks import ProxyType
            from python_socks.async_.trio.v2 import Proxy as Asking
        except ModuleNotFoundError as error:
            missing = "python-socks is not installed: pip install 'snowtrio[socks]'"
            raise ModuleNotFoundError(missing, name=error.name) from error
        return Asking(
            ProxyType.SOCKS5,
            self.origin.host,
            self.origin.port,
            username=self.user or None,
            password=self.password or None,
            rdns=self.origin.scheme == "socks5h",
        )


def split_socks(url: URL) -> tuple[str, URL] | None:
    """Return the scheme of a SOCKS5 proxy, and the rest as a URL of http; None for another one."""
    if url.scheme not in _SCHEMES:
        return None
    port = url.explicit_port
    rest = URL.build(
        scheme="http",
        host=url.raw_host or "",
        port=_DEFAULT_PORT if port is None else port,
        path=url.raw_path or "/",
        encoded=True,
    )
    return url.scheme, rest


@attrs.frozen
class SOCKSEndpoint(Endpoint):
    """A host and port behind a SOCKS5 proxy.

    Parameters:
        socks: the proxy.
        origin: whom to reach.
        ssl_context: speak TLS with it.
    """

    socks: SOCKS
    origin: Origin
    ssl_context: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.origin.authority} through {self.socks.origin}"

    @property
    def server_hostname(self) -> str | None:
        """The name that a TLS certificate must have."""
        return self.origin.host

    async def connect(self) -> Transport:
        """Ask the proxy for a connection.

        Raises:
            ConnectError: the proxy cannot be reached, or the name not be resolved here.
            ProxyError: it says no, or nothing that makes sense.
        """
        from python_socks import ProxyConnectionError

        try:
            host, port = self.origin.host, self.origin.port
            found: Any = await self.socks.ask().connect(host, port, timeout=math.inf)
        except ProxyConnectionError as error:
            cause = error.__cause__ or error
            raise merge_connect_errors(str(self.socks.origin), [cause]) from error
        except OSError as error:
            raise merge_connect_errors(str(self), [error]) from error
        except Exception as error:  # the library does not name all that a proxy can do wrong
            reason = f"{self.socks.origin} gives no way to {self.origin.authority}: {error!s}"
            raise ProxyError(reason) from error
        return as_transport(found.trio_stream)
