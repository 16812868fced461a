"""Accepting connections, many a wake-up, and going on when descriptors run out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from .._supervisor import peer_of
from .._transport import BACKLOG, EXHAUSTED, Listener, Transport, close_at_once
from ._gate import MANY, Gate

logger = logging.getLogger("snowtrio.server")

# Something must be closed before the next accept can succeed; soon enough for a peer, rare enough
# for the processor.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Acceptor:
    """Brings connections from one listener to the gate.

    Parameters:
        listener: owned from now on.
        gate: decides on them.
        wait: waits until places have come or gone.
    """

    def __init__(self, listener: Listener, gate: Gate, wait: Callable[[], Awaitable[None]]) -> None:
        self.listener = listener
        self.errors = 0
        self._gate = gate
        self._room = partial(gate.room, prefaced=listener.prefaced)
        self._wait = wait
        # Those accepted that still wait for a place: one at most, of a listener that does not ask
        # whether there is room.
        self._held: deque[Transport] = deque()
        self._pause = 0.0

    async def run(self) -> None:
        """Accept until cancelled.

        Raises:
            OSError: the listener itself is broken.
        """
        while True:
            while not self._room():
                await self._wait()
            try:
                self._held += await self.listener.accept_some(self._room)
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                await self._back_off(error)
                continue
            self._recovered()
            while not self._admit_held(may_wait=True):
                await self._wait()

    def _admit_held(self, *, may_wait: bool) -> bool:
        while self._held:
            if not self._gate.admit(self._held[0], peer_of(self._held[0]), may_wait=may_wait):
                return False
            self._held.popleft()
        return True

    async def close(self) -> None:
        """Accept what waits already, then stop listening: no peer that got through is reset.

        Nobody waits for a place any more: those who find none are refused.
        """
        try:
            # No more than a backlog holds: who goes on connecting must not keep us listening.
            for _ in range(BACKLOG // MANY):
                self._held += self.listener.accept_waiting(MANY)
                if not self._held:
                    break
                self._admit_held(may_wait=False)
                await trio.lowlevel.checkpoint()
        except OSError as error:
            logger.warning("%s: %s", self.listener.address, error)
        self._held += self.listener.close_nowait()
        self._admit_held(may_wait=False)
        await self.listener.aclose()

    async def abandon(self) -> None:
        """Close the listener, and what it had accepted, at once."""
        for transport in self._held:
            await close_at_once(transport)
        await close_at_once(self.listener)

    async def _back_off(self, error: OSError) -> None:
        self.errors += 1
        if not self._pause:
            logger.error(
                "cannot accept on %s: %s; trying again until something is closed",
                self.listener.address,
                error.strerror,
            )
        self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _FIRST_PAUSE)
        await trio.sleep(self._pause)

    def _recovered(self) -> None:
        if self._pause:
            logger.warning("accepting again on %s", self.listener.address)
            self._pause = 0.0
