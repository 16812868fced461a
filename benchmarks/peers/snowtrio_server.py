"""snowtrio: one handler a kind, and a codec for each way of framing."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio
from peers.ready import ready

from snowtrio import (
    Codec,
    Connection,
    LengthPrefixCodec,
    LineCodec,
    Server,
    ServerLimits,
    WhenSlow,
    broadcast,
    serve_tcp,
)

Handler: TypeAlias = (
    Callable[[Connection[bytes]], Awaitable[None]]
    | Callable[[Connection[bytes], bytes], bytes | None]
)


async def echo(connection: Connection[bytes]) -> None:
    """The coroutine handler: one message at a time."""
    async for message in connection:
        await connection.send(message)


async def echo_batches(connection: Connection[bytes]) -> None:
    async for messages in connection.batches():
        await connection.send_batch(messages)


def echo_function(connection: Connection[bytes], message: bytes) -> bytes:  # noqa: ARG001
    return message


HANDLERS: dict[str, Handler] = {
    "coroutine": echo,
    "batches": echo_batches,
    "function": echo_function,
}
CODECS: dict[str, Codec[bytes]] = {
    "lines": LineCodec(),
    "prefixed": LengthPrefixCodec(4, max_message_size=1024 * 1024),
    "broadcast": LineCodec(),
}


class Broadcaster:
    """A handler that gives each line to everybody, its sender included."""

    def __init__(self) -> None:
        self.server: Server[bytes] | None = None

    async def __call__(self, connection: Connection[bytes]) -> None:
        assert self.server is not None
        async for line in connection:
            await broadcast(self.server.connections, line, when_slow=WhenSlow.WAIT)


async def serve(handler: Handler, codec: Codec[bytes], tls: ssl.SSLContext | None) -> None:
    limits = ServerLimits(max_connections=10_000)
    async with trio.open_nursery() as nursery:
        start = functools.partial(serve_tcp, ssl_context=tls, limits=limits)
        server: Server[bytes] = await nursery.start(start, handler, codec, 0)
        if isinstance(handler, Broadcaster):
            handler.server = server
        ready(server.port)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:
    """Serve until killed.

    Parameters:
        variant: the kind of handler.
        workload: ``lines``, ``prefixed`` or ``broadcast``.
        tls: speak TLS.
    """
    handler = Broadcaster() if workload == "broadcast" else HANDLERS[variant]
    trio.run(serve, handler, CODECS[workload], tls)
