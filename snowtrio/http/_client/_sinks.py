"""Where the body of a response goes as it comes (row Z12).

What a sink has to do is said at `Sink`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from typing import Protocol, TypeAlias, cast

import trio

from .._errors import ResponseTooLargeError, SinkOverflowError

Buffer: TypeAlias = bytearray | memoryview


class Sink(Protocol):
    """What takes a body: any object with this method.

    A file opened for writing bytes, a file of `trio.open_file`, an `io.BytesIO`, or one of your
    own. Nobody but its owner closes it. A body that came only in part has left its first pieces.
    """

    def write(self, piece: bytes, /) -> object:
        """Take a piece; a plain function or a coroutine function.

        Called with each piece once and in order, the next one after it has returned; while it waits
        the server is not read. What it raises ends the request, and reaches whoever made it.

        Parameters:
            piece: some 64 KiB at most, as a rule.

        Returns None, or how many bytes it took: where those are fewer than it was given, as of an
        unbuffered file, it is given the rest.
        """
        ...


class BufferSink:
    """Fills a buffer of yours, and writes nothing beyond its end.

    Parameters:
        buffer: a ``bytearray``, ``array``, ``mmap``, or any other that can be written to. While the
            sink lives a ``bytearray`` cannot be resized.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._view = memoryview(buffer).cast("B")
        if self._view.readonly:
            raise TypeError("the buffer is read-only")
        self.size = 0
        """Bytes of the buffer that are filled."""

    @property
    def filled(self) -> memoryview:
        """What has come: a view of the buffer's beginning."""
        return self._view[: self.size]

    def write(self, piece: bytes) -> None:
        """Write a piece behind what is there.

        Raises:
            SinkOverflowError: it does not fit. The buffer has been filled to its end.
        """
        start, limit = self.size, len(self._view)
        fits = piece[: limit - start]
        self.size = start + len(fits)
        self._view[start : self.size] = fits
        if len(fits) < len(piece):
            raise SinkOverflowError(start + len(piece), limit)


class MemorySink:
    """Gathers a body in memory, within a bound of its own.

    Parameters:
        max_size: in bytes; None is no bound.
    """

    def __init__(self, max_size: int | None) -> None:
        self.body = bytearray()
        """What has come."""
        self._max_size = max_size

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return len(self.body)

    def write(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            ResponseTooLargeError: with it the body is above `max_size`; it was not added.
        """
        size = len(self.body) + len(piece)
        if self._max_size is not None and size > self._max_size:
            raise ResponseTooLargeError(size, self._max_size)
        self.body += piece


class DiscardSink:
    """Throws a body away, and counts it."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes that have come."""

    def write(self, piece: bytes) -> None:
        """Count a piece."""
        self.size += len(piece)


class StreamSink:
    """Sends a body on into a stream, no faster than that takes it.

    Parameters:
        stream: anything with ``send_all``. Neither its output is ended nor is it closed.
    """

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self.size = 0
        """Bytes that have been sent on."""

    async def write(self, piece: bytes) -> None:
        """Send a piece on. Cancelled, it leaves an unknown part of it sent."""
        await self._stream.send_all(piece)
        self.size += len(piece)


def as_sink(given: Sink | trio.abc.SendStream) -> Sink:
    """Return a sink for what may be a stream.

    Raises:
        TypeError: it is neither.
    """
    if callable(getattr(given, "write", None)):
        return cast("Sink", given)
    if callable(getattr(given, "send_all", None)):
        return StreamSink(cast("trio.abc.SendStream", given))
    raise TypeError(f"a sink has a write method, or is a stream to send to, unlike {given!r}")


async def pour(piece: bytes, sink: Sink) -> None:
    """Give a sink a piece, all of it. A checkpoint only where the sink waits.

    Raises:
        OSError: the sink takes nothing of it, and says so.
    """
    while True:
        taken = sink.write(piece)
        if isawaitable(taken):
            taken = await cast("Awaitable[object]", taken)
        if taken is None or taken == len(piece) or not isinstance(taken, int):
            return
        if not 0 < taken < len(piece):
            raise OSError(f"the sink says that it took {taken} of {len(piece)} bytes")
        piece = piece[taken:]
