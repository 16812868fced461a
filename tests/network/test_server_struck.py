"""Cancelled at every step in turn, a server on real sockets leaves no descriptor and no task."""

from __future__ import annotations

import contextlib
import ssl
from functools import partial

import pytest
import trio

from snowtrio import (
    BufferedStream,
    Connection,
    DrainTimeouts,
    LineCodec,
    Protocol,
    Server,
    ServerLimits,
    Side,
    serve_tcp,
)

from ..conftest import open_descriptors
from ..serving import LIMIT, Steps, ask
from .tcp import connect, living_tasks

pytestmark = pytest.mark.usefixtures("readiness")


class Named(Protocol[bytes, bytes, bytes]):
    """The peer begins with a line that is its name, and is answered."""

    codec = LineCodec()

    async def handshake(self, side: Side, stream: BufferedStream) -> bytes:
        name = await stream.receive_line()
        await stream.send_all(b"welcome\n")
        return name

    async def handle(self, connection: Connection[bytes, bytes, bytes]) -> None:
        async for line in connection:
            await connection.send(line)


async def serve_and_talk(server_context: ssl.SSLContext | None, client: ssl.SSLContext) -> None:
    """Serve one that talks, one that says nothing and one that is refused; then drain."""
    limits = ServerLimits(
        max_connections=2, max_handshakes=2, linger_timeout=0.02, drain_timeout=0.02
    )
    serve = partial(serve_tcp, None, Named(), 0, host=None, limits=limits)
    with contextlib.ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            server: Server[bytes, bytes, bytes] = await nursery.start(
                partial(serve, ssl_context=server_context, when_full=b"full\n")
            )
            silent, talking, refused = [await open_peer(server, stack) for _ in range(3)]
            stream: trio.abc.Stream = talking
            if server_context is not None:
                stream = trio.SSLStream(talking, client, server_hostname="localhost")
            assert await ask(stream, b"name") in (b"welcome", b"full")
            await refused.send_eof()
            await silent.send_all(b"n")
            await server.drain(DrainTimeouts(goodbye=0, wait=0))


async def open_peer(
    server: Server[bytes, bytes, bytes], stack: contextlib.ExitStack
) -> trio.SocketStream:
    stream = await connect(server)
    stack.callback(stream.socket.close)
    return stream


@pytest.mark.parametrize("secure", [False, True])
async def test_cancelled_at_every_step_in_turn(
    secure: bool, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B6, S23: two listeners, TLS and a handshake, a refusal and a drain."""
    context = server_ssl_context if secure else None
    tasks = living_tasks()
    descriptors = open_descriptors()
    struck, number = True, 0
    while struck:
        number += 1
        with trio.fail_after(LIMIT), trio.CancelScope() as scope:
            steps = Steps(number, scope.cancel)
            trio.lowlevel.add_instrument(steps)
            try:
                with contextlib.suppress(trio.BrokenResourceError):
                    await serve_and_talk(context, client_ssl_context)
            finally:
                trio.lowlevel.remove_instrument(steps)
        struck = scope.cancelled_caught or steps.taken >= number
        assert open_descriptors().keys() == descriptors.keys()
        assert living_tasks() == tasks
    assert number > 30
