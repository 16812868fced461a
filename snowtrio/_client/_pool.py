"""The pool's state: who is open, who is being opened, who waits.

Only synchronous functions change it. What has to be awaited is done by those who are told to.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Generic

from typing_extensions import TypeVar

from .._connection import Connection
from .._errors import PoolBusyError, PoolClosedError
from .._selection import Grow, choose
from .._supervisor import Member, Place, Supervisor
from ._limits import ClientLimits

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Pool(Generic[SendT, ReceiveT, ContextT]):
    """Chooses connections for senders, and opens more.

    Parameters:
        supervisor: has the connections and their places.
        limits: the bounds.
        start_opening: begins to open a connection in the place that it is given; must call
            `opened` or `failed` when it is done.
        until_answered: whether a message counts as pending until one came back.
    """

    def __init__(
        self,
        supervisor: Supervisor[SendT, ReceiveT, ContextT],
        limits: ClientLimits,
        start_opening: Callable[[Place], None],
        *,
        until_answered: bool,
    ) -> None:
        self.limits = limits
        self.closed = False
        self.opening = 0
        self.waiting = 0
        self._supervisor = supervisor
        self._start_opening = start_opening
        self._until_answered = until_answered
        self._failures = 0
        self._failure: Exception | None = None

    @property
    def members(
        self,
    ) -> Mapping[Connection[SendT, ReceiveT, ContextT], Member[SendT, ReceiveT, ContextT]]:
        """All connections that are registered, those that are ending among them."""
        return self._supervisor.members

    @property
    def usable(self) -> list[Member[SendT, ReceiveT, ContextT]]:
        """The connections that messages can be given to, the oldest first."""
        return [each for each in self._supervisor.members.values() if each.life.usable]

    def pending(self, member: Member[SendT, ReceiveT, ContextT]) -> int:
        """Messages that a connection is not done with."""
        if self._until_answered:
            return max(member.connection.pending, member.life.unanswered)
        return member.connection.pending

    # Choosing

    async def acquire(self) -> Member[SendT, ReceiveT, ContextT]:
        """Return the connection for the next message; waits, if for anything, for one to open.

        Raises:
            PoolClosedError: the pool is closed.
            PoolBusyError: too many wait already.
            ConnectError: none is open and none could be opened.
            HandshakeError: likewise.
        """
        failures = self._failures
        while True:
            chosen = self._choose(may_open=self._failures == failures)
            if isinstance(chosen, Member):
                return chosen
            if chosen is None:
                assert self._failure is not None
                raise _again(self._failure)
            if self.waiting >= self.limits.max_waiting:
                raise PoolBusyError(f"{self.waiting} senders wait for a connection already")
            if chosen is Grow.OPEN:
                self.open_one()
            await self._wait()

    async def first(self) -> None:
        """Wait until a connection is open, opening exactly one if none is being opened; see `acquire`."""
        if not (self.closed or self.usable or self.opening):
            self.open_one()
        failures = self._failures
        while not self.usable:
            if self.closed:
                raise PoolClosedError("this client is closed")
            if self._failures > failures and not self.opening:
                assert self._failure is not None
                raise _again(self._failure)
            await self._wait()

    def _choose(self, *, may_open: bool) -> Member[SendT, ReceiveT, ContextT] | Grow | None:
        if self.closed:
            raise PoolClosedError("this client is closed")
        usable = self.usable
        # A connection that is ending keeps its place until its hooks have run.
        ending = self._supervisor.places.registered - len(usable)
        chosen = choose(
            [self.pending(member) for member in usable],
            opening=self.opening,
            waiting=self.waiting,
            maximum=self.limits.max_connections - ending,
            may_open=may_open,
        )
        if chosen is None and may_open:
            return Grow.WAIT  # for the place of one that is ending
        return usable[chosen] if isinstance(chosen, int) else chosen

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            await self._supervisor.changed.park()
        finally:
            self.waiting -= 1

    # Opening

    def open_one(self) -> None:
        """Begin to open a connection; the caller has seen that there is a place."""
        self.opening += 1
        self._start_opening(self._supervisor.places.reserve())

    def open_minimum(self) -> None:
        """Begin to open what is missing to the minimum."""
        missing = self.limits.min_connections - len(self.usable) - self.opening
        free = self.limits.max_connections - self._supervisor.places.taken
        for _ in range(min(missing, free)):
            self.open_one()

    def opened(self) -> None:
        """Note that a connection has been opened."""
        self.opening -= 1
        self.changed()

    def failed(self, error: Exception) -> None:
        """Note that a connection could not be opened; who has no other is told why."""
        self.opening -= 1
        self._failures += 1
        self._failure = error
        self.changed()

    def changed(self) -> None:
        """Have everybody who waits look again."""
        self._supervisor.changed.unpark_all()

    # Ending

    def close(self) -> None:
        """Refuse senders from now on."""
        self.closed = True
        self.changed()


def _again(error: Exception) -> Exception:
    """Return an error for another waiter, with a traceback of its own."""
    fresh = copy.copy(error)
    fresh.__cause__ = error.__cause__
    return fresh
