"""Trio alone: a connection a task."""

from __future__ import annotations

import time

import trio
from clients.asking import Asking, numbered_line, parse_arguments
from load.errors import WrongReplyError


async def ask(number: int, stream: trio.SocketStream, asking: Asking) -> None:
    """Ask until the slice is over."""
    count = 0
    while not asking.over:
        count += 1
        line = numbered_line(number, count) + b"\n"
        began = time.perf_counter()
        await stream.send_all(line)
        reply = b""
        while not reply.endswith(b"\n"):
            reply += await stream.receive_some()
        if reply != line:
            raise WrongReplyError(f"{reply!r} to {line!r}")
        asking.trips.append(time.perf_counter() - began)
    await stream.aclose()


async def main(port: int, tasks: int, seconds: float, asking: Asking) -> None:
    opened = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(tasks)]
    async with trio.open_nursery() as nursery:
        for number, stream in enumerate(opened):
            nursery.start_soon(ask, number, stream, asking)
        await trio.sleep(seconds / 3)
        asking.begin()
        await trio.sleep(seconds)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    trio.run(main, options.port, options.tasks, options.seconds, Asking(options.pid))
