"""A parent of workers for the tests, which ask it for its counts through a port of its own.

Workers answer lines: with what they are asked about themselves, with an echo otherwise.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Before anything is imported, so that a worker which is to fail costs little.
if __name__ == "__mp_main__" and Path(os.environ.get("WORKERS_FAIL", "/nowhere")).exists():
    sys.exit(3)

import argparse
import json
import logging
import socket
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import trio

from snowtrio import (
    Connection,
    DrainTimeouts,
    LineCodec,
    Listener,
    Protocol,
    ServerLimits,
    listener_from_socket,
    open_tcp_listeners,
    run_service,
    serve_listeners,
    serve_tcp,
)
from snowtrio.workers import Worker, WorkerLimits, Workers, run_workers
from snowtrio.workers._statistics import to_plain

LIMITS = ServerLimits(max_connections=1000, linger_timeout=0.2)


class Lines(Protocol[bytes]):
    """Lines, with some that have a meaning."""

    codec = LineCodec()

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    async def handle(self, connection: Connection[bytes]) -> None:
        async for line in connection:
            await connection.send(await self._answer(line))

    async def _answer(self, line: bytes) -> bytes:
        word, _, rest = line.partition(b" ")
        match word:
            case b"pid":
                return b"%d" % os.getpid()
            case b"number":
                return b"%d" % self._worker.number
            case b"sleep":
                await trio.sleep(float(rest))
            case b"block":
                time.sleep(float(rest))  # noqa: ASYNC251 - so that nothing else runs here
            case b"exit":
                os._exit(int(rest))
        return line


async def work(worker: Worker) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    await worker.serve(serve_listeners, None, Lines(worker), worker.listeners, limits=LIMITS)


async def work_stubbornly(worker: Worker) -> None:
    """Do not end when told to, nor when cut."""
    await work(worker)
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()


TARGETS = {"work": work, "stubborn": work_stubbornly}


class Admin:
    """Answers questions about the workers."""

    def __init__(self) -> None:
        self.workers: Workers | None = None
        self.nursery: trio.Nursery | None = None

    async def handle(self, connection: Connection[bytes]) -> None:
        async for line in connection:
            await connection.send(json.dumps(await self._answer(line.decode())).encode())

    async def _answer(self, question: str) -> Any:
        match question:
            case "statistics":
                return to_plain(self.workers.statistics()) if self.workers else None
            case "descriptors":
                return len(os.listdir("/proc/self/fd"))
            case "roll":
                assert self.workers is not None
                return await self.workers.reload()
        raise ValueError(question)


async def open_own_listener(number: int) -> list[Listener]:
    """Listen with SO_REUSEPORT, for one worker alone."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", PORTS[0] if PORTS else 0))
    PORTS.append(sock.getsockname()[1])
    sock.listen(1000)
    return [listener_from_socket(sock)]


PORTS: list[int] = []


async def main(arguments: argparse.Namespace) -> int:
    admin = Admin()

    def ready(workers: Workers, *_: object) -> None:
        print(f"listening on 127.0.0.1:{workers.port}", flush=True)

    async def run(*, task_status: trio.TaskStatus[Workers]) -> None:
        listeners: Any = open_own_listener
        if not arguments.reuse_port:
            listeners = await open_tcp_listeners(0)
        options = partial(
            run_workers, listeners=listeners, workers=arguments.workers, limits=arguments.limits
        )
        await options(TARGETS[arguments.target], task_status=Noted(admin, task_status))

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_tcp, admin.handle, LineCodec(), 0)
        print(f"admin on {server.port}", flush=True)
        try:
            report = await run_service(run, ready=ready, reload=Workers.reload)
        finally:
            nursery.cancel_scope.cancel()
    print(json.dumps(to_plain(report.drained[0])), flush=True)
    return report.status


@attrs.frozen
class Noted:
    """Notes the workers when they are reported."""

    admin: Admin
    task_status: trio.TaskStatus[Workers]

    def started(self, value: Workers) -> None:
        self.admin.workers = value
        self.task_status.started(value)


def read_limits(text: str) -> WorkerLimits:
    given: dict[str, Any] = json.loads(text)
    for name in ("drain", "roll"):
        if name in given:
            given[name] = DrainTimeouts(**given[name])
    return WorkerLimits(**given)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--target", choices=TARGETS, default="work")
    parser.add_argument("--limits", type=read_limits, default=WorkerLimits())
    parser.add_argument("--reuse-port", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    sys.exit(trio.run(main, parse_arguments(sys.argv[1:])))
