"""Connections and listeners in memory: a whole protocol's test without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from typing_extensions import TypeVar

from .._client import open_connection
from .._codec import Codec
from .._connection import Connection
from .._protocol import Protocol, as_protocol
from .._server import ServerLimits, serve_listeners
from .._side import Side
from .._transport import BufferedStream, StreamEndpoint

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener that is connected to by calling `connect`; no socket, no port.

    ``serve_listeners(handler, codec, [listener])`` serves it, and
    ``StreamEndpoint(listener.connect)`` is where a client connects to.

    Parameters:
        lockstep: streams on which a send waits until the other end has received, as a socket with
            no buffers would; otherwise they buffer without bound.
    """

    def __init__(self, *, lockstep: bool = False) -> None:
        self._pair = (
            trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
        )
        self._offer, self._offered = trio.open_memory_channel[trio.abc.Stream](float("inf"))

    async def connect(self) -> trio.abc.Stream:
        """Return our end of a new stream, the other end of which is accepted next.

        Raises:
            ConnectionRefusedError: the listener is closed.
        """
        ours, theirs = self._pair()
        try:
            await self._offer.send(theirs)
        except trio.BrokenResourceError:
            raise ConnectionRefusedError("the memory listener is closed") from None
        return ours

    async def accept(self) -> trio.abc.Stream:
        """Return the next stream that was connected."""
        return await self._offered.receive()

    async def aclose(self) -> None:
        """Refuse from now on."""
        self._offered.close()
        await trio.lowlevel.checkpoint()


class _Unhandled(Protocol[Any, Any, Any]):
    """Another protocol without its handler: the test is who handles the connection."""

    def __init__(self, inner: Protocol[Any, Any, Any]) -> None:
        super().__init__(inner.codec)
        self.eof_is_departure = inner.eof_is_departure
        self._inner = inner

    async def handshake(self, side: Side, stream: BufferedStream) -> Any:
        return await self._inner.handshake(side, stream)

    async def goodbye(self, connection: Connection[Any, Any, Any]) -> None:
        await self._inner.goodbye(connection)

    async def close(self, connection: Connection[Any, Any, Any]) -> None:
        await self._inner.close(connection)

    def purge(self, connection: Connection[Any, Any, Any], messages: Sequence[Any]) -> None:
        self._inner.purge(connection, messages)


@asynccontextmanager
async def open_memory_pair(
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    *,
    server_protocol: Protocol[Any, Any, Any] | Codec[Any, Any] | None = None,
    limits: ServerLimits | None = None,
    lockstep: bool = False,
) -> AsyncIterator[
    tuple[Connection[SendT, ReceiveT, ContextT], Connection[ReceiveT, SendT, ContextT]]
]:
    """Open a client's and a server's connection that speak with each other in memory.

    Handshakes run, and all hooks but ``handle``: the block is what handles both ends. Both close when the block is left.

    Parameters:
        protocol: what the client speaks.
        server_protocol: what the server speaks, if not the same object.
        limits: of the server's end.
        lockstep: see `MemoryListener`.

    Yields the client's connection and the server's.
    """
    listener = MemoryListener(lockstep=lockstep)
    accepted, taken = trio.open_memory_channel[Any](0)
    left = trio.Event()

    async def hold(connection: Connection[Any, Any, Any]) -> None:
        await accepted.send(connection)
        await left.wait()

    async with trio.open_nursery() as nursery:
        spoken = _Unhandled(as_protocol(server_protocol or protocol))

        async def serve(task_status: trio.TaskStatus[Any]) -> None:
            await serve_listeners(hold, spoken, [listener], limits=limits, task_status=task_status)

        server = await nursery.start(serve)
        async with open_connection(protocol, StreamEndpoint(listener.connect)) as connection:
            try:
                yield connection, await taken.receive()
            finally:
                left.set()
        await server.drain()
