"""Where everybody waits who waits for anything about a connection."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Changes:
    """One place to park for all conditions of a connection: room, progress, an end.

    Few ever wait on one connection, and most never; so whoever waits looks for himself whether what
    changed is what he waits for, and the place itself is made for the first who does.
    """

    __slots__ = ("_lot",)

    def __init__(self) -> None:
        self._lot: trio.lowlevel.ParkingLot | None = None

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; no checkpoint if it does already."""
        if self._lot is None:
            self._lot = trio.lowlevel.ParkingLot()
        while not condition():
            await self._lot.park()

    def note(self) -> None:
        """Have everybody look again."""
        if self._lot:
            self._lot.unpark_all()
