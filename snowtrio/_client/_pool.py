"""The pool's state: who is open, who is being opened, who waits.

Only synchronous functions change it. What has to be awaited is done by those who are told to.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Generic

import trio
from typing_extensions import TypeVar

from .._connection import again
from .._errors import (
    ConnectionLostError,
    ConnectTimeoutError,
    PoolBusyError,
    PoolClosedError,
)
from .._selection import Grow, Load, choose, least
from .._supervisor import Member, Supervisor
from ._limits import ClientLimits
from ._line import Line
from ._opening import Opening, pause_after

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

# A sender that could use a busy connection waits no longer than this for a new one: it may be that
# nobody answers there.
PATIENCE = 1.0

_CLOSED = "this client is closed"


class Pool(Generic[SendT, ReceiveT, ContextT]):
    """Chooses connections for senders, and opens more.

    Parameters:
        supervisor: has the connections and their places.
        limits: the bounds.
        start_opening: begins to open a connection; must call `opened` or `failed` when it is done.
        load_of: returns what tells how busy a connection is; asked once for each.
    """

    def __init__(
        self,
        supervisor: Supervisor[SendT, ReceiveT, ContextT],
        limits: ClientLimits,
        start_opening: Callable[[Opening], None],
        load_of: Callable[[Member[SendT, ReceiveT, ContextT]], Load],
    ) -> None:
        self.limits = limits
        self.closed = False
        self.waiting = 0
        self.failures = 0
        """Openings that failed."""
        self._supervisor = supervisor
        self._start_opening = start_opening
        self._load_of = load_of
        self._openings: set[Opening] = set()
        self._loads: dict[Load, Member[SendT, ReceiveT, ContextT]] = {}
        """What to look at for each message; some of the connections may have begun to end."""
        self._members: dict[Member[SendT, ReceiveT, ContextT], Load] = {}
        """All that have been opened and not left, those that are lent among them."""
        self._lent: set[Member[SendT, ReceiveT, ContextT]] = set()
        self._quiet = trio.lowlevel.ParkingLot()
        """Where those wait to whom a connection is lent that is not idle."""
        self._line = Line[Member[SendT, ReceiveT, ContextT]]()
        self._begun_at = 0.0
        # Numbers in one order who asks and what is tried, to tell what was tried after the asking.
        self._order = count()
        self._failed = -1  # The last attempt of the openings that failed.
        self._failure: Exception | None = None
        self._failed_in_row = 0
        self._rest_until = 0.0

    @property
    def opening(self) -> int:
        """Connections that are being opened."""
        return len(self._openings)

    @property
    def usable(self) -> list[Member[SendT, ReceiveT, ContextT]]:
        """The connections that messages can be given to, the oldest first."""
        members = self._supervisor.members.values()
        return [each for each in members if each.life.usable and each not in self._lent]

    @property
    def missing(self) -> int:
        """Connections to open to have the minimum, as far as there are places."""
        if self.closed:
            return 0
        there = len(self.usable) + len(self._lent) + self.opening
        wanted = self.limits.min_connections - there
        return min(wanted, self.limits.max_connections - self._supervisor.places.taken)

    def pending(self, member: Member[SendT, ReceiveT, ContextT]) -> int:
        """Messages that a connection is not done with."""
        # It is registered a moment before `opened` learns of it.
        load = self._members.get(member)
        return 0 if load is None else load.count

    # Choosing

    def at_once(self) -> Member[SendT, ReceiveT, ContextT] | None:
        """Return the connection for the next message where there is nothing to open or wait for.

        That is so if one is idle, or the pool is as large as it may be and nobody waits for room.
        Otherwise, or if the pool is closed, None: then `acquire` is to decide.
        """
        load = least(self._loads)
        if load is None or self.closed or self._room_on(self._loads[load], load) <= 0:
            return None
        if load.count and self._supervisor.places.registered < self.limits.max_connections:
            return None  # There is a place for another, or one is being opened.
        member = self._loads[load]
        if member.life.usable:
            return member
        del self._loads[load]
        return None

    async def acquire(self, maximum: int | None = None) -> Member[SendT, ReceiveT, ContextT]:
        """Return the connection for the next message; waits, if for anything, for one to open.

        Where an opening fails whose last attempt was begun before the call, the caller gets one of
        its own. But it is told in any case when ``connect_timeout`` is over.

        Parameters:
            maximum: open another only up to so many connections; by default up to the pool's bound.

        Raises:
            PoolClosedError: the pool is closed.
            PoolBusyError: too many wait already.
            ConnectError: none is open and none could be opened.
            HandshakeError: likewise.
        """
        asked, turn, failures = trio.current_time(), next(self._order), self.failures
        chosen: Member[SendT, ReceiveT, ContextT] | Grow | None
        while True:
            if self.closed:
                # The cancellation that closed the pool may be the caller's too.
                await trio.lowlevel.checkpoint_if_cancelled()
                raise PoolClosedError(_CLOSED)
            if self._line and self._supervisor.places.registered >= self.limits.max_connections:
                chosen = Grow.WAIT  # There is nothing to choose from.
            else:
                chosen = self._choose(asked, maximum, may_open=self._failed < turn)
            if isinstance(chosen, Member):
                return chosen
            if chosen is None or trio.current_time() >= self._give_up_at(asked, failures):
                raise self._why_none(since=failures)
            if self.waiting >= self.limits.max_waiting:
                raise PoolBusyError(f"{self.waiting} senders wait for a connection already")
            if chosen is Grow.OPEN:
                self.open_one()
            given = await self._wait(asked, self._give_up_at(asked, failures))
            if given is not None and given.life.usable:
                return given

    def _give_up_at(self, asked: float, failures: int) -> float:
        """Return when a sender that has no connection to use is told so.

        What was being opened when it asked ends in time, and says then why; an attempt after that
        one has to keep the sender's own deadline.
        """
        if self.usable or self._lent or (self._openings and self.failures == failures):
            return float("inf")
        return asked + self.limits.connect_timeout

    def _choose(
        self, asked: float, maximum: int | None, *, may_open: bool
    ) -> Member[SendT, ReceiveT, ContextT] | Grow | None:
        usable = self.usable
        # A connection that is ending keeps its place until its hooks have run.
        ending = self._supervisor.places.registered - len(usable)
        free = self.limits.max_connections - ending
        chosen = choose(
            [self.pending(member) + self._line.reserved(member) for member in usable],
            opening=self.opening,
            waiting=self.waiting,
            maximum=free if maximum is None else min(maximum, free),
            may_open=may_open and (not usable or self._may_grow(asked)),
            may_wait=not usable or self._may_wait(asked),
            full=self.limits.max_pending,
        )
        if chosen is None and (may_open or self._lent):
            return Grow.WAIT  # for the place of one that is ending, or one that comes back
        return usable[chosen] if isinstance(chosen, int) else chosen

    def _may_wait(self, asked: float) -> bool:
        """Whether to wait for what is being opened, though there is a busy connection to use."""
        in_time = trio.current_time() < self._patient_until(asked)
        return in_time and self.waiting < self.limits.max_waiting

    def _may_grow(self, asked: float) -> bool:
        """Whether to open another connection, though there is a busy one to use."""
        if self._openings:
            return self._may_wait(asked)
        rested = trio.current_time() >= self._rest_until
        return rested and self.waiting < self.limits.max_waiting

    def _patient_until(self, asked: float) -> float:
        return min(asked, self._begun_at) + PATIENCE

    def _why_none(self, since: int) -> Exception:
        if self._failure is not None and self.failures > since:
            return again(self._failure)
        return ConnectTimeoutError(
            errno.ETIMEDOUT,
            f"no connection became free within {self.limits.connect_timeout:g} seconds: "
            "all places are taken by connections that are ending",
        )

    async def _wait(self, asked: float, until: float) -> Member[SendT, ReceiveT, ContextT] | None:
        """Wait to be given a place, or until something has changed, to look again."""
        self.waiting += 1
        try:
            if self._full:
                return await self._line.wait()
            with trio.move_on_at(self._patient_until(asked) if self.usable else until):
                await self._supervisor.changed.park()
            return None
        finally:
            self.waiting -= 1

    # Room

    @property
    def _full(self) -> bool:
        """Whether there are connections, and none of them takes another message."""
        room = [self._room_on(each, load) for load, each in self._loads.items() if each.life.usable]
        return bool(room) and max(room) <= 0

    def _room_on(self, member: Member[SendT, ReceiveT, ContextT], load: Load) -> int:
        """Return how many messages a connection may be given."""
        full = self.limits.max_pending
        return 1 if full is None else full - load.count - self._line.reserved(member)

    def _give_room(self, load: Load, member: Member[SendT, ReceiveT, ContextT]) -> None:
        if member.life.usable:
            for _ in range(min(self._room_on(member, load), len(self._line))):
                self._line.give(member)

    # Lending

    def lend(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Give a connection no more messages until it is taken back."""
        self._lent.add(member)
        self._loads.pop(self._members[member], None)

    async def wait_quiet(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Wait until nothing is pending on a connection that is lent.

        Raises:
            PoolClosedError: the pool was closed.
            ConnectionLostError: the connection ended.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self.pending(member) and member.life.usable and not self.closed:
            await self._quiet.park()
        if self.closed:
            raise PoolClosedError(_CLOSED)
        if not member.life.usable:
            raise ConnectionLostError("the connection ended before it was quiet")

    def take_back(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection that was lent can be used by all again."""
        self._lent.discard(member)
        # The oldest first, as they were.
        self._loads = {load: each for each, load in self._members.items() if each not in self._lent}
        self.changed()

    # Opening

    def open_one(self) -> None:
        """Begin to open a connection; the caller has seen that there is a place."""
        self._begun_at = trio.current_time()
        # With a connection to fall back on there is no point in trying for long.
        attempts = 1 if self.usable else self.limits.connect_attempts
        opening = Opening(self._supervisor.places.reserve(), attempts, self._order)
        self._openings.add(opening)
        self._start_opening(opening)

    def opened(self, opening: Opening, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection has been opened."""
        self._openings.discard(opening)
        self._failed_in_row = 0
        load = self._load_of(member)
        self._members[member] = load
        self._loads[load] = member
        member.life.writer.on_progress = partial(self.progress, load)
        if load is not member.life.writer.outbox:
            member.life.reader.on_progress = partial(self.progress, load)
        self.changed()

    def left(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection has ended."""
        self._loads.pop(self._members.pop(member), None)
        self._lent.discard(member)
        self.changed()

    def failed(self, opening: Opening, error: Exception) -> None:
        """Note that a connection could not be opened; who has no other is told why."""
        self._openings.discard(opening)
        opening.place.release()
        self.failures += 1
        self._failed = max(self._failed, opening.tried)
        self._failure = error
        pause = pause_after(self._failed_in_row, self.limits)
        self._failed_in_row += 1
        self._rest_until = trio.current_time() + pause
        self.changed()

    def gave_up(self, opening: Opening) -> None:
        """Note that an opening was cancelled: nobody opens connections for this pool any more."""
        self._openings.discard(opening)
        opening.place.release()
        self.close()

    def progress(self, load: Load) -> None:
        """Note that a connection is less busy: somebody may wait for that."""
        if self._quiet:
            self._quiet.unpark_all()
        if not self.waiting:
            return
        if self._line and load in self._loads:
            self._give_room(load, self._loads[load])
        if not load.count and len(self._line) < self.waiting:
            self._supervisor.changed.unpark_all()

    def changed(self) -> None:
        """Have everybody who waits look again."""
        if self._line:
            self._line.send_away()
        self._quiet.unpark_all()
        self._supervisor.changed.unpark_all()

    async def wait_changed(self) -> None:
        """Wait until something about the connections has changed."""
        await self._supervisor.changed.park()

    # Ending

    def close(self) -> None:
        """Refuse senders from now on, and give up what is being opened."""
        self.closed = True
        for opening in self._openings:
            opening.scope.cancel(reason="the client is closed")
        self.changed()
