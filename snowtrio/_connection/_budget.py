"""One bound in bytes over many connections, shared fairly (row B11).

Half of the budget is dealt out evenly: whatever the others do, each connection may hold its share
of that half. The other half is lent to whoever asks while it lasts. So the whole is never exceeded
by more than one read or message a connection, and nobody starves.
"""

from __future__ import annotations

import trio


class MemoryBudget:
    """Counts the bytes held for all connections of a server.

    Parameters:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("the memory budget must be at least 1 byte")
        self.limit = limit
        self.held = 0
        self.peak = 0
        self._shares = 0
        self._freed = trio.lowlevel.ParkingLot()

    def open(self) -> Share:
        """Return a new connection's share."""
        self._shares += 1
        return Share(self)

    def allows(self, held: int) -> bool:
        """Whether a connection that holds `held` bytes may take more."""
        half = self.limit / 2
        return self.held < half or held < half / max(1, self._shares)

    def note(self, change: int) -> None:
        """Count bytes that a share took or gave back."""
        self.held += change
        self.peak = max(self.peak, self.held)
        if change < 0 and self._freed:
            self._freed.unpark_all()

    async def wait(self) -> None:
        """Wait until something is given back."""
        await self._freed.park()

    def close(self, share: Share) -> None:
        """Take back all that a connection held."""
        self._shares -= 1
        self.note(-share.held)
        self._freed.unpark_all()  # One that held nothing still makes the others' shares larger.


class Share:
    """What one connection holds of the budget."""

    __slots__ = ("_budget", "_closed", "held")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._closed = False
        self.held = 0

    def charge(self, change: int) -> None:
        """Take bytes, or give them back when negative."""
        if not self._closed:
            self.held += change
            self._budget.note(change)

    @property
    def allows(self) -> bool:
        """Whether this connection may take more."""
        return self._budget.allows(self.held)

    async def wait(self) -> None:
        """Wait until this connection may take more."""
        while not self.allows:
            await self._budget.wait()

    def close(self) -> None:
        """Give everything back; idempotent."""
        if not self._closed:
            self._budget.close(self)
            self._closed = True
            self.held = 0
