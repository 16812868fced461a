"""asyncio streams, on asyncio's own loop or on uvloop: a connection a task."""

from __future__ import annotations

import asyncio
import time

from clients.asking import Asking, numbered_line, parse_arguments
from load.errors import WrongReplyError
from peers.loops import run_on


async def ask(
    number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asking: Asking
) -> None:
    """Ask until the slice is over."""
    count = 0
    while not asking.over:
        count += 1
        line = numbered_line(number, count) + b"\n"
        began = time.perf_counter()
        writer.write(line)
        await writer.drain()
        reply = await reader.readline()
        if reply != line:
            raise WrongReplyError(f"{reply!r} to {line!r}")
        asking.trips.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


async def main(port: int, tasks: int, seconds: float, asking: Asking) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(tasks)]
    async with asyncio.TaskGroup() as group:
        for number, (reader, writer) in enumerate(opened):
            group.create_task(ask(number, reader, writer, asking))
        await asyncio.sleep(seconds / 3)
        asking.begin()
        await asyncio.sleep(seconds)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    asked = Asking(options.pid)
    run_on(options.variant, main(options.port, options.tasks, options.seconds, asked))
