"""Servers on real sockets, and peers that behave as badly as sockets allow."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from snowtrio import DrainTimeouts, LineCodec, Server, ServerLimits, serve_tcp

from ..serving import LIMIT, echo, has_handle

QUICK = ServerLimits(linger_timeout=0.2)


@asynccontextmanager
async def serving_tcp(
    handler: Any = None,
    protocol: Any = None,
    *,
    serve: Any = serve_tcp,
    where: Any = 0,
    limits: ServerLimits = QUICK,
    **options: Any,
) -> AsyncGenerator[Server[Any, Any, Any], None]:
    """Serve on a real socket; at the end drain, and check that nothing is left.

    Parameters:
        handler: echoes by default, unless the protocol has a handler.
        protocol: lines by default.
        serve: which verb.
        where: its third argument: a port, a path, listeners.
        limits: linger for a short while by default.
        options: of the verb.
    """
    if handler is None and not has_handle(protocol):
        handler = echo
    async with trio.open_nursery() as nursery:
        begin = partial(serve, handler, protocol or LineCodec(), where, limits=limits, **options)
        server: Server[Any, Any, Any] = await nursery.start(begin)
        yield server
        with trio.fail_after(LIMIT):
            await server.drain(DrainTimeouts(goodbye=0.2, wait=0.2))
            await until(lambda: not nursery.child_tasks)
    pool = server.statistics().pool
    assert (pool.connections, pool.handshaking) == (0, 0)
    assert pool.opened == sum(pool.ended.values())


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that other tasks, or the kernel, will make true."""
    with trio.fail_after(LIMIT):
        while not condition():
            await trio.sleep(0.002)


async def until_closed(port: int) -> None:
    """Wait until nobody listens on a port any more, as of a server that drains."""
    with trio.fail_after(LIMIT):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                return


async def connect(server: Server[Any, Any, Any]) -> trio.SocketStream:
    """Connect to the first address of a TCP server."""
    host, port, *_ = next(each for each in server.addresses if isinstance(each, tuple))
    sock = trio.socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        await sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def reset(stream: trio.SocketStream) -> None:
    """Close with a reset instead of an end of input."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


def living_tasks() -> int:
    """Return how many tasks there are, without the two that work for all connections."""
    system = trio.lowlevel.current_root_task()
    assert system is not None
    watching = [
        task
        for nursery in system.child_nurseries
        for task in nursery.child_tasks
        if task.name in ("snowtrio notifier", "snowtrio sweep")
    ]
    return trio.lowlevel.current_statistics().tasks_living - len(watching)
