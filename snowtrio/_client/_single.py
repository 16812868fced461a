"""One connection, as an async context manager."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count

import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._connection import Connection
from .._protocol import Protocol, as_protocol
from .._side import Side
from .._supervisor import Supervisor, open_plain_nursery
from .._transport import Endpoint, SocketOptions, TCPEndpoint, UnixEndpoint
from ._client import logger
from ._limits import ClientLimits
from ._opening import Opener, Opening

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


@asynccontextmanager
async def open_connection(
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    endpoint: Endpoint,
    *,
    limits: ClientLimits | None = None,
) -> AsyncGenerator[Connection[SendT, ReceiveT, ContextT], None]:
    """Open one connection, and close it in order when the block is left.

    One attempt, without a pool. A block that raises or is cancelled closes at once; what it raises
    comes out as it is.

    Parameters:
        protocol: a `Protocol` or a bare codec; its ``handle`` is not used.
        endpoint: where to.
        limits: of the connection, and for ``connect_timeout`` and ``handshake_timeout``.

    Raises:
        ConnectError: with the decisive cause's errno and all causes.
        HandshakeError: TLS or the handshake failed.
    """
    limits = limits if limits is not None else ClientLimits()
    supervisor = Supervisor[SendT, ReceiveT, ContextT](
        as_protocol(protocol), Side.CLIENT, limits, logger=logger
    )
    # Its place is the only one: nobody else asks this supervisor for any.
    opening = Opening(supervisor.places.reserve(), attempts=1, order=count())
    member = await Opener(supervisor, [endpoint], limits).open(opening)
    async with open_plain_nursery() as nursery:
        left = trio.Event()
        nursery.start_soon(supervisor.attend, member, left.wait)
        yield member.connection
        left.set()


def open_tcp_connection(
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    host: str,
    port: int,
    *,
    ssl_context: ssl.SSLContext | None = None,
    options: SocketOptions | None = None,
    limits: ClientLimits | None = None,
) -> AbstractAsyncContextManager[Connection[SendT, ReceiveT, ContextT]]:
    """Open one connection over TCP; see `open_connection`.

    Parameters:
        protocol: a `Protocol` or a bare codec.
        host: a name or address.
        port: its TCP port.
        ssl_context: speak TLS; the certificate must be for `host`.
        options: of the socket, set before it connects.
        limits: the bounds.
    """
    endpoint = TCPEndpoint(host, port, ssl_context=ssl_context, options=options)
    return open_connection(protocol, endpoint, limits=limits)


def open_unix_connection(
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    path: str | os.PathLike[str],
    *,
    ssl_context: ssl.SSLContext | None = None,
    tls_hostname: str | None = None,
    options: SocketOptions | None = None,
    limits: ClientLimits | None = None,
) -> AbstractAsyncContextManager[Connection[SendT, ReceiveT, ContextT]]:
    """Open one connection to a Unix socket; see `open_connection`.

    Parameters:
        protocol: a `Protocol` or a bare codec.
        path: where the server listens.
        ssl_context: speak TLS.
        tls_hostname: the name that the certificate must have.
        options: of the socket, set before it connects.
        limits: the bounds.
    """
    endpoint = UnixEndpoint(
        path, ssl_context=ssl_context, tls_hostname=tls_hostname, options=options
    )
    return open_connection(protocol, endpoint, limits=limits)
