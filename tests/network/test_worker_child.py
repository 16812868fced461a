"""The worker's side, in the process of the tests: what it says to its parent, and does for it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from snowtrio import (
    DrainReport,
    DrainTimeouts,
    LineCodec,
    SocketOptions,
    open_tcp_listeners,
    serve_listeners,
)
from snowtrio._transport import SocketTransport
from snowtrio.testing import MemoryListener
from snowtrio.workers import Worker, WorkerLimits
from snowtrio.workers._child import Place, Task, run_worker
from snowtrio.workers._control import MAX_MESSAGE_SIZE

from ..serving import LIMIT, echo
from .peers import Peer

OPTIONS = SocketOptions(no_delay=False)
LIMITS = WorkerLimits(
    report_interval=0.02, drain=DrainTimeouts(goodbye=0.1, wait=0.1), kill_timeout=0.1
)


@attrs.define
class Parent:
    """The other end of the line."""

    peer: Peer
    port: int
    worker: Worker | None = None

    async def next(self, event: str) -> dict[str, Any]:
        """Return the next of such an event."""
        while True:
            said: dict[str, Any] = json.loads(await self.peer.line())
            if said["event"] == event:
                return said

    async def tell(self, **command: Any) -> None:
        await self.peer.send(json.dumps(command).encode() + b"\n")

    async def drain(self, **timeouts: float) -> None:
        await self.tell(command="drain", timeouts={"goodbye": 1, "wait": 1, **timeouts})


async def serve(worker: Worker) -> None:
    await worker.serve(serve_listeners, echo, LineCodec(), worker.listeners)


@asynccontextmanager
async def working(target: Callable[..., Any] = serve, *args: Any) -> AsyncGenerator[Parent, None]:
    """Be a worker's parent; at the end it has to have ended by itself."""
    ours, theirs = socket.socketpair()
    sock = socket.create_server(("127.0.0.1", 0))
    task = Task(3, 0, [Place(sock, OPTIONS)], [0] * 4, theirs, LIMITS, ())
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(run_worker, task, target, args)
        yield Parent(Peer(stream), sock.getsockname()[1])
        with trio.fail_after(LIMIT):
            while nursery.child_tasks:
                await trio.sleep(0.002)
    assert (sock.fileno(), theirs.fileno()) == (-1, -1)


async def connect(parent: Parent) -> Peer:
    return Peer(await trio.open_tcp_stream("127.0.0.1", parent.port))


async def ask(peer: Peer, line: bytes) -> None:
    await peer.send(line + b"\n")
    assert await peer.line() == line.decode()


async def test_it_says_when_it_serves_and_what_it_counts() -> None:
    """W33."""
    async with working() as parent:
        await parent.next("ready")
        peer = await connect(parent)
        await ask(peer, b"hello")
        server: dict[str, Any] = {"pool": {"messages_sent": 0}}
        while not server["pool"]["messages_sent"]:
            (server,) = (await parent.next("report")).get("servers", [server])
        assert (server["accepted"], server["refused"]["FULL"]) == (1, 0)
        await parent.drain()
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await parent.next("draining")
        assert await parent.next("drained") == {"event": "drained", "connections": 1, "cut": 0}
        assert b"report" in await parent.peer.rest()


async def test_without_its_parent_it_drains() -> None:
    """W33: a target that does not end then is cut."""
    ended = trio.Event()

    async def stay(worker: Worker) -> None:
        await serve(worker)
        assert worker.draining
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with working(stay) as parent:
        await parent.next("ready")
        peer = await connect(parent)
        await ask(peer, b"hello")
        await parent.peer.stream.aclose()
        assert await peer.rest() == b""
        await peer.stream.aclose()
        with trio.fail_after(LIMIT):
            await ended.wait()


async def test_a_cut_ends_it_at_once() -> None:
    """W33."""

    async def stay(worker: Worker) -> None:
        await trio.sleep_forever()

    async with working(stay) as parent:
        await parent.next("report")
        await parent.tell(command="cut")


async def test_a_sigterm_of_its_own_drains_it_and_the_parent_is_told() -> None:
    """W33: so that the next one can take its place."""
    async with working() as parent:
        await parent.next("ready")
        os.kill(os.getpid(), signal.SIGTERM)
        await parent.next("draining")
        await parent.next("drained")


