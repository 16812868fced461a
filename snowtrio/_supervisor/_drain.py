"""Ending many connections in good order, and saying what became of each (row B3)."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import trio

from .._connection import Cause
from .._transport import Address


class Phase(enum.Enum):
    """The phases of a drain, in order."""

    SETTLE = "settle"
    """They may go on; the protocol's ``settle`` hook has told each that its server will end."""
    GOODBYE = "goodbye"
    """Every connection is asked to end, by the protocol's ``goodbye`` hook."""
    WAIT = "wait"
    """They are waited for."""
    CANCEL = "cancel"
    """Those that are left are cut."""


@attrs.frozen(kw_only=True)
class DrainTimeouts:
    """How long each phase may take, in seconds.

    Parameters:
        settle: for connections to go on as they are, while new ones go elsewhere: to another server
            on the same port, which is what this is for (a rolling restart). A client that has just
            sent a request does not know of the drain. Default 0: they are told to end at once.
        goodbye: for the ``goodbye`` hooks, all at the same time.
        wait: for connections to end by themselves.
    """

    settle: float = 0.0
    goodbye: float = 5.0
    wait: float = 30.0

    @property
    def total(self) -> float:
        """How long all of it may take; what is cut then runs its hooks."""
        return self.settle + self.goodbye + self.wait


@attrs.frozen
class Drained:
    """What became of one connection.

    Parameters:
        peer_address: whose it was.
        phase: the phase in which it ended.
        cause: why it ended.
        unsent: how many messages were accepted and not sent.
    """

    peer_address: Address | None
    phase: Phase
    cause: Cause
    unsent: int


@attrs.frozen
class DrainReport:
    """What a drain did.

    Parameters:
        connections: one entry for each that was there when it began, or came during it.
        seconds: how long each phase took.
    """

    connections: tuple[Drained, ...]
    seconds: dict[Phase, float]

    @property
    def cut(self) -> int:
        """How many connections had to be cut."""
        return sum(each.phase is Phase.CANCEL for each in self.connections)

    @property
    def clean(self) -> bool:
        """Whether every connection ended by itself and nothing stayed unsent."""
        return all(each.phase is not Phase.CANCEL and not each.unsent for each in self.connections)


class Drainable(Protocol):
    """What a drain asks of those who keep the connections."""

    def settle(self) -> None:
        """Have every connection's ``settle`` hook run."""

    async def say_goodbye(self) -> None:
        """Have every connection's ``goodbye`` hook run."""

    async def wait_empty(self) -> None:
        """Wait until no connection is left."""

    def cut(self) -> None:
        """End every connection at once."""

    def cut_handshakes(self) -> None:
        """Fail every handshake that is in progress."""


class Drain:
    """One drain, from its beginning to its report; told of each connection that ends.

    Parameters:
        timeouts: of its phases.
    """

    def __init__(self, timeouts: DrainTimeouts) -> None:
        self.timeouts = timeouts
        self.phase = Phase.SETTLE if timeouts.settle > 0 else Phase.GOODBYE
        self.report: DrainReport | None = None
        self._drained: list[Drained] = []

    def note(self, address: Address | None, cause: Cause, unsent: int) -> None:
        """Note what became of a connection."""
        self._drained.append(Drained(address, self.phase, cause, unsent))

    async def run(self, pool: Drainable) -> DrainReport:
        """Go through the phases and return the report."""

        async def settle() -> None:
            pool.settle()
            await pool.wait_empty()

        async def cut() -> None:
            pool.cut()
            pool.cut_handshakes()
            await pool.wait_empty()

        timeouts = self.timeouts
        seconds = {Phase.SETTLE: 0.0}
        if timeouts.settle > 0:
            seconds[Phase.SETTLE] = await self._take(Phase.SETTLE, settle, timeouts.settle)
        seconds |= {
            Phase.GOODBYE: await self._take(Phase.GOODBYE, pool.say_goodbye, timeouts.goodbye),
            Phase.WAIT: await self._take(Phase.WAIT, pool.wait_empty, timeouts.wait),
            # What is cut runs its hooks, each of which has a deadline of its own.
            Phase.CANCEL: await self._take(Phase.CANCEL, cut, float("inf")),
        }
        return DrainReport(tuple(self._drained), seconds)

    async def _take(
        self, phase: Phase, act: Callable[[], Awaitable[None]], timeout: float
    ) -> float:
        self.phase = phase
        began = trio.current_time()
        with trio.move_on_after(timeout):
            await act()
        return trio.current_time() - began
