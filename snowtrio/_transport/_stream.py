"""Any Trio stream as a transport: memory pairs, and what comes from elsewhere."""

from __future__ import annotations

import trio

from .._errors import StalledError
from .._proxy_protocol import ProxyInfo
from ._base import Address, Transport
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
        self._at_risk = 0
        self.can_send_eof = isinstance(stream, trio.abc.HalfCloseableStream)

    @property
    def local_address(self) -> Address | None:
        """Our address, where it was known."""
        return self._local_address

    def stand_for_client(self, proxy: ProxyInfo) -> None:
        """Show the addresses that a proxy tells of its client."""
        super().stand_for_client(proxy)
        if proxy.header.destination is not None:
            self._local_address = proxy.header.destination

    @property
    def at_risk(self) -> int:
        """The slice that was being sent."""
        return self._at_risk

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
        self._at_risk = len(piece)
        await self._stream.send_all(piece)
        self._at_risk = 0
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


def as_transport(stream: trio.abc.Stream) -> Transport:
    """Take any stream over: a plain socket is driven directly, another through its methods."""
    if isinstance(stream, trio.SocketStream):
        return take_socket(stream)
    return StreamTransport(
        stream,
        local_address=getattr(stream, "local_address", None),
        peer_address=getattr(stream, "peer_address", None),
    )
