"""Accepting connections, many a wake-up, and going on when descriptors run out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from .._transport import EXHAUSTED, Listener, Transport

logger = logging.getLogger("snowtrio.server")

# Something must be closed before the next accept can succeed; soon enough for a peer, rare enough
# for the processor.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Acceptor:
    """Brings connections from one listener to whoever decides on them.

    Parameters:
        listener: owned from now on.
        wait_for_places: waits until connections may be accepted, and returns how many.
        admit: takes each.
    """

    def __init__(
        self,
        listener: Listener,
        wait_for_places: Callable[[], Awaitable[int]],
        admit: Callable[[Transport], Awaitable[None]],
    ) -> None:
        self.listener = listener
        self.errors = 0
        self._wait_for_places = wait_for_places
        self._admit = admit
        self._pause = 0.0

    async def run(self) -> None:
        """Accept until cancelled.

        Raises:
            OSError: the listener itself is broken.
        """
        while True:
            limit = await self._wait_for_places()
            try:
                accepted = await self.listener.accept_some(limit)
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                await self._back_off(error)
                continue
            self._recovered()
            for transport in accepted:
                await self._admit(transport)

    async def close(self) -> None:
        """Accept what waits already, then stop listening: no peer that got through is reset."""
        try:
            while accepted := self.listener.accept_waiting(64):
                for transport in accepted:
                    await self._admit(transport)
        except OSError as error:
            logger.warning("%s: %s", self.listener.address, error)
        await self.listener.aclose()

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
