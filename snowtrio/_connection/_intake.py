"""How much a connection may read, and when: its peer's rate and the memory budget."""

from __future__ import annotations

import trio

from .._buffer import ReceiveBuffer
from .._errors import StalledError
from ._budget import Share
from ._rate import TokenBucket
from ._statistics import Counters


class Intake:
    """Says when reading has to pause.

    Parameters:
        buffer: what was read and not decoded, which is what the budget is charged for.
        counters: the connection's counts.
        share: of the memory that all connections have together.
        bucket: limits the rate of this peer.
        patience: how long to wait for memory, in seconds.
    """

    __slots__ = (
        "_bucket",
        "_buffer",
        "_charged",
        "_counters",
        "_delay",
        "_patience",
        "_share",
        "limited",
    )

    def __init__(
        self,
        buffer: ReceiveBuffer,
        counters: Counters,
        share: Share | None,
        bucket: TokenBucket | None,
        patience: float,
    ) -> None:
        self._buffer = buffer
        self._counters = counters
        self._share = share
        self._bucket = bucket
        self._patience = patience
        self._charged = len(buffer)
        self._delay = 0.0
        self.limited = share is not None or bucket is not None
        """Whether there is anything that could make reading pause."""

    @property
    def open(self) -> bool:
        """Whether neither rate nor budget puts the next read off."""
        return self._delay == 0.0 and (self._share is None or self._share.allows)

    def took(self, size: int) -> None:
        """Note a read, where anything is limited."""
        if self._bucket is not None:
            self._delay = self._bucket.spend(size, trio.current_time())
        self.settle()

    def settle(self) -> None:
        """Charge the budget for what is in the buffer now."""
        if self._share is not None:
            self._share.charge(len(self._buffer) - self._charged)
            self._charged = len(self._buffer)

    async def pause(self) -> None:
        """Wait until reading may go on; others may use the budget up meanwhile.

        Raises:
            StalledError: there was no memory for too long. Who holds half a frame for ever must
                not block the budget.
        """
        if self._delay > 0:
            self._counters.rate_limited += 1
            await trio.sleep(self._delay)
            self._delay = 0.0
        if self._share is None or self._share.allows:
            return
        self._counters.budget_waits += 1
        with trio.move_on_after(self._patience) as scope:
            await self._share.wait()
        if scope.cancelled_caught:
            raise StalledError("no memory left in the budget for an unfinished message")
