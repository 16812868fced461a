"""Accepting from sockets that other workers accept from too.

The kernel wakes all of them for each connection (to have it wake one, ``EPOLLEXCLUSIVE``, takes an
event loop of one's own), and while they have little to do the same one comes first every time:
without more it has most of the connections that stay. So they count what they accept where all can
see it, and one that is ahead lets the others go first.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableSequence

import trio

from .._transport import Listener, SocketListener, Transport

# Connections that one may be ahead before it waits: that many are nothing to be late for.
SLACK = 2

# For others to wake up and accept, in seconds; the least that an event loop sleeps.
HEAD_START = 0.001

# Where others do not come, who waited for them takes so many before it waits again.
MOST_UNASKED = 64


class Turns:
    """Whose turn it is, by what each worker has accepted.

    Parameters:
        number: our place.
        counts: of all places, two at least, in memory that all workers share. Each writes its own.
    """

    def __init__(self, number: int, counts: MutableSequence[int]) -> None:
        self._number = number
        self._counts = counts
        self._unasked = 0
        self._step = 0
        # A new worker gets its share from now on, and not all that it has missed.
        counts[number] = max(counts[number], self._least_of_others)

    @property
    def _least_of_others(self) -> int:
        return min(count for number, count in enumerate(self._counts) if number != self._number)

    @property
    def ahead(self) -> bool:
        """Whether the others are to go first."""
        if self._unasked:
            return False
        return self._counts[self._number] > self._least_of_others + SLACK

    def note_accepted(self, count: int) -> None:
        """Count connections that we have accepted."""
        self._counts[self._number] += count
        self._unasked = max(0, self._unasked - count)

    def note_waited(self, *, in_vain: bool) -> None:
        """Note whether one that waited for the others found its connection still there."""
        self._step = min(MOST_UNASKED, self._step * 2 or 1) if in_vain else 0
        self._unasked = self._step


class SharedListener(Listener):
    """A listener that others accept from too: takes one connection at a time, in turn.

    Parameters:
        listener: owned from now on.
        turns: says whose turn it is; one for all listeners of a worker.
    """

    def __init__(self, listener: SocketListener, turns: Turns) -> None:
        self._listener = listener
        self._turns = turns
        self.address = listener.address

    @property
    def socket(self) -> socket.socket:
        """The socket that listens."""
        return self._listener.socket

    async def accept_some(self, room: Callable[[], int]) -> list[Transport]:
        """Wait for one, and for those who are behind us."""
        listener, turns = self._listener, self._turns
        while True:
            await listener.wait_waiting()
            waited = turns.ahead
            if waited:
                await trio.sleep(HEAD_START)
            limit = min(1, room())
            accepted = self.accept_waiting(limit)
            if waited and limit:
                turns.note_waited(in_vain=bool(accepted))
            if accepted or limit < 1:
                return accepted

    def accept_waiting(self, limit: int) -> list[Transport]:
        """Take what is there."""
        accepted = self._listener.accept_waiting(limit)
        self._turns.note_accepted(len(accepted))
        return accepted

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()
