"""Both ends of a WebSocket, and a handler's peer, in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Unpack

import trio

from ..._supervisor import open_plain_nursery
from ..._transport import StreamEndpoint
from ...http import HeadersToSend, HTTPLimits
from ...websocket import (
    Deflate,
    ServeOptions,
    WebSocket,
    WebSocketHandler,
    WebSocketLimits,
    WebSocketServer,
    open_websocket,
    serve_websocket_listeners,
)
from .._memory import MemoryListener
from ._host import Host, serve_host


@asynccontextmanager
async def open_websocket_pair(
    *,
    path: str = "/",
    headers: HeadersToSend = (),
    subprotocols: Sequence[str] = (),
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    server_limits: WebSocketLimits | None = None,
    http_limits: HTTPLimits | None = None,
    lockstep: bool = False,
    streams: tuple[trio.abc.Stream, trio.abc.Stream] | None = None,
) -> AsyncGenerator[tuple[WebSocket, WebSocket], None]:
    """Open both ends of a WebSocket in memory.

    ::

        async with open_websocket_pair() as (client, server):
            await client.send("hello")
            await expect_message(server, "hello")

    Both close with 1000 when the block is left, and with 1011 when it raises. What neither has
    received by then is thrown away.

    Parameters:
        path: of the request, with its query.
        headers: further fields of the request.
        subprotocols: that the client offers and the server speaks.
        compression: of both ends, if it is to be.
        limits: of the client's end.
        server_limits: of the server's end, if not the same.
        http_limits: of the server's connection.
        lockstep: streams on which a send waits until the other end has received, as a socket with
            no buffers would; otherwise they buffer without bound.
        streams: the client's and the server's end of the stream to speak over, a `FaultyStream`
            for instance; owned. By default a new pair.

    Yields the client's WebSocket and the server's.

    Raises:
        FetchError: the handshake failed.
    """
    listener = MemoryListener(lockstep=lockstep) if streams is None else _Given(*streams)
    host = Host()
    async with (
        serve_host(
            host,
            listener,
            subprotocols=subprotocols,
            compression=compression,
            limits=server_limits if server_limits is not None else limits,
            http_limits=http_limits,
        ),
        open_websocket(
            f"ws://memory{path}",
            endpoint=StreamEndpoint(listener.connect),
            headers=headers,
            subprotocols=subprotocols,
            compression=compression,
            limits=limits,
        ) as client,
    ):
        yield client, await host.wait_opened()
        host.left.set()


class MemoryWebSockets:
    """A server in memory: `serve_websocket_in_memory` makes it.

    Parameters:
        server: that runs.
        listener: where it listens.
    """

    def __init__(self, server: WebSocketServer, listener: MemoryListener) -> None:
        self.server = server
        """To be drained, for instance, or asked for its statistics."""
        self._listener = listener

    @property
    def endpoint(self) -> StreamEndpoint:
        """Where a client that is to be tested connects, whatever its URL says.

        `open_websocket`, `open_reconnecting` and `snowtrio.http.HTTPClient` take it.
        """
        return StreamEndpoint(self._listener.connect)

    async def connect(self) -> trio.abc.Stream:
        """Return a stream to the server on which nothing has been said, the caller's to close."""
        return await self._listener.connect()

    def open(
        self,
        path: str = "/",
        *,
        headers: HeadersToSend = (),
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        compression: Deflate | None = None,
        limits: WebSocketLimits | None = None,
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket to the server; the parameters and errors are `open_websocket`'s.

        Parameters:
            path: of the request, with its query.
            headers: further fields of the request.
            subprotocols: that are offered.
            origin: of the page that asks, for what a browser would send.
            compression: that is offered.
            limits: of this end.
        """
        return open_websocket(
            f"ws://memory{path}",
            endpoint=self.endpoint,
            headers=headers,
            subprotocols=subprotocols,
            origin=origin,
            compression=compression,
            limits=limits,
        )


@asynccontextmanager
async def serve_websocket_in_memory(
    handler: WebSocketHandler, *, lockstep: bool = False, **options: Unpack[ServeOptions]
) -> AsyncGenerator[MemoryWebSockets, None]:
    """Serve a handler in memory, to test it from its clients' side.

    ::

        async with serve_websocket_in_memory(handler) as memory, memory.open("/chat") as websocket:
            await websocket.send("hello")
            await expect_message(websocket, "hello")

    When the block is left the handlers that still run are cancelled. An error of a handler cancels
    the block and is raised from here, unless ``propagate_errors`` is given as False.

    Parameters:
        handler: of any kind; see `WebSocketServer`.
        lockstep: see `MemoryListener`.
        options: of `WebSocketServer`.
    """
    listener = MemoryListener(lockstep=lockstep)
    options.setdefault("propagate_errors", True)
    async with open_plain_nursery() as nursery:
        server: WebSocketServer = await nursery.start(
            partial(serve_websocket_listeners, handler, [listener], **options)
        )
        yield MemoryWebSockets(server, listener)
        nursery.cancel_scope.cancel(reason="the test has done with it")


class _Given(trio.abc.Listener[trio.abc.Stream]):
    """Connects once, with streams that are there.

    Parameters:
        ours: the client's end.
        theirs: the server's end.
    """

    def __init__(self, ours: trio.abc.Stream, theirs: trio.abc.Stream) -> None:
        self._ours = ours
        self._theirs = [theirs]

    async def connect(self) -> trio.abc.Stream:
        """Return the client's end."""
        await trio.lowlevel.checkpoint()
        return self._ours

    async def accept(self) -> trio.abc.Stream:
        """Return the server's end, and then wait for ever."""
        await trio.lowlevel.checkpoint()
        if not self._theirs:
            await trio.sleep_forever()
        return self._theirs.pop()

    async def aclose(self) -> None:
        """Nothing is left that is ours."""
        await trio.lowlevel.checkpoint()
