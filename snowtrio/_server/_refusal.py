"""Telling a peer that there is no place for it."""

from __future__ import annotations

import trio

from .._transport import Transport


class Doorman:
    """Closes refused connections; says a farewell first where there is one.

    A farewell needs a task each until the peer has read it, so their number is bounded.

    Parameters:
        farewell: raw bytes to send, empty for none.
    """

    def __init__(self, farewell: bytes) -> None:
        self._farewell = farewell
        self._busy = 0

    def may_speak(self, bound: int) -> bool:
        """Whether another farewell may be said."""
        return bool(self._farewell) and self._busy < bound

    async def turn_away(self, transport: Transport, *, speak: bool, timeout: float) -> None:
        """Say the farewell, wait until the peer has had time to read it, and close (row B9)."""
        self._busy += speak
        try:
            if speak:
                with trio.move_on_after(timeout):
                    await self._say_farewell(transport)
        finally:
            self._busy -= speak
            await transport.aclose()

    async def _say_farewell(self, transport: Transport) -> None:
        view = memoryview(self._farewell)
        try:
            while view:
                view = view[await transport.send_some(view) :]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # It left by itself.
        await transport.finish()
