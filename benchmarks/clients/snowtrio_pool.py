"""snowtrio's ``Client``: many tasks over a bounded pool.

Replies carry the number of the task that asked, so any connection will do: the handler, a plain
function, finds the task by that number and wakes it.
"""

from __future__ import annotations

import time

import trio
from clients.asking import Asking, numbered_line, parse_arguments
from load.errors import WrongReplyError

from snowtrio import Client, ClientLimits, Connection, LineCodec

POOL = ClientLimits(max_connections=16)


class Caller:
    """A task that sends a line and waits for the same one.

    It waits as Trio's own primitives do, not in one of them: an Event for each line would cost
    half as much again as waking a task does.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.reply = b""
        self.task: trio.lowlevel.Task | None = None

    async def run(self, client: Client[bytes], asking: Asking) -> None:
        """Ask until the slice is over."""
        count = 0
        while not asking.over:
            count += 1
            line = numbered_line(self.number, count)
            began = time.perf_counter()
            await client.send(line)
            reply = await self.take_reply()
            if reply != line:
                raise WrongReplyError(f"{reply!r} to {line!r}")
            asking.trips.append(time.perf_counter() - began)

    async def take_reply(self) -> bytes:
        """Wait for the reply."""
        if not self.reply:
            self.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self.leave)
        reply, self.reply = self.reply, b""
        return reply

    def leave(self, _: object) -> trio.lowlevel.Abort:
        """Wait no more."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def answer(self, line: bytes) -> None:
        """Take the reply."""
        if self.reply:
            raise WrongReplyError(f"two replies: {self.reply!r} and {line!r}")
        self.reply = line
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)
            self.task = None


async def main(port: int, tasks: int, seconds: float, asking: Asking) -> None:
    callers = [Caller(number) for number in range(tasks)]

    def take(connection: Connection[bytes], line: bytes) -> None:  # noqa: ARG001
        callers[int(line.partition(b" ")[0])].answer(line)

    client = Client(
        LineCodec(), "127.0.0.1", port, handler=take, limits=POOL, propagate_errors=True
    )
    async with client, trio.open_nursery() as nursery:
        for caller in callers:
            nursery.start_soon(caller.run, client, asking)
        await trio.sleep(seconds / 3)
        asking.begin()
        await trio.sleep(seconds)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    trio.run(main, options.port, options.tasks, options.seconds, Asking(options.pid))
