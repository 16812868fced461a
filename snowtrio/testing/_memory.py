"""Connections and listeners in memory: a whole protocol's test without a socket."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic

import trio
import trio.testing
from typing_extensions import TypeVar

from .._client import ClientLimits
from .._codec import Codec
from .._connection import Connection, MemoryBudget
from .._protocol import Protocol, as_protocol
from .._server import ServerLimits
from .._side import Side
from .._supervisor import PoolLimits, Supervisor, open_plain_nursery
from .._transport import as_transport, close_at_once

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

logger = logging.getLogger("snowtrio.testing")


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener that is connected to by calling `connect`; no socket, no port.

    ``serve_listeners(handler, codec, [listener])`` serves it, and
    ``StreamEndpoint(listener.connect)`` is where a client connects to.

    Parameters:
        lockstep: streams on which a send waits until the other end has received, as a socket with
            no buffers would; otherwise they buffer without bound.
    """

    def __init__(self, *, lockstep: bool = False) -> None:
        self._make_pair = _pair_maker(lockstep=lockstep)
        self._offer, self._offered = trio.open_memory_channel[trio.abc.Stream](float("inf"))

    async def connect(self) -> trio.abc.Stream:
        """Return our end of a new stream, the other end of which is accepted next.

        Raises:
            ConnectionRefusedError: the listener is closed.
        """
        ours, theirs = self._make_pair()
        try:
            await self._offer.send(theirs)
        except trio.BrokenResourceError:
            raise ConnectionRefusedError("the memory listener is closed") from None
        return ours

    async def accept(self) -> trio.abc.Stream:
        """Return the next stream that was connected."""
        return await self._offered.receive()

    async def aclose(self) -> None:
        """Refuse from now on; what was connected and not accepted is closed, as a system does."""
        waiting: list[trio.abc.Stream] = []
        try:
            while True:
                waiting.append(self._offered.receive_nowait())
        except (trio.WouldBlock, trio.ClosedResourceError):
            self._offered.close()
        try:
            await trio.lowlevel.checkpoint()
        finally:
            for stream in waiting:
                await close_at_once(stream)


def _pair_maker(*, lockstep: bool) -> Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]:
    return trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair


@asynccontextmanager
async def open_memory_pair(
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
    *,
    server_protocol: Protocol[Any, Any, Any] | Codec[Any, Any] | None = None,
    limits: PoolLimits | None = None,
    client_limits: PoolLimits | None = None,
    lockstep: bool = False,
    streams: tuple[trio.abc.Stream, trio.abc.Stream] | None = None,
) -> AsyncGenerator[
    tuple[Connection[SendT, ReceiveT, ContextT], Connection[ReceiveT, SendT, ContextT]], None
]:
    """Open a client's and a server's connection that speak with each other in memory.

    Handshakes run, and the ``close`` and ``purge`` hooks; ``handle`` does not, the test has both
    connections in its hands. Both close in order when the block is left, and at once when it
    raises.

    Parameters:
        protocol: what the client speaks.
        server_protocol: what the server speaks, if not the same object.
        limits: of the server's end.
        client_limits: of the client's end.
        lockstep: see `MemoryListener`.
        streams: the client's and the server's end of the stream to speak over, a `FaultyStream`
            for instance; owned. By default a new pair.

    Yields the client's connection and the server's.

    Raises:
        HandshakeError: one of the handshakes failed; where both did, the one whose peer had not
            just left.
    """
    ours, theirs = _pair_maker(lockstep=lockstep)() if streams is None else streams
    spoken = as_protocol(server_protocol if server_protocol is not None else protocol)
    client = _End(as_protocol(protocol), Side.CLIENT, client_limits or ClientLimits())
    server = _End[Any, Any, Any](spoken, Side.SERVER, limits or ServerLimits())
    async with open_plain_nursery() as nursery:
        try:
            async with trio.open_nursery() as opening:
                opening.start_soon(client.open, ours, nursery)
                opening.start_soon(server.open, theirs, nursery)
            yield client.opened(server), server.opened(client)
        except BaseException:
            nursery.cancel_scope.cancel(reason="the block failed")
            raise
        client.left.set()
        server.left.set()


class _End(Generic[SendT, ReceiveT, ContextT]):
    """One end of a pair."""

    def __init__(
        self, protocol: Protocol[SendT, ReceiveT, ContextT], side: Side, limits: PoolLimits
    ) -> None:
        size = limits.memory_budget if isinstance(limits, ServerLimits) else None
        self.left = trio.Event()
        self.failure: Exception | None = None
        self._connection: Connection[SendT, ReceiveT, ContextT] | None = None
        self._supervisor = Supervisor(
            protocol,
            side,
            limits,
            logger=logger,
            propagate_errors=True,
            budget=MemoryBudget(size) if size is not None else None,
        )

    async def open(self, stream: trio.abc.Stream, nursery: trio.Nursery) -> None:
        """Shake hands, and have `nursery` run the connection."""
        place = self._supervisor.places.reserve()
        try:
            member = await self._supervisor.introduce(place, as_transport(stream))
        except Exception as error:  # raised by `opened`, when the other is done too
            self.failure = error
            return
        self._connection = member.connection
        nursery.start_soon(self._supervisor.attend, member, self.left.wait)

    def opened(self, other: _End[Any, Any, Any]) -> Connection[SendT, ReceiveT, ContextT]:
        """Return the connection, or raise why there is none."""
        failures = [end.failure for end in (self, other) if end.failure is not None]
        for failure in sorted(failures, key=_is_consequence):
            raise failure
        assert self._connection is not None
        return self._connection


def _is_consequence(failure: Exception) -> bool:
    """Whether a handshake failed only because the other end left."""
    return isinstance(failure.__cause__, (trio.EndOfChannel, trio.BrokenResourceError))
