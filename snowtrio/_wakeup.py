"""A wake-up that can be posted from anywhere: tasks, threads, signal handlers, other processes.

It is a descriptor that becomes readable: an eventfd where there are any, one end of a socket pair
elsewhere. A post is one write to it and nothing else. No lock is taken, so a signal handler may
interrupt a post and post itself; no flag spares the write, since a thread that is stopped between
the flag and its write would silence all the others.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from types import TracebackType
from typing import Protocol

import trio

# What an eventfd adds to its count, and some bytes like any others for a socket.
ONE = (1).to_bytes(8, sys.byteorder)
READ_SIZE = 4096


class Line(Protocol):
    """A descriptor to wait for, and one to write to; closed when nobody refers to it any more.

    A thread may be about to write while another one closes. Were the descriptor closed there and
    then, its number could be given to another file, which would be written to. So whoever writes
    holds a reference, and the last one that is dropped closes.
    """

    @property
    def reading(self) -> int:
        """What becomes readable."""
        ...

    @property
    def writing(self) -> int:
        """What is written to."""
        ...

    def write(self) -> None:
        """Have it become readable; nothing where it is, and can take no more."""

    def clear(self) -> bool:
        """Have it be readable no more; return whether it was."""
        ...


class Descriptor:
    """A descriptor that is written to, and closed with the last reference to it.

    Parameters:
        number: of the descriptor, which does not block; owned.
    """

    number = -1
    """Which one; -1 where there was none to be had."""

    def __init__(self, number: int) -> None:
        self.number = number

    def write(self) -> None:
        """Write to it; nothing where it is full, or nobody would read it."""
        with contextlib.suppress(OSError):
            os.write(self.number, ONE)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


if sys.platform == "linux":

    class EventLine(Descriptor):
        """A line that is one eventfd, which counts what was written until it is read."""

        def __init__(self) -> None:
            super().__init__(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

        @property
        def reading(self) -> int:
            """What becomes readable."""
            return self.number

        @property
        def writing(self) -> int:
            """What is written to."""
            return self.number

        def clear(self) -> bool:
            """Have it be readable no more; return whether it was."""
            try:
                os.read(self.number, len(ONE))
            except BlockingIOError:
                return False
            return True


class SocketLine:
    """A line that is a pair of sockets."""

    _ends: tuple[socket.socket, ...] = ()

    def __init__(self) -> None:
        self._ends = self._out, self._in = socket.socketpair()
        for each in self._ends:
            each.setblocking(False)

    @property
    def reading(self) -> int:
        """What becomes readable."""
        return self._out.fileno()

    @property
    def writing(self) -> int:
        """What is written to."""
        return self._in.fileno()

    def write(self) -> None:
        """Have it become readable; nothing where it is, and can take no more."""
        with contextlib.suppress(OSError):
            self._in.send(ONE)

    def clear(self) -> bool:
        """Have it be readable no more; return whether it was."""
        cleared = False
        with contextlib.suppress(BlockingIOError):
            while self._out.recv(READ_SIZE):
                cleared = True
        return cleared

    def __del__(self) -> None:
        for each in self._ends:
            each.close()


def open_line() -> Line:
    """Return the best line that there is here."""
    return EventLine() if sys.platform == "linux" else SocketLine()


class WakeUp:
    """Wakes tasks, posted from wherever something has happened (row P9).

    ``wake_up.post()`` in a task, a thread or a signal handler; ``await wake_up.wait()`` in a task,
    which then looks at what has happened. What was done before a post is seen by whoever it wakes.
    It is a flag, not a queue: several posts before a `wait` are one, and one that comes while
    nobody waits is kept for the next who does.

    Made and posted without a run of Trio, it outlives those whose tasks wait for it, one run at a
    time. It holds descriptors, one on Linux and two elsewhere: use it in a ``with`` block, or close
    it.

    Another process posts to its `fileno` by a `WakeUpPoster`. After a fork, parent and child have
    one flag between them: the child may post, and must not wait.

    Raises:
        OSError: there is no descriptor left.
    """

    def __init__(self) -> None:
        self._line: Line | None = open_line()
        self._has_watcher = False
        self._others = trio.lowlevel.ParkingLot()
        self._times = 0

    def post(self) -> None:
        """Wake all tasks that wait, or the next one that does.

        Never waits and never raises, closed or not. Callable from any thread, and from a signal
        handler at any moment.
        """
        line = self._line
        if line is not None:
            line.write()

    async def wait(self) -> None:
        """Wait for a post; always a checkpoint. Cancelled, it has taken none.

        All tasks that wait at the time of a post are woken. A task that must not miss one while it
        does something else needs a `WakeUp` of its own.

        Raises:
            trio.ClosedResourceError: it is closed, before or meanwhile.
        """
        times = self._times
        while times == self._times:
            if self._line is None:
                await trio.lowlevel.checkpoint_if_cancelled()
                raise trio.ClosedResourceError("this wake-up is closed")
            if self._has_watcher:
                await self._others.park()
            else:
                await self._watch(self._line.reading)

    async def _watch(self, reading: int) -> None:
        """Wait for the descriptor, as one task at a time can, and wake the others."""
        self._has_watcher = True
        try:
            await trio.lowlevel.wait_readable(reading)
            if self._line is not None and self._line.clear():
                self._times += 1
        finally:
            self._has_watcher = False
            # Without a post they wait on, and one of them takes this place.
            self._others.unpark_all()

    def fileno(self) -> int:
        """Return the descriptor that a `WakeUpPoster` in another process posts to; -1 if closed.

        It is still owned here. Hand it on with ``subprocess.Popen(..., pass_fds=[...])``, by a
        fork, or through a Unix socket.
        """
        return self._line.writing if self._line is not None else -1

    def close(self) -> None:
        """Close it; tasks that wait are told `trio.ClosedResourceError`, later posts do nothing.

        Where tasks wait it is called in their thread. A second call does nothing.
        """
        line, self._line = self._line, None
        if line is not None and self._has_watcher:
            trio.lowlevel.notify_closing(line.reading)

    def __enter__(self) -> WakeUp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class WakeUpPoster:
    """Posts to the `WakeUp` of another process, through a descriptor that came from there.

    Not on Windows, where descriptors are not inherited like this.

    Parameters:
        fileno: what `WakeUp.fileno` returned, as it is called in this process. Owned from then on.

    Raises:
        OSError: there is no such descriptor here.
    """

    def __init__(self, fileno: int) -> None:
        os.fstat(fileno)
        self._descriptor: Descriptor | None = Descriptor(fileno)

    def post(self) -> None:
        """Wake all tasks that wait there, or the next one that does.

        As `WakeUp.post`; nothing if the other side is closed.
        """
        descriptor = self._descriptor
        if descriptor is not None:
            descriptor.write()

    def close(self) -> None:
        """Close the descriptor; later posts do nothing."""
        self._descriptor = None

    def __enter__(self) -> WakeUpPoster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
