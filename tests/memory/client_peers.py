"""The far end of a client's connections, in memory and on command."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
import trio.testing

from snowtrio import (
    Client,
    ClientLimits,
    ClientStatistics,
    Connection,
    LineCodec,
    Protocol,
    StreamEndpoint,
)
from snowtrio.testing import FaultyStream

LIMIT = 1000.0
"""Seconds of a mock clock that nothing here comes near: only a hang meets it."""


class Peers:
    """Accepts what a client connects, when and how it is told to.

    Parameters:
        lockstep: streams without buffers: a message is pending until the test reads it.
        closed: let nobody in until `open` is called.
    """

    def __init__(
        self, *, lockstep: bool = False, closed: bool = False, name: str = "peers"
    ) -> None:
        self._pair = (
            trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
        )
        self._gate = trio.Event()
        if not closed:
            self._gate.set()
        self.name = name
        self.failures: deque[Exception] = deque()
        """Raised by the next connects, one each."""
        self.always: Exception | None = None
        """Raised by every connect."""
        self.attempts: list[float] = []
        """When somebody tried to connect."""
        self.connecting = 0
        self.peak = 0
        """The most that were connecting or connected at a time."""
        self.streams: list[trio.StapledStream[Any, Any]] = []
        """Our ends, in the order of the connects."""
        self.theirs: list[Watched] = []
        """The client's ends."""

    @property
    def endpoint(self) -> StreamEndpoint:
        return StreamEndpoint(self.connect, self.name)

    def open(self) -> None:
        """Let in who waits, and everybody from now on."""
        self._gate.set()

    async def connect(self) -> Watched:
        self.attempts.append(trio.current_time())
        self.connecting += 1
        self.peak = max(self.peak, self.connecting + self.connected)
        try:
            await self.arrive()
        finally:
            self.connecting -= 1
        theirs, ours = self._pair()
        self.streams.append(ours)
        self.theirs.append(Watched(theirs))
        return self.theirs[-1]

    def close(self) -> None:
        """Have those that connect from now on wait until `open` is called."""
        self._gate = trio.Event()

    async def arrive(self) -> None:
        """Wait as long as a connect takes, or raise what comes of it."""
        await trio.lowlevel.checkpoint()
        await self._gate.wait()
        if self.failures:
            raise self.failures.popleft()
        if self.always is not None:
            raise self.always

    @property
    def connected(self) -> int:
        """The client's ends that it has not closed."""
        return sum(not end.closed for end in self.theirs)

    async def read(self, index: int) -> bytes:
        """Return what has come on a connection since the last call; waits for something."""
        with trio.fail_after(LIMIT):
            return bytes(await self.streams[index].receive_some(65536))

    async def read_lines(self, index: int, count: int) -> list[bytes]:
        """Return the next lines of a connection."""
        read = b""
        while read.count(b"\n") < count:
            read += await self.read(index)
        return read.splitlines()

    async def read_rest(self, index: int) -> bytes:
        """Return what comes up to the end of input."""
        read = b""
        while data := await self.read(index):
            read += data
        return read

    async def say(self, index: int, data: bytes) -> None:
        await self.streams[index].send_all(data)


def client_of(
    *peers: Peers,
    protocol: Any = None,
    handler: Any = None,
    move_unsent: bool = False,
    propagate_errors: bool = False,
    **limits: Any,
) -> Client[bytes]:
    """Return a client of these peers that speaks lines, unless told otherwise.

    It does not linger: peers that never close would make it wait.
    """
    return Client(
        protocol or LineCodec(),
        [each.endpoint for each in peers],
        handler=handler,
        move_unsent=move_unsent,
        propagate_errors=propagate_errors,
        limits=ClientLimits(**{"linger_timeout": 0, **limits}),
    )


class Watched(FaultyStream):
    """Knows whether it was closed, and how many sends it has held up."""

    closed = False
    stalled = False
    stalled_sends = 0

    def stall(self) -> None:
        self.stalled = True
        super().stall()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.stalled_sends += self.stalled
        await super().send_all(data)

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


class Recording(Protocol[bytes]):
    """Lines, with a note of every hook that ran."""

    def __init__(self) -> None:
        super().__init__(LineCodec())
        self.closed: list[Connection[bytes]] = []
        self.purged: list[bytes] = []
        self.purges = 0

    async def close(self, connection: Connection[bytes]) -> None:
        self.closed.append(connection)

    def purge(self, connection: Connection[bytes], messages: Sequence[bytes]) -> None:
        assert connection in self.closed
        self.purges += 1
        self.purged += messages


def counts(client: Client[Any, Any, Any]) -> tuple[int, int, int, int]:
    """Return connections registered, places of those being opened, openings and waiting senders."""
    found: ClientStatistics = client.statistics()
    return found.pool.connections, found.pool.handshaking, found.opening, found.waiting


NOTHING = (0, 0, 0, 0)


async def outcomes(*calls: Callable[[], Awaitable[object]]) -> list[object]:
    """Run all at the same time; return what each returned or raised, in the order given."""
    results: list[object] = [None] * len(calls)

    async def run(index: int, call: Callable[[], Awaitable[object]]) -> None:
        try:
            results[index] = await call()
        except Exception as error:
            results[index] = error

    async with trio.open_nursery() as nursery:
        for index, call in enumerate(calls):
            nursery.start_soon(run, index, call)
    return results
