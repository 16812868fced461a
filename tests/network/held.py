"""Work that blocks until the test lets it go."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from ..serving import LIMIT
from .tcp import until


class Held:
    """Calls of `hold` block until `let_go`."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.ended = 0
        self._lock = threading.Lock()
        self._go = threading.Event()

    def hold(self) -> None:
        """Block, in the thread of a test's handler."""
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            assert self._go.wait(LIMIT)
        finally:
            with self._lock:
                self.running -= 1
                self.ended += 1

    def let_go(self) -> None:
        """End all calls, and those to come."""
        self._go.set()

    async def wait_running(self, count: int) -> None:
        """Wait until so many block."""
        await until(lambda: self.running == count)


@contextlib.contextmanager
def holding() -> Iterator[Held]:
    """Give a `Held`; at the end no thread is left in it."""
    held = Held()
    try:
        yield held
    finally:
        held.let_go()
