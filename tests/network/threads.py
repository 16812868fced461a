"""A server beside threads that block, and the threads."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs
import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from snowtrio import Connection, InOrder, LineCodec, RequestClient, RequestLimits, Server
from snowtrio.blocking import BlockingRequestClient

from ..serving import LIMIT
from .tcp import serving_tcp

T = TypeVar("T")

ONE = RequestLimits(max_connections=1)


@attrs.define(eq=False)
class Talker:
    """Answers lines: most with themselves, some as they say.

    ``wait`` is answered when `release` is called, ``push X`` also with a push that says X, ``note
    X`` with that alone, ``count N`` with N lines, ``leave`` with the end of the connection.
    """

    portal: BlockingPortal
    server: Server[Any, Any, Any] = attrs.field(init=False)
    came: threading.Semaphore = attrs.field(init=False, factory=lambda: threading.Semaphore(0))
    """Released whenever a ``wait`` has come."""
    _released: trio.Event = attrs.field(init=False, factory=trio.Event)

    async def handle(self, connection: Connection[bytes]) -> None:
        async for line in connection:
            verb, _, rest = line.partition(b" ")
            if verb == b"wait":
                self.came.release()
                await self._released.wait()
            elif verb in (b"push", b"note"):
                await connection.send(b">" + rest)
                if verb == b"note":
                    continue
            elif verb == b"leave":
                await connection.flush()
                connection.drop()
            elif verb == b"count":
                for number in range(1, int(rest)):
                    await connection.send(b"%d" % number)
                line = rest
            await connection.send(line)

    @property
    def port(self) -> int:
        (address,) = {each[1] for each in self.server.addresses if isinstance(each, tuple)}
        return int(address)

    def release(self) -> None:
        """Have all that wait, and will, answered."""
        self.portal.call(self._released.set)

    def wait_came(self) -> None:
        """Block until a ``wait`` has come."""
        assert self.came.acquire(timeout=LIMIT)

    def client(
        self, limits: RequestLimits = ONE, *, portal: BlockingPortal | None = None, **options: Any
    ) -> BlockingRequestClient[bytes]:
        """Return a client of this server, not entered."""
        asking = RequestClient(
            LineCodec(),
            "127.0.0.1",
            self.port,
            correlation=InOrder[bytes, bytes](is_push=lambda line: line.startswith(b">")),
            limits=limits,
            **options,
        )
        return BlockingRequestClient(asking, portal=portal)


@contextlib.contextmanager
def talking() -> Iterator[Talker]:
    """Serve for the time of a block, in a thread."""
    with start_blocking_portal("trio") as portal:
        talker = Talker(portal)
        serving = serving_tcp(talker.handle, host="127.0.0.1")
        with portal.wrap_async_context_manager(serving) as talker.server:
            yield talker


class Worker(threading.Thread):
    """A thread that calls something, and has what came of it."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._outcome: object = None
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._function()
        except BaseException as error:
            self._outcome = error

    def outcome(self) -> object:
        """Return what it returned or raised; waits for its end."""
        self.join(LIMIT)
        assert not self.is_alive(), "it hangs"
        return self._outcome


@contextlib.contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """Undo what a shell does to programs in its background, perhaps this one: ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def hear_ctrl_c() -> None:
    """Do the same in a process that is about to run another program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def press_ctrl_c() -> None:
    """Send this process what a terminal would."""
    os.kill(os.getpid(), signal.SIGINT)


def blocking_threads() -> list[threading.Thread]:
    """Return the threads that clients have started and that have not ended."""
    return [each for each in threading.enumerate() if each.name == "snowtrio blocking client"]
