"""Servers and their peers for tests: what they share in memory and on sockets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from snowtrio import Connection, LineCodec, Protocol, Server, serve_listeners
from snowtrio.testing import FaultyStream, MemoryListener

LIMIT = 20.0
"""Seconds that nothing here comes near: only a hang meets it."""


async def echo(connection: Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(line)


class FaultyListener(MemoryListener):
    """Accepts streams that misbehave on command.

    Parameters:
        options: of each `FaultyStream`.
    """

    def __init__(self, *, lockstep: bool = False, **options: Any) -> None:
        super().__init__(lockstep=lockstep)
        self.accepted: list[FaultyStream] = []
        self._options = options

    async def accept(self) -> trio.abc.Stream:
        self.accepted.append(FaultyStream(await super().accept(), **self._options))
        return self.accepted[-1]


class Steps(trio.abc.Instrument):
    """Calls something at the n-th step that any task takes.

    Parameters:
        number: counted from 1.
        strike: called once.
    """

    def __init__(self, number: int, strike: Callable[[], object]) -> None:
        self.taken = 0
        self._number = number
        self._strike = strike

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.taken += 1
        if self.taken == self._number:
            self._strike()


class Stopwatch:
    """Tells how long something took, in seconds of Trio's clock."""

    def __init__(self) -> None:
        self._began = trio.current_time()

    @property
    def seconds(self) -> float:
        # A mock clock starts anywhere: sums are not exact.
        return round(trio.current_time() - self._began, 6)


@attrs.define
class Served:
    """A server that runs, and its listener in memory."""

    server: Server[Any, Any, Any]
    listener: MemoryListener
    nursery: trio.Nursery

    async def connect(self, greeting: bytes = b"") -> trio.abc.Stream:
        """Connect, say something, and let the server do what it does with it."""
        stream = await self.listener.connect()
        if greeting:
            await stream.send_all(greeting)
        await trio.testing.wait_all_tasks_blocked()
        return stream

    @property
    def counts(self) -> tuple[int, int]:
        """Connections registered, and shaking hands."""
        pool = self.server.statistics().pool
        return pool.connections, pool.handshaking


@asynccontextmanager
async def serving(
    handler: Any = None,
    protocol: Any = None,
    *,
    listener: MemoryListener | None = None,
    others: Sequence[Any] = (),
    around: Callable[[MemoryListener], Any] = lambda listener: listener,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve in memory; at the end cancel, and check that nothing is left.

    Parameters:
        handler: echoes by default, unless the protocol has a handler.
        protocol: lines by default.
        listener: a `MemoryListener` by default.
        others: listeners beside it.
        around: makes of it what is served.
        options: of the server.
    """
    listener = listener if listener is not None else MemoryListener()
    if handler is None and not has_handle(protocol):
        handler = echo
    served: Served | None = None
    try:
        async with trio.open_nursery() as nursery:
            serve = partial(
                serve_listeners,
                handler,
                protocol or LineCodec(),
                [around(listener), *others],
                **options,
            )
            served = Served(await nursery.start(serve), listener, nursery)
            yield served
            nursery.cancel_scope.cancel()
    finally:
        assert served is None or served.counts == (0, 0), served.counts


def has_handle(protocol: Any) -> bool:
    if not isinstance(protocol, Protocol):
        return False
    return getattr(protocol.handle, "__func__", None) is not Protocol.handle


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Return everything up to the end of input."""
    read = b""
    with trio.fail_after(LIMIT):
        while data := await stream.receive_some():
            read += data
    return read


async def read_line(stream: trio.abc.ReceiveStream) -> bytes:
    """Return one line, newline and all, or what came before the end of input."""
    line = b""
    with trio.fail_after(LIMIT):
        while not line.endswith(b"\n") and (data := await stream.receive_some(1)):
            line += data
    return line


async def ask(stream: trio.abc.Stream, line: bytes) -> bytes:
    """Send a line and return the answer, both without their newline."""
    await stream.send_all(line + b"\n")
    return (await read_line(stream)).removesuffix(b"\n")


def lines_of(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what was logged at a level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def errors_in(caplog: pytest.LogCaptureFixture) -> list[BaseException | None]:
    """Return the exceptions whose tracebacks were logged as errors."""
    return [
        record.exc_info[1]
        for record in caplog.records
        if record.levelno == logging.ERROR and record.exc_info
    ]
