"""anyio on Trio: its buffered byte stream, which reads up to a delimiter."""

from __future__ import annotations

import ssl

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from peers.ready import ready

LONGEST = 65536


async def echo_lines(stream: SocketStream) -> None:
    async with stream:
        buffered = BufferedByteReceiveStream(stream)
        try:
            while True:
                line = await buffered.receive_until(b"\n", LONGEST)
                await stream.send(line + b"\n")
        except (anyio.IncompleteRead, anyio.EndOfStream):
            return


async def serve() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    ready(listener.extra(SocketAttribute.local_port))
    await listener.serve(echo_lines)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve lines until killed."""
    anyio.run(serve, backend="trio")
