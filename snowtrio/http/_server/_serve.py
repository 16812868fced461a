"""The verbs, and the server that runs."""

from __future__ import annotations

import ssl

import attrs
import trio

from ..._server import Server, ServerStatistics
from ..._supervisor import DrainReport, DrainTimeouts, open_plain_nursery
from ..._transport import Address, open_tcp_listeners
from .._wire import RequestEvent, ResponseEvent
from ._limits import HTTPLimits
from ._protocol import HTTPProtocol
from ._session import Handler


@attrs.frozen(kw_only=True)
class HTTPStatistics:
    """An HTTP server's counts at one moment (row B7).

    Parameters:
        server: of its connections.
    """

    server: ServerStatistics


class HTTPServer:
    """A server that runs: `serve_http` reports it to ``nursery.start``.

    Parameters:
        server: the core's.
        protocol: HTTP's.
    """

    def __init__(
        self, server: Server[ResponseEvent, RequestEvent, None], protocol: HTTPProtocol
    ) -> None:
        self._server = server
        self._protocol = protocol

    @property
    def addresses(self) -> list[Address | None]:
        """Where it listens, with the real ports."""
        return self._server.addresses

    @property
    def port(self) -> int:
        """The port of the first TCP address."""
        return self._server.port

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order; see `snowtrio.Server.drain`.

        Idle connections are closed; the others after the response under way, which says
        ``Connection: close``.
        """
        return await self._server.drain(timeouts)

    def statistics(self) -> HTTPStatistics:
        """Return the counts of this moment."""
        return HTTPStatistics(server=self._server.statistics())


class _Reports:
    """Reports an HTTP server where the core reports its own.

    Parameters:
        server: to report.
        task_status: whom to report it to.
    """

    def __init__(self, server: HTTPServer, task_status: trio.TaskStatus[HTTPServer]) -> None:
        self._server = server
        self._task_status = task_status

    def started(self, value: object = None) -> None:
        """Note that it serves."""
        self._task_status.started(self._server)


async def serve_http(
    handler: Handler,
    port: int,
    *,
    host: str | None = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
    limits: HTTPLimits | None = None,
    task_status: trio.TaskStatus[HTTPServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP on TCP until drained or cancelled.

    Parameters:
        handler: an ``async def handler(request)`` that returns a `Response`.
        port: 0 takes a free one.
        host: an address or name; None is all addresses. Loopback by default.
        ssl_context: speak HTTPS.
        limits: the bounds.
        task_status: for ``nursery.start``.
    """
    limits = limits if limits is not None else HTTPLimits()
    protocol = HTTPProtocol(handler, limits)
    server = Server(None, protocol, ssl_context=ssl_context, limits=limits)
    async with open_plain_nursery() as nursery:
        nursery.start_soon(protocol.watch)
        listeners = await open_tcp_listeners(port, host=host)
        await server.serve(
            listeners, task_status=_Reports(HTTPServer(server, protocol), task_status)
        )
        nursery.cancel_scope.cancel(reason="the server has ended")
