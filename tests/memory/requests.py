"""A request function whose requests finish when a test says so, and a server that has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator

import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import Connection


class Workshop:
    """Holds every request until it is released, and keeps a record.

    A request says what becomes of it: ``note`` is not answered, ``fail`` raises, anything else is
    answered in capitals.
    """

    def __init__(self) -> None:
        self.started: list[bytes] = []
        self.cancelled: list[bytes] = []
        self.finished: list[bytes] = []
        self.peak = 0
        """The most that were at work at a time."""
        self._gates: defaultdict[bytes, trio.Event] = defaultdict(trio.Event)

    @property
    def at_work(self) -> int:
        return len(self.started) - len(self.cancelled) - len(self.finished)

    def release(self, *requests: bytes) -> None:
        """Let these finish, in the same pass of the run loop."""
        for request in requests:
            self._gates[request].set()

    async def answer(self, connection: Connection[bytes], request: bytes) -> bytes | None:
        self.started.append(request)
        self.peak = max(self.peak, self.at_work)
        try:
            await self._gates[request].wait()
        except trio.Cancelled:
            self.cancelled.append(request)
            raise
        self.finished.append(request)
        if request.startswith(b"fail"):
            raise LookupError(request.decode())
        return None if request.startswith(b"note") else request.upper()

    async def stream(self, connection: Connection[bytes], request: bytes) -> AsyncIterator[bytes]:
        """Answer with the first half of a request, and the second when that is released."""
        await self.answer(connection, request)
        yield request + b".1"
        self.finished.append(request + b".1")
        await self._gates[request + b".2"].wait()
        yield request + b".2"


async def came(stream: trio.abc.ReceiveStream) -> bytes:
    """Return what has come by the time that nothing moves any more; the clock must jump."""
    await wait_all_tasks_blocked()
    with trio.move_on_after(0.001):
        return bytes(await stream.receive_some())
    return b""
