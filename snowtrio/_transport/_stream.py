"""Any Trio stream as a transport: TLS, memory pairs, and what comes from elsewhere."""

from __future__ import annotations

import contextlib
import ssl

import trio

from .._errors import StalledError, TruncatedError
from ._base import Address, TLSStream, Transport
from ._socket import take_socket

# A foreign stream does not say how far a send came. Small slices keep "in doubt" small, and are
# what the no-progress timeout measures there.
_SLICE = 16 * 1024


class StreamTransport(Transport):
    """Owns a Trio stream.

    Parameters:
        stream: what carries the bytes.
        local_address: ours, where it is known.
        peer_address: the peer's, where it is known.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        local_address: Address | None = None,
        peer_address: Address | None = None,
    ) -> None:
        super().__init__(peer_address)
        self._stream = stream
        self._local_address = local_address
        self.can_send_eof = isinstance(stream, trio.abc.HalfCloseableStream)

    @property
    def local_address(self) -> Address | None:
        """Our address, where it was known."""
        return self._local_address

    async def receive_some(self, max_bytes: int) -> bytes:
        """Receive from the stream."""
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_some(self, data: memoryview) -> int:
        """Send a slice whole; if that fails the slice is in doubt."""
        with trio.move_on_after(self.stall_timeout) as scope:
            return await self._send_slice(data[:_SLICE])
        assert scope.cancelled_caught
        raise StalledError(f"peer took nothing for {self.stall_timeout:g} seconds")

    async def _send_slice(self, piece: memoryview) -> int:
        self.at_risk = len(piece)
        await self._stream.send_all(piece)
        self.at_risk = 0
        return len(piece)

    async def wait_send_might_not_block(self) -> None:
        """Ask the stream."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End our direction, where the stream can."""
        assert isinstance(self._stream, trio.abc.HalfCloseableStream)
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


class TLSTransport(StreamTransport):
    """A TLS stream over another transport, whose addresses and sense of progress it keeps.

    The no-progress timeout stays with the transport below, which sees each byte go: here a slice
    may take as long as it keeps moving.
    """

    def __init__(self, stream: TLSStream, below: Transport) -> None:
        super().__init__(stream, local_address=below.local_address, peer_address=below.peer_address)
        self.tls = stream
        self._below = below

    async def receive_some(self, max_bytes: int) -> bytes:
        """Receive, and tell an end without closing alert from one with it."""
        try:
            return await super().receive_some(max_bytes)
        except trio.BrokenResourceError as error:
            if isinstance(error.__cause__, ssl.SSLEOFError):
                raise TruncatedError(
                    "peer ended the TLS connection without a closing alert"
                ) from error
            raise

    async def send_some(self, data: memoryview) -> int:
        """Send a slice; the transport below watches for stalls."""
        self._below.stall_timeout = self.stall_timeout
        return await self._send_slice(data[:_SLICE])

    async def finish(self) -> None:
        """Send the closing alert, and let the transport below do the rest."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.aclose()  # Says goodbye; what is below stays open (see `_buffered`).
        await self._below.finish()

    async def aclose(self) -> None:
        """Close both, the outer one first."""
        try:
            await self._stream.aclose()
        finally:
            await self._below.aclose()


def as_transport(stream: trio.abc.Stream) -> Transport:
    """Take any stream over: a plain socket is driven directly, another through its methods."""
    if isinstance(stream, trio.SocketStream):
        return take_socket(stream)
    return StreamTransport(
        stream,
        local_address=getattr(stream, "local_address", None),
        peer_address=getattr(stream, "peer_address", None),
    )
