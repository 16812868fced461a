"""To anyio and back.

`ConnectionStream` is a connection as anyio sees one. The other way round, `from_anyio_stream` and
`from_anyio_listener` give anyio's byte streams and listeners to everything here that takes Trio's:
servers through ``serve_listeners``, clients through a ``StreamEndpoint``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Generic

import anyio
import anyio.abc
import trio
from typing_extensions import TypeVar

from ._connection import Connection
from ._errors import LocalProtocolError

__all__ = ["ConnectionStream", "from_anyio_listener", "from_anyio_stream"]

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
StreamT = TypeVar("StreamT", bound=anyio.abc.ByteStream, default=anyio.abc.ByteStream)


class _AsAnyio:
    """Says in anyio's errors what Trio's errors said."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, trio.EndOfChannel):
            raise anyio.EndOfStream from error
        if isinstance(error, trio.BrokenResourceError):
            raise anyio.BrokenResourceError from error
        if isinstance(error, trio.ClosedResourceError):
            raise anyio.ClosedResourceError from error
        if isinstance(error, trio.BusyResourceError):
            raise anyio.BusyResourceError("using") from error


class _AsTrio:
    """Says in Trio's errors what anyio's errors said."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, anyio.BrokenResourceError):
            raise trio.BrokenResourceError(*error.args) from error
        if isinstance(error, anyio.ClosedResourceError):
            raise trio.ClosedResourceError(*error.args) from error
        if isinstance(error, anyio.BusyResourceError):
            raise trio.BusyResourceError(*error.args) from error


class ConnectionStream(anyio.abc.ObjectStream[Any], Generic[SendT, ReceiveT]):
    """A connection as an ``anyio.abc.ObjectStream``; the cause of each error is the original one.

    As anyio's contract is, every call is a checkpoint, and EOF ends ``receive`` with
    ``anyio.EndOfStream``.

    Parameters:
        connection: owned: closing the stream closes it.
    """

    def __init__(self, connection: Connection[SendT, ReceiveT, Any]) -> None:
        self._connection = connection

    async def send(self, item: SendT) -> None:
        """Have the connection accept a message; see `Connection.send`."""
        await anyio.lowlevel.checkpoint()
        with _AsAnyio():
            await self._connection.send(item)

    async def receive(self) -> ReceiveT:
        """Return the next message; see `Connection.receive`."""
        await anyio.lowlevel.checkpoint()
        with _AsAnyio():
            return await self._connection.receive()

    async def send_eof(self) -> None:
        """End our direction.

        Raises:
            NotImplementedError: the transport cannot, as TLS cannot.
        """
        try:
            with _AsAnyio():
                await self._connection.send_eof()
        except LocalProtocolError as error:
            raise NotImplementedError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connection in order."""
        await self._connection.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Addresses, where they are known, under anyio's typed attributes."""
        attributes: dict[Any, Callable[[], Any]] = {}
        if (local := self._connection.local_address) is not None:
            attributes[anyio.abc.SocketAttribute.local_address] = lambda: local
        if (remote := self._connection.peer_address) is not None:
            attributes[anyio.abc.SocketAttribute.remote_address] = lambda: remote
        return attributes


class _TrioStream(trio.abc.HalfCloseableStream):
    """An anyio byte stream as a Trio stream."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        with _AsTrio():
            try:
                return await self._stream.receive(max_bytes or 65536)
            except anyio.EndOfStream:
                return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with _AsTrio():
            await self._stream.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        with _AsTrio(), contextlib.suppress(NotImplementedError):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class _TrioListener(trio.abc.Listener[trio.abc.Stream], Generic[StreamT]):
    """An anyio listener as a Trio listener.

    anyio's listener runs a task for each connection and wants to be the one who serves it; here that
    task hands the stream over and waits until it is closed.
    """

    def __init__(self, listener: anyio.abc.Listener[StreamT]) -> None:
        self._listener = listener
        self._offer, self._offered = trio.open_memory_channel[trio.abc.Stream](0)

    async def run(self) -> None:
        async def hand_over(stream: StreamT) -> None:
            closed = trio.Event()
            await self._offer.send(_HandedOver(stream, closed))
            await closed.wait()

        await self._listener.serve(hand_over)

    async def accept(self) -> trio.abc.Stream:
        try:
            return await self._offered.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        self._offered.close()
        await self._listener.aclose()


class _HandedOver(_TrioStream):
    def __init__(self, stream: anyio.abc.ByteStream, closed: trio.Event) -> None:
        super().__init__(stream)
        self._closed = closed

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            self._closed.set()


def from_anyio_stream(stream: anyio.abc.ByteStream) -> trio.abc.HalfCloseableStream:
    """Return a Trio stream over an anyio byte stream, which it owns."""
    return _TrioStream(stream)


async def from_anyio_listener(
    listener: anyio.abc.Listener[StreamT],
    *,
    task_status: trio.TaskStatus[trio.abc.Listener[trio.abc.Stream]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run an anyio listener as a Trio listener: ``await nursery.start(from_anyio_listener, it)``.

    Parameters:
        listener: owned from now on.
        task_status: gets the Trio listener, for ``serve_listeners``.
    """
    adapted = _TrioListener(listener)
    task_status.started(adapted)
    with contextlib.suppress(anyio.ClosedResourceError, trio.BrokenResourceError):
        await adapted.run()
