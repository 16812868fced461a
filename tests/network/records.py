"""A TLS peer that decides how its records travel: the bytes on the wire are in its own hands."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import trio

from .tcp import connect, serving_tcp, until


class RecordPeer:
    """One end of TLS over a stream; nothing is sent or received that it was not told to.

    Parameters:
        stream: carries the records.
        context: certificates and rules.
        server_hostname: what the other end is called, where that is the server.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        context: ssl.SSLContext,
        server_hostname: str | None = None,
    ) -> None:
        self.stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        server_side = server_hostname is None
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)

    async def shake_hands(self) -> None:
        await self.agree()
        await self.flush()

    async def agree(self) -> None:
        """Shake hands, but for the last message of ours: that goes with what is sent first."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self._fill()
            else:
                return

    async def _fill(self) -> None:
        data = await self.stream.receive_some()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def flush(self) -> None:
        """Send what TLS has to say by itself."""
        await self.stream.send_all(self._outgoing.read())

    def records(self, *parts: bytes) -> bytes:
        """Return each part as a record of its own, all in one."""
        for part in parts:
            self.tls.write(part)
        return self._outgoing.read()

    def alert(self) -> bytes:
        """Return the closing alert."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    async def receive_exactly(self, size: int) -> bytes:
        """Return so much plaintext, or less at its end."""
        received = b""
        while len(received) < size:
            try:
                data = self.tls.read(size - len(received))
            except ssl.SSLWantReadError:
                await self._fill()
            else:
                if not data:
                    break
                received += data
        return received

    async def receive_rest(self) -> tuple[bytes, bool]:
        """Return all plaintext up to the end of the stream, and whether an alert told the end."""
        received = b""
        while True:
            try:
                data = self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self._fill()
            except ssl.SSLEOFError:
                return received, False
            else:
                if not data:
                    return received, True
                received += data


@asynccontextmanager
async def crowd(wanted: bool) -> AsyncGenerator[None]:
    """Have so many idle connections that watching all sockets in one place pays, if wanted."""
    if not wanted:
        yield
        return
    async with serving_tcp() as server, AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(await connect(server))
        await until(lambda: len(server.connections) == 5)
        yield
