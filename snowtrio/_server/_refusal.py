"""Telling a peer that there is no place for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import trio

from .._transport import Transport, close_at_once

logger = logging.getLogger("snowtrio.server")


class Doorman:
    """Closes refused connections; says a farewell first where there is one.

    A farewell takes until the peer has read it, so the number of those that are being said is
    bounded.

    Parameters:
        farewell: raw bytes to send, empty for none.
        start_soon: starts a task.
    """

    def __init__(self, farewell: bytes, start_soon: Callable[..., Any]) -> None:
        self._farewell = farewell
        self._start_soon = start_soon
        self._speaking = 0
        self._silent = trio.lowlevel.ParkingLot()

    def turn_away(self, transport: Transport, *, farewells: int, timeout: float) -> None:
        """Have a connection closed, and told why if that can be. Does not wait.

        Parameters:
            transport: owned from now on.
            farewells: how many may be told at a time; 0 for those that would not understand.
            timeout: how long the peer has to read it, in seconds (row B9).
        """
        if self._farewell and self._speaking < farewells:
            self._speaking += 1
            self._start_soon(self._say_farewell, transport, timeout)
        else:
            self._start_soon(self._close, transport)

    async def wait_silent(self) -> None:
        """Wait until every farewell has been said."""
        while self._speaking:
            await self._silent.park()

    async def _say_farewell(self, transport: Transport, timeout: float) -> None:
        try:
            with trio.move_on_after(timeout):
                view = memoryview(self._farewell)
                while view:
                    view = view[await transport.send_some(view) :]
                await transport.finish()
        except Exception as error:
            logger.debug("%s left before its farewell: %r", transport.peer_address, error)
        finally:
            self._speaking -= 1
            self._silent.unpark_all()
            await self._close(transport)

    async def _close(self, transport: Transport) -> None:
        try:
            # At once: a stream that would first shake hands, as TLS does, might wait for ever.
            await close_at_once(transport)
        except Exception as error:
            logger.debug("closing %s: %r", transport.peer_address, error)
