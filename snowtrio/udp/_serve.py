"""The verbs: serve on a port, or on endpoints."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._transport import SocketOptions
from ._endpoint import UDPEndpoint
from ._limits import UDPServerLimits
from ._open import open_udp_endpoints
from ._server import Handler, UDPServer
from ._sessions import Admit

SendT = TypeVar("SendT", default=bytes)
ReceiveT = TypeVar("ReceiveT", default=SendT)


async def serve_udp(
    handler: Handler[SendT, ReceiveT],
    port: int,
    *,
    host: str | None = "127.0.0.1",
    codec: Codec[SendT, ReceiveT] | None = None,
    admit: Admit[ReceiveT, SendT] | None = None,
    limits: UDPServerLimits | None = None,
    options: SocketOptions | None = None,
    propagate_errors: bool = False,
    task_status: trio.TaskStatus[UDPServer[SendT, ReceiveT]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on UDP until drained or cancelled.

    ``server = await nursery.start(serve_udp, handler, 0)`` returns the running `UDPServer` once its
    port is bound.

    Parameters:
        handler: see `UDPServer`, as for those not described here.
        port: 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6. Loopback by default.
        codec: makes messages of datagrams.
        admit: decides who gets a session.
        limits: the bounds.
        options: of its sockets.
        propagate_errors: let a handler's error end the server.
        task_status: for ``nursery.start``.

    Raises:
        UnsupportedOptionError: an option is not for UDP, or not on this platform.
        OSError: the port is in use or the host unknown, or, later, a socket broke; nothing is left
            open.
        TypeError: `admit` is given with a plain function, which has no sessions.
    """
    server = UDPServer(
        handler, codec=codec, admit=admit, limits=limits, propagate_errors=propagate_errors
    )
    endpoints = await open_udp_endpoints(port, host=host, limits=server.limits, options=options)
    await server.serve(endpoints, task_status=task_status)


async def serve_udp_endpoints(
    handler: Handler[SendT, ReceiveT],
    endpoints: Sequence[UDPEndpoint],
    *,
    codec: Codec[SendT, ReceiveT] | None = None,
    admit: Admit[ReceiveT, SendT] | None = None,
    limits: UDPServerLimits | None = None,
    propagate_errors: bool = False,
    task_status: trio.TaskStatus[UDPServer[SendT, ReceiveT]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on endpoints that are there already; one server over all of them.

    Parameters:
        handler: see `UDPServer`, as for those not described here.
        endpoints: bound and without a codec; from `open_udp_endpoints`, or ``UDPEndpoint(sock)``
            for a socket that was inherited. Owned and closed by the server.
        codec: makes messages of datagrams.
        admit: decides who gets a session.
        limits: the bounds of the sessions; the endpoints have their own.
        propagate_errors: let a handler's error end the server.
        task_status: for ``nursery.start``.

    Raises:
        OSError: an endpoint broke.
        TypeError: `admit` is given with a plain function, which has no sessions. The endpoints are
            open and the caller's.
    """
    server = UDPServer(
        handler, codec=codec, admit=admit, limits=limits, propagate_errors=propagate_errors
    )
    await server.serve(endpoints, task_status=task_status)
