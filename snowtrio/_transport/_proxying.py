"""Connecting on behalf of somebody else."""

from __future__ import annotations

import ssl

import attrs
import trio

from .._proxy_protocol import ProxyHeader, encode_proxy_header
from ._base import Transport
from ._closing import close_at_once
from ._connect import Endpoint
from ._connect_errors import as_connect_error


def _ssl_context_of(made: ProxyingEndpoint) -> ssl.SSLContext | None:
    return made.endpoint.ssl_context


def _header_of(made: ProxyingEndpoint) -> bytes:
    return encode_proxy_header(made.header)


@attrs.frozen
class ProxyingEndpoint(Endpoint):
    """Another endpoint, each connection to which begins with a header of the PROXY protocol.

    The header leaves before TLS and the handshake. What connects there for several clients needs an
    endpoint, and a pool, for each of them: ``ProxyingEndpoint(service, ProxyHeader(
    source=connection.peer_address, destination=connection.local_address))``.

    Parameters:
        endpoint: where to connect to; its TLS is used.
        header: what to say of the client, or of oneself (``ProxyHeader(local=True)``).

    Raises:
        LocalProtocolError: the header cannot be sent.
    """

    endpoint: Endpoint
    header: ProxyHeader
    ssl_context: ssl.SSLContext | None = attrs.field(
        init=False, repr=False, default=attrs.Factory(_ssl_context_of, takes_self=True)
    )
    _data: bytes = attrs.field(
        init=False, repr=False, default=attrs.Factory(_header_of, takes_self=True)
    )

    def __str__(self) -> str:
        return str(self.endpoint)

    @property
    def server_hostname(self) -> str | None:
        """The name that a TLS certificate must have."""
        return self.endpoint.server_hostname

    async def connect(self) -> Transport:
        """Connect, and send the header."""
        transport = await self.endpoint.connect()
        try:
            view = memoryview(self._data)
            while view:
                view = view[await transport.send_some(view) :]
        except trio.BrokenResourceError as error:
            await close_at_once(transport)
            raise as_connect_error(str(self), error) from error
        except BaseException:
            await close_at_once(transport)
            raise
        return transport