async def test_told_to_end_before_it_serves_it_serves_nothing() -> None:
    """W33: nor is it taken for ready."""
    served: list[object] = []

    async def late(worker: Worker) -> None:
        await worker.wait_draining()
        served.append(await worker.serve(serve_listeners, echo, LineCodec(), worker.listeners))

    async with working(late) as parent:
        await parent.drain()
        assert b'"ready"' not in await parent.peer.rest()
    assert served == [None]


async def test_several_servers_drain_together() -> None:
    """W33: all are counted; one that ends by itself ends nothing else."""
    reports: list[DrainReport | None] = []

    async def serve_several(worker: Worker) -> None:
        async def run(*args: Any) -> None:
            reports.append(await worker.serve(*args))

        async def end_soon(*, task_status: trio.TaskStatus[object]) -> None:
            task_status.started(Bare())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, serve_listeners, echo, LineCodec(), worker.listeners)
            nursery.start_soon(run, serve_listeners, echo, LineCodec(), await open_tcp_listeners(0))
            nursery.start_soon(run, end_soon)

    async with working(serve_several) as parent:
        while len((await parent.next("report")).get("servers", ())) < 2:
            pass
        await parent.drain()
    assert [report is None for report in reports] == [True, False, False]


class Counting:
    """A server that returns what it was given, or raises it."""

    def __init__(self, counts: object) -> None:
        self.drained = trio.Event()
        self._counts = counts

    def statistics(self) -> object:
        if isinstance(self._counts, Exception):
            raise self._counts
        return self._counts

    async def drain(self, timeouts: DrainTimeouts) -> None:
        self.drained.set()


@pytest.mark.parametrize(
    ("counts", "told"), [(ZeroDivisionError(), [{}]), ("x" * MAX_MESSAGE_SIZE, None)]
)
async def test_a_server_that_cannot_count_goes_on(
    counts: object, told: object, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: the parent hears that the worker lives, and the log what is wrong, once in a while."""

    async def run(*, task_status: trio.TaskStatus[object]) -> None:
        server = Counting(counts)
        task_status.started(server)
        await server.drained.wait()

    async def work(worker: Worker) -> None:
        await worker.serve(run)

    async with working(work) as parent:
        await parent.next("ready")
        for _ in range(3):
            assert (await parent.next("report")).get("servers", told) == told
        await parent.drain()
        await parent.next("drained")
    assert caplog.messages == ["worker 3 cannot tell what it counts"]


class Bare:
    """A server that counts nothing and was never there."""

    async def drain(self, timeouts: DrainTimeouts) -> None:
        raise AssertionError("it has ended")


async def test_what_the_target_raises_is_raised() -> None:
    """W33: the process ends with it; its listeners are closed."""

    async def fail(worker: Worker) -> None:
        raise LookupError("no such table")

    ours, theirs = socket.socketpair()
    sock = socket.create_server(("127.0.0.1", 0))
    task = Task(0, 0, [Place(sock, None)], None, theirs, LIMITS, ())
    with ours, pytest.raises(LookupError, match="no such table"):
        await run_worker(task, fail, ())
    assert sock.fileno() == -1


async def test_a_number_and_arguments_are_given() -> None:
    """W33."""
    seen: list[object] = []

    async def note(worker: Worker, *args: object) -> None:
        seen.extend((worker.number, len(worker.listeners), *args))
        assert not isinstance(worker.listeners[0], MemoryListener)

    async with working(note, "one", 2) as parent:
        await parent.peer.rest()
    assert seen == [3, 1, "one", 2]


async def test_the_options_of_listeners_go_with_them() -> None:
    """W33, P3: for what connections do not inherit; here they would be made without delay."""
    seen: list[int] = []

    async def accept(worker: Worker) -> None:
        (transport,) = await worker.listeners[0].accept_some(lambda: 1)
        assert isinstance(transport, SocketTransport)
        seen.append(transport.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await transport.aclose()
        await worker.listeners[0].aclose()

    async with working(accept) as parent, (await connect(parent)).stream:
        await parent.peer.rest()
    assert seen == [0]
