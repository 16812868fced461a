"""The pool's state: who is open, who is being opened, who waits.

Only synchronous functions change it. What has to be awaited is done by those who are told to.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import count
from typing import Generic

import attrs
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
from ._lent import Lent
from ._limits import ClientLimits
from ._opening import Opening, pause_after
from ._room import Room

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

# A sender that could use a busy connection waits no longer than this for a new one: it may be that
# nobody answers there.
PATIENCE = 1.0

_CLOSED = "this client is closed"


@attrs.define
class _Seeker:
    """A sender that wants a connection.

    Parameters:
        asked: when it did.
        turn: its number, among those of the attempts to open connections.
        failures: openings that had failed by then.
        maximum: connections up to which another may be opened for it.
        ahead: whether it comes before all others.
    """

    asked: float
    turn: int
    failures: int
    maximum: int | None
    ahead: bool
    waits: bool = False
    """Whether it is counted among those who wait."""


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
        self._room = Room[SendT, ReceiveT, ContextT](limits.max_pending)
        self._loads = self._room.loads
        self._members: dict[Member[SendT, ReceiveT, ContextT], Load] = {}
        """All that have been opened and not left, those that are lent among them."""
        self.lent = Lent[SendT, ReceiveT, ContextT]()
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
        lent = self.lent
        return [each for each in self.open if each not in lent] if lent else self.open

    @property
    def open(self) -> list[Member[SendT, ReceiveT, ContextT]]:
        """The same, with those that are lent."""
        return [each for each in self._supervisor.members.values() if each.life.usable]

    @property
    def missing(self) -> int:
        """Connections to open to have the minimum, as far as there are places."""
        if self.closed:
            return 0
        there = len(self.usable) + len(self.lent) + self.opening
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

        That is so if one is idle, or the pool is as large as it may be, and nobody waits for room.
        Otherwise, or if the pool is closed, None: then `acquire` is to decide.
        """
        room = self._room
        if self.closed or room.line or room.promised:
            return None
        load = least(self._loads)
        if load is None or room.is_full(load.count):
            return None
        if load.count and self._supervisor.places.registered < self.limits.max_connections:
            return None  # There is a place for another, or one is being opened.
        member = self._loads[load]
        if member.life.usable:
            return member
        del self._loads[load]
        return None

    async def acquire(
        self, maximum: int | None = None, *, ahead: bool = False
    ) -> Member[SendT, ReceiveT, ContextT]:
        """Return the connection for the next message; waits, if for anything, for one to open.

        Where an opening fails whose last attempt was begun before the call, the caller gets one of
        its own. But it is told in any case when ``connect_timeout`` is over. Whoever does not use
        the connection at once has to call `progress`.

        Parameters:
            maximum: open another only up to so many connections; by default up to the pool's bound.
            ahead: wait for room before all others, however many there are: it is for messages that
                were accepted before theirs.

        Raises:
            PoolClosedError: the pool is closed.
            PoolBusyError: too many wait already.
            ConnectError: none is open and none could be opened.
            HandshakeError: likewise.
        """
        seeker = _Seeker(trio.current_time(), next(self._order), self.failures, maximum, ahead)
        try:
            while True:
                if self.closed:
                    # The cancellation that closed the pool may be the caller's too.
                    await trio.lowlevel.checkpoint_if_cancelled()
                    raise PoolClosedError(_CLOSED)
                member = self._find(seeker)
                if member is None:
                    member = await self._wait(seeker)
                if member is not None:
                    return member
        finally:
            self.waiting -= seeker.waits

    def _find(self, seeker: _Seeker) -> Member[SendT, ReceiveT, ContextT] | None:
        """Return a connection to use at once, None where there is something to wait for."""
        line = self._room.line
        chosen: Member[SendT, ReceiveT, ContextT] | Grow | None = Grow.WAIT
        if seeker.ahead or not line or self._has_place:
            chosen = self._choose(seeker)
        if isinstance(chosen, Member) and (seeker.ahead or not line):
            return chosen
        if chosen is None or (not line and trio.current_time() >= self._give_up_at(seeker)):
            raise self._why_none(since=seeker.failures)
        others = self.waiting - seeker.waits
        if others >= self.limits.max_waiting and not (seeker.waits or seeker.ahead):
            raise PoolBusyError(f"{others} senders wait for a connection already")
        if chosen is Grow.OPEN:
            self.open_one()
        return None

    def _give_up_at(self, seeker: _Seeker) -> float:
        """Return when a sender that has no connection to use is told so.

        What was being opened when it asked ends in time, and says then why; an attempt after that
        one has to keep the sender's own deadline.
        """
        if self.usable or self.lent or (self._openings and self.failures == seeker.failures):
            return float("inf")
        return seeker.asked + self.limits.connect_timeout

    def _choose(self, seeker: _Seeker) -> Member[SendT, ReceiveT, ContextT] | Grow | None:
        usable = self.usable
        # A connection that is ending keeps its place until its hooks have run.
        ending = self._supervisor.places.registered - len(usable)
        free = self.limits.max_connections - ending
        others = self.waiting - seeker.waits
        may_open = self._failed < seeker.turn
        chosen = choose(
            [self._taken(member) for member in usable],
            opening=self.opening,
            waiting=others,
            maximum=free if seeker.maximum is None else min(seeker.maximum, free),
            may_open=may_open and (not usable or self._may_grow(seeker.asked, others)),
            may_wait=not usable or self._may_wait(seeker.asked, others),
            full=self.limits.max_pending,
        )
        if chosen is None and (may_open or self.lent):
            return Grow.WAIT  # for the place of one that is ending, or one that comes back
        return usable[chosen] if isinstance(chosen, int) else chosen

    def _may_wait(self, asked: float, others: int) -> bool:
        """Whether to wait for what is being opened, though there is a busy connection to use."""
        in_time = trio.current_time() < self._patient_until(asked)
        return in_time and others < self.limits.max_waiting

    def _may_grow(self, asked: float, others: int) -> bool:
        """Whether to open another connection, though there is a busy one to use."""
        if self._openings:
            return self._may_wait(asked, others)
        rested = trio.current_time() >= self._rest_until
        return rested and others < self.limits.max_waiting

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

    async def _wait(self, seeker: _Seeker) -> Member[SendT, ReceiveT, ContextT] | None:
        """Wait for room, and return where it is; or until something has changed, to look again."""
        if not seeker.waits:
            seeker.waits = True
            self.waiting += 1
        if self._room.line or self._all_are_full():
            member = await self._room.wait(ahead=seeker.ahead)
            if member is None:
                return None
            seeker.ahead = True  # It had a place, if it has to wait again.
            gone = self.closed or not member.life.usable or member in self.lent
            return None if gone else member
        until = self._patient_until(seeker.asked) if self.usable else self._give_up_at(seeker)
        with trio.move_on_at(until):
            await self._supervisor.changed.park()
        return None

    # Room

    def has_room(self, member: Member[SendT, ReceiveT, ContextT]) -> bool:
        """Whether a connection may be given a message, as far as ``max_pending`` is concerned."""
        return not self._room.is_full(self._taken(member))

    def _taken(self, member: Member[SendT, ReceiveT, ContextT]) -> int:
        return self._room.taken(member, self.pending(member))

    def _all_are_full(self) -> bool:
        """Whether there are connections, and none of them has room."""
        if self._room.full is None or not (self.usable or self.lent):
            return False
        return self._room.roomiest() is None

    @property
    def _has_place(self) -> bool:
        """Whether another connection may be opened."""
        return self._supervisor.places.taken < self.limits.max_connections

    def serve(self) -> None:
        """Have those who wait for room take what there is, or look themselves where none comes."""
        room, openings = self._room, self._openings
        if self.closed:
            room.send_away()
            return
        room.serve()
        if not room.line or openings:
            return
        if self._has_place and trio.current_time() >= self._rest_until:
            self.open_one()  # Connections that they waited for have ended.
        elif not (self.lent or any(each.life.usable for each in self._loads.values())):
            room.send_away()

    # Lending

    def lend(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Give a connection no more messages until it is taken back."""
        self.lent.add(member)
        self._loads.pop(self._members[member], None)

    async def wait_quiet(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Wait until nothing is pending on a connection that is lent.

        Raises:
            PoolClosedError: the pool was closed.
            ConnectionLostError: the connection ended.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self.pending(member) and member.life.usable and not self.closed:
            await self.lent.wait()
        if self.closed:
            raise PoolClosedError(_CLOSED)
        if not member.life.usable:
            raise ConnectionLostError("the connection ended before it was quiet")
        self.lent.begin(member)

    def take_back(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection that was lent can be used by all again."""
        self.lent.end(member)
        # The oldest first, as they were.
        free = {load: each for each, load in self._members.items() if each not in self.lent}
        self._loads.clear()
        self._loads.update(free)
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
        member.life.writer.on_progress = self.progress
        if load is not member.life.writer.outbox:
            member.life.reader.on_progress = self.progress
        self.changed()

    def left(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection has ended."""
        self._loads.pop(self._members.pop(member), None)
        self.lent.forget(member)
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

    def progress(self) -> None:
        """Somebody who waits for a connection to open, or for room, may find some instead."""
        self.lent.wake()
        if self._room.line:
            self.serve()
        if self.waiting and self._supervisor.changed:
            load = least(self._loads)
            if load is not None and not load.count:
                self._supervisor.changed.unpark_all()

    def look_soon(self) -> None:
        """Call `progress` in the next pass: whoever was given a connection may not use it."""
        if self._room.line:
            trio.lowlevel.current_trio_token().run_sync_soon(self.progress, idempotent=True)

    def changed(self) -> None:
        """Have everybody who waits look again."""
        if self._room.line:
            self.serve()
        self.lent.wake()
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
