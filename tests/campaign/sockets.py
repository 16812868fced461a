"""Plain sockets for those who take part, well-behaved or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator

import trio

HOST = "127.0.0.1"
RECEIVE_SIZE = 64 * 1024

# What a peer may see of a server that cuts it.
GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


@contextlib.asynccontextmanager
async def connected(
    port: int, *, receive_buffer: int | None = None
) -> AsyncIterator[trio.SocketStream]:
    """Connect for the time of a block.

    Parameters:
        port: on this host.
        receive_buffer: bytes that the kernel keeps for us; its own choice if not given.
    """
    with trio.socket.socket() as sock:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await sock.connect((HOST, port))
        yield trio.SocketStream(sock)


async def begin_tls(stream: trio.SocketStream, context: ssl.SSLContext) -> trio.abc.Stream:
    """Return a TLS stream over `stream`, its handshake done."""
    secured = trio.SSLStream(stream, context, server_hostname=HOST)
    await secured.do_handshake()
    return secured


def reset_on_close(stream: trio.SocketStream) -> None:
    """Have the closing of a connection reset it."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    """Return all that comes up to the end of input."""
    received = bytearray()
    while data := await stream.receive_some(RECEIVE_SIZE):
        received += data
    return bytes(received)


async def read_exactly(stream: trio.abc.Stream, size: int) -> bytes:
    """Return that many bytes, fewer only where the input ends before."""
    received = bytearray()
    while len(received) < size:
        data = await stream.receive_some(min(size - len(received), RECEIVE_SIZE))
        if not data:
            break
        received += data
    return bytes(received)
