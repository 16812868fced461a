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
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSStream
from typing_extensions import TypeVar

from ._connection import Connection
from ._errors import LocalProtocolError
from ._transport import close_at_once

__all__ = ["ConnectionStream", "from_anyio_listener", "from_anyio_stream"]

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)


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
        # TLS streams let errors of the ssl module through, which are OSErrors.
        if isinstance(error, anyio.BrokenResourceError | OSError):
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


class _TrioStream(trio.abc.Stream):
    """An anyio byte stream as a Trio stream."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        attribute = anyio.abc.SocketAttribute
        self.local_address = stream.extra(attribute.local_address, None)  # noqa: S610 - not Django's
        self.peer_address = stream.extra(attribute.remote_address, None)  # noqa: S610

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

    async def aclose(self) -> None:
        # TLS says goodbye here; a peer that has gone does not hear it, and the stream is closed.
        with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream, OSError):
            await self._stream.aclose()


class _HalfCloseable(_TrioStream, trio.abc.HalfCloseableStream):
    """One that can end its own direction."""

    async def send_eof(self) -> None:
        with _AsTrio():
            await self._stream.send_eof()


class _TrioListener(trio.abc.Listener[trio.abc.Stream]):
    """An anyio listener as a Trio listener."""

    def __init__(self, listener: anyio.abc.Listener[Any]) -> None:
        self._listener = listener
        address = anyio.abc.SocketAttribute.local_address
        self.address = listener.extra(address, None)  # noqa: S610
        self._offer, self._offered = trio.open_memory_channel[trio.abc.Stream | OSError](0)

    async def run(self) -> None:
        async with self._offer, trio.open_nursery() as nursery:
            for listener in _single_listeners(self._listener):
                if isinstance(listener, anyio.abc.SocketListener):
                    nursery.start_soon(self._accept_from, listener)
                else:
                    nursery.start_soon(self._serve, listener)

    async def _accept_from(self, listener: anyio.abc.SocketListener) -> None:
        """Accept one at a time: what nobody takes over yet stays in the backlog."""
        with contextlib.suppress(anyio.ClosedResourceError):
            while True:
                try:
                    stream = await listener.accept()
                except anyio.BrokenResourceError as error:
                    if not isinstance(error.__cause__, OSError):
                        raise
                    # Whoever accepts knows which of these pass, and how long to wait for that.
                    with contextlib.suppress(trio.BrokenResourceError):
                        await self._offer.send(error.__cause__)
                else:
                    await self._hand_over(stream)

    async def _serve(self, listener: anyio.abc.Listener[Any]) -> None:
        """Serve one that cannot be asked: it accepts as it likes, with a task for each."""
        async with anyio.create_task_group() as handing_over:
            try:
                await listener.serve(self._hand_over, handing_over)
            except* anyio.ClosedResourceError:
                pass

    async def _hand_over(self, stream: anyio.abc.ByteStream) -> None:
        adapted = from_anyio_stream(stream)
        try:
            await self._offer.send(adapted)
        except trio.BrokenResourceError:  # Nobody accepts any more.
            await close_at_once(adapted)
        except trio.Cancelled:
            await close_at_once(adapted)
            raise

    async def accept(self) -> trio.abc.Stream:
        try:
            accepted = await self._offered.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None
        if isinstance(accepted, OSError):
            raise accepted
        return accepted

    async def aclose(self) -> None:
        self._offered.close()
        # A listener of several sockets has a checkpoint after each: cancelled, it would leave some
        # open. None of them waits for anybody.
        with trio.CancelScope(shield=True):
            await self._listener.aclose()


def _single_listeners(listener: anyio.abc.Listener[Any]) -> list[anyio.abc.Listener[Any]]:
    if isinstance(listener, MultiListener):
        return [single for each in listener.listeners for single in _single_listeners(each)]
    return [listener]


def from_anyio_stream(stream: anyio.abc.ByteStream) -> trio.abc.Stream:
    """Return a Trio stream over an anyio byte stream, which it owns.

    It is a ``trio.abc.HalfCloseableStream`` unless `stream` is TLS, where one direction cannot be
    ended alone.
    """
    if isinstance(stream, TLSStream):
        return _TrioStream(stream)
    return _HalfCloseable(stream)


async def from_anyio_listener(
    listener: anyio.abc.Listener[Any],
    *,
    task_status: trio.TaskStatus[trio.abc.Listener[trio.abc.Stream]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run an anyio listener as a Trio listener: ``await nursery.start(from_anyio_listener, it)``.

    Sockets are accepted from as the server has places for them. Any other listener, TLS among them,
    accepts whatever comes: give the server an ``ssl_context`` rather than it a TLS listener.

    Parameters:
        listener: owned from now on.
        task_status: gets the Trio listener, for ``serve_listeners``.
    """
    adapted = _TrioListener(listener)
    try:
        task_status.started(adapted)
        await adapted.run()
    finally:
        await adapted.aclose()
