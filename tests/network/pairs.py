"""Two ends of one connection over real sockets, small kernel buffers where asked for."""

from __future__ import annotations

import socket
import ssl

import trio

from snowtrio import BufferedStream, Transport
from snowtrio._transport import as_transport

SMALL = 4096
"""A kernel buffer that a few messages fill."""


def tcp_pair(*, buffer_size: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection over loopback."""
    with socket.socket() as listener:
        if buffer_size is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket()
        if buffer_size is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_size)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    if buffer_size is not None:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_size)
    return one, other


def stream_of(sock: socket.socket) -> trio.SocketStream:
    """Return a socket as a Trio stream."""
    sock.setblocking(False)
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


def tcp_streams(*, buffer_size: int | None = None) -> tuple[trio.SocketStream, trio.SocketStream]:
    """Return both ends as Trio streams."""
    one, other = tcp_pair(buffer_size=buffer_size)
    return stream_of(one), stream_of(other)


def transports(*, buffer_size: int | None = None) -> tuple[Transport, Transport]:
    """Return both ends as transports that drive their sockets directly."""
    one, other = tcp_streams(buffer_size=buffer_size)
    return as_transport(one), as_transport(other)


def buffered(*, buffer_size: int | None = None) -> tuple[BufferedStream, BufferedStream]:
    """Return both ends as buffered streams."""
    one, other = transports(buffer_size=buffer_size)
    return BufferedStream(one), BufferedStream(other)


async def start_tls(
    client: BufferedStream,
    server: BufferedStream,
    client_context: ssl.SSLContext,
    server_context: ssl.SSLContext,
) -> None:
    """Shake hands on both ends."""
    async with trio.open_nursery() as nursery:

        async def shake() -> None:
            await client.start_tls(client_context, server_side=False, server_hostname="localhost")

        nursery.start_soon(shake)
        await server.start_tls(server_context, server_side=True)


async def clog(*transports: Transport) -> int:
    """Send until nothing more is taken from any of them; return how many bytes went.

    Bytes move on to the peer's buffer some time after they were taken and make room again, and what
    the peer sends can make more: nothing but several refusals in a row means full.
    """
    sent = refused = 0
    while refused < 5:
        taken = sum(transport.send_nowait(bytes(1024)) for transport in transports)
        sent += taken
        if taken:
            refused = 0
        else:
            refused += 1
            await trio.sleep(0.005)
    return sent
