"""What workers run whose parent is the process of the tests."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import trio

from snowtrio import Connection, LineCodec, serve_listeners
from snowtrio.workers import Worker


def answer(connection: Connection[bytes], line: bytes) -> bytes:
    return line.upper()


async def work(worker: Worker, greeting: str = "") -> None:
    """Answer lines in capitals."""
    await worker.serve(serve_listeners, answer, LineCodec(), worker.listeners)


async def fail(worker: Worker) -> None:
    """End before anything is served."""
    sys.exit(4)


async def forget(worker: Worker) -> None:
    """Serve once, and end unasked."""
    with trio.move_on_after(0.05):
        await work(worker)


async def exaggerate(worker: Worker) -> None:
    """Say to the parent what is too much for it, before anything else can be said."""
    control: Any = worker._control
    control._stream.transport.socket.send(b'{"event":"drained","connections":1e999}\n')
    await work(worker)


async def babble(worker: Worker) -> None:
    """Serve, and say to the parent what it does not expect."""
    worker.tell({"event": "report", "servers": [{"pool": {"connections": "many"}}]})
    await work(worker)


def no_coroutine(worker: Worker) -> None:
    """Be no target."""


class Lingering:
    """A server that takes its time to drain."""

    def __init__(self) -> None:
        self.over = trio.Event()

    async def drain(self, timeouts: object = None) -> None:
        await trio.sleep(0.3)
        self.over.set()


async def leave(worker: Worker) -> None:
    """Ask itself to drain as soon as it serves."""

    async def serve(*, task_status: trio.TaskStatus[Lingering]) -> None:
        server = Lingering()
        task_status.started(server)
        os.kill(os.getpid(), signal.SIGTERM)
        await server.over.wait()

    await worker.serve(serve)
