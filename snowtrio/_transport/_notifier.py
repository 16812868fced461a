"""Which of many sockets have become readable: one place to wait for all of them.

Trio's ``wait_readable`` arms one socket for one task and disarms it again, which for a small
message costs as much as reading and answering it. Here each socket is registered once, with a
selector of the standard library that Trio waits for in its turn, and a function is called when
something has come: one task wakes up for all that is there.

Level-triggered: a socket is named again until it has been read, so that nothing is lost between a
short read and the end of input, or between two readers. Edge-triggered registration was measured
and gained nothing.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from typing import Any, cast

import trio

# Up to so many sockets it is cheaper to wait for each by itself: waking up for all of them pays
# when there are some to wake up for.
FEW = 3

# How many functions are called before other tasks have their turn.
_AT_A_TIME = 64


class Notifier:
    """Calls functions when sockets have become readable.

    It has a task, and a selector, only while it pays.
    """

    def __init__(self) -> None:
        self.members = 0
        """Sockets that would be watched if it pays."""
        self._selector: selectors.BaseSelector | None = None
        self._scope = trio.CancelScope()

    @property
    def pays(self) -> bool:
        """Whether there are enough sockets for being watched to be worth while."""
        return self.members > FEW

    def join(self) -> None:
        """Count a socket that would be watched if it pays."""
        self.members += 1

    def leave(self) -> None:
        """Count a socket no more, as it closes; it must not be watched any more."""
        self.members -= 1
        if self._selector is not None and not self.pays:
            for key in list(self._selector.get_map().values()):
                key.data(False)
            self._scope.cancel(reason="there is too little left to watch")
            self._selector = None

    def watch(self, sock: socket.socket, function: Callable[[bool], None]) -> bool:
        """Call `function` whenever there is something to receive, until `forget`.

        Parameters:
            sock: owned by the caller, who calls `forget` before it is closed.
            function: called with True, it reads what is there or calls `forget`; with False, the
                watching has come to its end, since it does not pay any more. It must not raise, and
                may be called once more after `forget`.

        Returns False where the system has no descriptor or memory left for it.
        """
        try:
            if self._selector is None:
                self._open()
            assert self._selector is not None
            self._selector.register(sock, selectors.EVENT_READ, function)
        except OSError:
            return False
        return True

    def _open(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(
            self._run, self._selector, self._scope, name="snowtrio notifier"
        )

    def forget(self, sock: socket.socket) -> None:
        """Watch a socket no more; nothing if watching ended before."""
        if self._selector is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(sock)

    async def _run(self, selector: selectors.BaseSelector, scope: trio.CancelScope) -> None:
        with selector, scope:
            readable: int = cast("Any", selector).fileno()  # those that wait have one
            while True:
                await trio.lowlevel.wait_readable(readable)
                for number, (key, _) in enumerate(selector.select(0), 1):
                    key.data(True)
                    if number % _AT_A_TIME == 0:
                        await trio.lowlevel.checkpoint()


_current: trio.lowlevel.RunVar[Notifier] = trio.lowlevel.RunVar("notifier")


def current_notifier() -> Notifier | None:
    """Return the notifier of this run of Trio, None where the platform has nothing to build on.

    All servers and clients of a run share it, so that whoever wakes up does so once for all.
    """
    if not hasattr(selectors.DefaultSelector, "fileno"):
        return None
    try:
        return _current.get()
    except LookupError:
        notifier = Notifier()
        _current.set(notifier)
        return notifier
