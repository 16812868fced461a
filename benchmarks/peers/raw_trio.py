"""Trio alone: its streams, with the framing written by hand as its tutorial does."""

from __future__ import annotations

import ssl

import trio
from peers.ready import ready


async def echo_lines(stream: trio.abc.Stream) -> None:
    buffer = bytearray()
    async for data in stream:
        buffer += data
        while (end := buffer.find(b"\n")) != -1:
            line = bytes(buffer[: end + 1])
            del buffer[: end + 1]
            await stream.send_all(line)


class Broadcaster:
    """Gives each line to everybody in turn, its sender included."""

    def __init__(self) -> None:
        self.streams: set[trio.abc.Stream] = set()

    async def __call__(self, stream: trio.abc.Stream) -> None:
        self.streams.add(stream)
        buffer = bytearray()
        async for data in stream:
            buffer += data
            while (end := buffer.find(b"\n")) != -1:
                line = bytes(buffer[: end + 1])
                del buffer[: end + 1]
                for each in list(self.streams):
                    await each.send_all(line)
        self.streams.discard(stream)


HANDLERS = {"lines": echo_lines, "broadcast": Broadcaster()}


async def serve(workload: str, tls: ssl.SSLContext | None) -> None:
    handler = HANDLERS[workload]
    async with trio.open_nursery() as nursery:
        if tls is None:
            plain = await nursery.start(trio.serve_tcp, handler, 0)
            ready(plain[0].socket.getsockname()[1])
        else:
            listeners = await nursery.start(trio.serve_ssl_over_tcp, handler, 0, tls)
            ready(listeners[0].transport_listener.socket.getsockname()[1])


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    trio.run(serve, workload, tls)
