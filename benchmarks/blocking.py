"""What a blocking call costs its process, beside a plain socket and the same client in Trio.

python benchmarks/blocking.py --rounds 3 --seconds 0.5
"""

from __future__ import annotations

import argparse
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeAlias

import machine
import roster
import trio
from anyio.from_thread import start_blocking_portal
from load.errors import WrongReplyError
from measure.processes import serving

from snowtrio import LineCodec, RequestClient, RequestLimits
from snowtrio.blocking import BlockingRequestClient

LINE = b"x" * 60
BATCH = 100

Ask: TypeAlias = Callable[[], int]
"""Asks, and returns how many requests that were."""
Asking: TypeAlias = Callable[[int], AbstractContextManager[Ask]]
"""Opens what asks a server on this port; any number of threads may."""
Figures: TypeAlias = tuple[float, float]
"""Microseconds of processor time a request, and of wall time a call."""


def check(reply: bytes) -> None:
    if reply != LINE:
        raise WrongReplyError(f"{reply!r} to {LINE!r}")


def client_of(port: int) -> RequestClient[bytes]:
    return RequestClient(LineCodec(), "127.0.0.1", port, limits=RequestLimits(max_connections=4))


@contextmanager
def plain_sockets(port: int) -> Iterator[Ask]:
    """A connection a thread."""
    mine = threading.local()
    opened: list[socket.socket] = []

    def ask() -> int:
        if not hasattr(mine, "replies"):
            mine.socket = socket.create_connection(("127.0.0.1", port))
            mine.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            mine.replies = mine.socket.makefile("rb")
            opened.append(mine.socket)
        mine.socket.sendall(LINE + b"\n")
        check(mine.replies.readline()[:-1])
        return 1

    yield ask
    for each in opened:
        each.close()


@contextmanager
def requests(port: int) -> Iterator[Ask]:
    with BlockingRequestClient(client_of(port)) as client:

        def ask() -> int:
            check(client.request(LINE))
            return 1

        yield ask


@contextmanager
def batches(port: int) -> Iterator[Ask]:
    with BlockingRequestClient(client_of(port)) as client:

        def ask() -> int:
            for reply in client.request_batch([LINE] * BATCH):
                check(reply)
            return BATCH

        yield ask


@contextmanager
def portal_calls(port: int) -> Iterator[Ask]:
    """What one would write without it."""
    client = client_of(port)
    with start_blocking_portal("trio") as portal, portal.wrap_async_context_manager(client):

        def ask() -> int:
            check(portal.call(client.request, LINE))
            return 1

        yield ask


# Measuring


class Slice:
    """So many seconds from now; what has begun in time is finished and counts."""

    def __init__(self, seconds: float) -> None:
        self.units = 0
        self.calls = 0
        self._began = time.perf_counter()
        self._cpu = time.process_time()
        self._over = self._began + seconds

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._over

    def result(self, callers: int) -> Figures:
        seconds = time.perf_counter() - self._began
        cpu = time.process_time() - self._cpu
        return cpu / self.units * 1e6, seconds * callers / self.calls * 1e6


def by_threads(asking: Asking, callers: int, port: int, seconds: float) -> Figures:
    counts: list[tuple[int, int]] = []
    with asking(port) as ask:
        ask()
        measured = Slice(seconds)

        def run() -> None:
            units = calls = 0
            while not measured.over:
                units += ask()
                calls += 1
            counts.append((units, calls))

        threads = [threading.Thread(target=run) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        measured.units = sum(units for units, _ in counts)
        measured.calls = sum(calls for _, calls in counts)
        return measured.result(callers)


def in_trio(callers: int, port: int, seconds: float) -> Figures:
    """Measure the client that is wrapped, asked by tasks."""

    async def run(client: RequestClient[bytes], measured: Slice) -> None:
        while not measured.over:
            check(await client.request(LINE))
            measured.units += 1
            measured.calls += 1

    async def main() -> Figures:
        async with client_of(port) as client:
            await client.request(LINE)
            measured = Slice(seconds)
            async with trio.open_nursery() as nursery:
                for _ in range(callers):
                    nursery.start_soon(run, client, measured)
            return measured.result(callers)

    return trio.run(main)


CASES: dict[str, Callable[[int, float], Figures]] = {
    "plain socket, 1 thread": partial(by_threads, plain_sockets, 1),
    "BlockingRequestClient, 1 thread": partial(by_threads, requests, 1),
    "BlockingPortal.call, 1 thread": partial(by_threads, portal_calls, 1),
    "RequestClient, 1 task": partial(in_trio, 1),
    "plain sockets, 16 threads": partial(by_threads, plain_sockets, 16),
    "BlockingRequestClient, 16 threads": partial(by_threads, requests, 16),
    "BlockingPortal.call, 16 threads": partial(by_threads, portal_calls, 16),
    "RequestClient, 16 tasks": partial(in_trio, 16),
    "BlockingRequestClient, batches of 100": partial(by_threads, batches, 1),
}


def main(rounds: int, seconds: float) -> None:
    """Measure all of them in turn, so often; print medians."""
    ours, theirs = machine.cores()
    found: dict[str, list[Figures]] = {case: [] for case in CASES}
    with serving(roster.cheapest_echo(), "lines", core=theirs) as server, machine.on_core(ours):
        for _ in range(rounds):
            for case, measure in CASES.items():
                found[case].append(measure(server.port, seconds))
    print(f"{'':40}{'CPU us a request':>18}{'wall us a call':>18}")
    for case, figures in found.items():
        cpu, wall = (statistics.median(each) for each in zip(*figures, strict=True))
        print(f"{case:40}{cpu:18.1f}{wall:18.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    main(options.rounds, options.seconds)
