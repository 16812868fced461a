"""Admit, handshake, register, count, drain: the same for servers and clients.

Each connection has one task of ours, from before its handshake until after its last hook. It holds
a place all that time, so the counts are right whatever happens in between.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeAlias

import attrs
import trio
from typing_extensions import TypeVar

from .._connection import Cause, Connection, Life, MemoryBudget, TokenBucket
from .._protocol import Protocol, has_close, has_purge, is_departure
from .._side import Side
from .._transport import BufferedStream, Transport
from ._drain import Drain, DrainReport, DrainTimeouts, Phase
from ._handshake import TLS, Agreement, Handshakes
from ._limits import PoolLimits
from ._log_limit import LogLimit
from ._nursery import open_plain_nursery
from ._partings import Partings
from ._peer import peer_of
from ._places import Place, Places
from ._rates import PeerRates
from ._statistics import PoolStatistics, Tally

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

Rescue: TypeAlias = Callable[[deque[SendT]], Awaitable[None]]


@attrs.frozen(eq=False)
class Member(Generic[SendT, ReceiveT, ContextT]):
    """A registered connection, with what only its supervisor uses."""

    connection: Connection[SendT, ReceiveT, ContextT]
    life: Life[SendT, ReceiveT]
    place: Place
    since: float
    """When it was registered, in Trio's time."""
    bucket: TokenBucket | None
    """What limits the rate of its peer."""


class Supervisor(Generic[SendT, ReceiveT, ContextT]):
    """Keeps the connections of one server or client.

    Parameters:
        protocol: what they speak.
        side: the end that we are.
        limits: the bounds.
        logger: where trouble is reported.
        propagate_errors: whether what a handler or hook raises goes on to the caller of `attend`,
            rather than to the log.
        budget: bytes that all connections may hold together.
        max_per_peer: places that one peer may have.
    """

    def __init__(
        self,
        protocol: Protocol[SendT, ReceiveT, ContextT],
        side: Side,
        limits: PoolLimits,
        *,
        logger: logging.Logger,
        propagate_errors: bool = False,
        budget: MemoryBudget | None = None,
        max_per_peer: int | None = None,
    ) -> None:
        self.protocol = protocol
        self.limits = limits
        self.changed = trio.lowlevel.ParkingLot()
        """Whoever waits for a place, or for connections to leave, parks here."""
        self.places = Places(limits, max_per_peer, self._places_changed)
        self.members: dict[
            Connection[SendT, ReceiveT, ContextT], Member[SendT, ReceiveT, ContextT]
        ] = {}
        self._side = side
        self._has_close = has_close(protocol)
        self._logger = logger
        self._propagate = propagate_errors
        self._budget = budget
        self._handshakes = Handshakes(protocol, side)
        self._rates = PeerRates()
        self._tally = Tally()
        self._log_limit = LogLimit()
        self._drain: Drain | None = None
        self._draining = trio.Lock()
        self._partings = Partings(protocol, logger, propagate_errors=propagate_errors)

    def set_limits(self, limits: PoolLimits, max_per_peer: int | None = None) -> None:
        """Replace the bounds; connections that are there keep those of their own."""
        self.limits = self.places.limits = limits
        self.places.max_per_peer = max_per_peer
        self.changed.unpark_all()

    def _places_changed(self) -> None:
        if self.changed:  # Mostly nobody waits, and waking nobody takes Trio three calls.
            self.changed.unpark_all()

    # Handshake and registration

    async def introduce(
        self, place: Place, transport: Transport, tls: TLS | None = None
    ) -> Member[SendT, ReceiveT, ContextT]:
        """Shake hands and register.

        Owns `transport` from now on; `place` stays the caller's when it raises, and no hook but the
        handshake has run then.

        Raises:
            NoPlaceError: there is none for the peer that it turned out to be; `transport` is open,
                and the caller's again.
            HandshakeError: with the reason as its cause; the transport is closed.
        """
        stream = BufferedStream(transport)
        agreed = await self._handshakes.run(stream, tls, self.limits, place)
        return self._register(place, stream, agreed)

    def _register(
        self,
        place: Place,
        stream: BufferedStream,
        agreed: Agreement[SendT, ReceiveT, ContextT],
    ) -> Member[SendT, ReceiveT, ContextT]:
        now, rate = trio.current_time(), self.limits.max_receive_rate
        bucket = self._rates.join(peer_of(stream.transport), rate, now)
        # Not subscripted: that would give each of them a __dict__ to remember its types in.
        life: Life[SendT, ReceiveT] = Life(
            stream.transport,
            stream.buffer,
            agreed.coder,
            self.limits,
            share=self._budget.open() if self._budget is not None else None,
            bucket=bucket,
            eof_is_departure=self.protocol.eof_is_departure,
            shares_coder=agreed.coder is self.protocol.codec,
        )
        connection: Connection[SendT, ReceiveT, ContextT]
        connection = Connection(life, self._side, agreed.context)
        member = Member(connection, life, place, now, bucket)
        place.register()
        self.members[connection] = member
        self._tally.opened += 1
        return member

    # The life of a registered connection

    async def attend(
        self,
        member: Member[SendT, ReceiveT, ContextT],
        body: Callable[[], Awaitable[None]],
        rescue: Rescue[SendT] | None = None,
    ) -> None:
        """Run a connection with `body`, then its hooks, and give its place back.

        Parameters:
            member: from `introduce`.
            body: what the connection is for; when it returns the connection is closed in order.
            rescue: takes unsent messages out of the queue that it is given; the others are purged.
        """
        if self._drain is not None:
            body = partial(self._run_in_drain, member, body)
            if self._drain.phase is Phase.CANCEL:
                member.life.cut(Cause.DROPPED)  # Its handshake outlasted the drain.
        failures: list[Exception] = []
        try:
            failure = await member.life.run(body)
            if failure is not None and not self._is_departure(member, failure):
                failures.append(failure)
        except Exception as error:
            failures.append(error)
        finally:
            try:
                await self._run_hooks(member, rescue, failures)
            finally:
                self._forget(member)
            self._report(member, failures)

    async def _run_in_drain(
        self, member: Member[SendT, ReceiveT, ContextT], body: Callable[[], Awaitable[None]]
    ) -> None:
        assert self._drain is not None
        if self._drain.phase is Phase.SETTLE:
            self._partings.settle(member.connection)
        else:
            with trio.move_on_after(self._drain.timeouts.goodbye):
                await self._partings.say_goodbye(member.connection)
        await body()

    def _is_departure(self, member: Member[SendT, ReceiveT, ContextT], error: Exception) -> bool:
        """Whether a body only failed because its connection ended; such an end is no failure."""
        ending = member.life.ending
        if not is_departure(error) or ending is None or ending.cause is Cause.HANDLER_ERROR:
            return False
        # Strangers cause these, so they do not decide how many lines there are.
        telling = ending.cause in (Cause.PROTOCOL_ERROR, Cause.STALLED)
        level = logging.INFO if telling and self._log_limit.allows() else logging.DEBUG
        self._logger.log(level, "%r ended: %s", member.connection, error)
        # Its frames hold the connection, and itself: that would stay until cycles are looked for.
        error.with_traceback(None)
        return True

    async def _run_hooks(
        self,
        member: Member[SendT, ReceiveT, ContextT],
        rescue: Rescue[SendT] | None,
        failures: list[Exception],
    ) -> None:
        unsent: deque[SendT] = deque(member.life.ending.unsent if member.life.ending else ())
        try:
            if self._has_close:
                await self._run_close_hook(member, failures)
            if rescue is not None:
                self._forget(member)
                await rescue(unsent)
        finally:
            self._purge(member, unsent, failures)

    async def _run_close_hook(
        self, member: Member[SendT, ReceiveT, ContextT], failures: list[Exception]
    ) -> None:
        with trio.move_on_after(self.limits.hook_timeout, shield=True) as scope:
            try:
                await self.protocol.close(member.connection)
            except Exception as error:
                failures.append(error)
        if scope.cancelled_caught:
            self._logger.error("the close hook of %r took too long", member.connection)

    def _purge(
        self,
        member: Member[SendT, ReceiveT, ContextT],
        unsent: deque[SendT],
        failures: list[Exception],
    ) -> None:
        self._tally.messages_unsent += len(unsent)
        if unsent:
            if not has_purge(self.protocol) and self._log_limit.allows():
                peer = member.connection.peer_address
                self._logger.warning("%d messages to %s were not sent", len(unsent), peer)
            try:
                self.protocol.purge(member.connection, tuple(unsent))
            except Exception as error:
                failures.append(error)

    def _forget(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Take a connection off the books; idempotent."""
        if self.members.pop(member.connection, None) is None:
            return
        ending = member.life.ending
        assert ending is not None
        self._tally.ended[ending.cause] += 1
        self._tally.messages_in_doubt += len(ending.in_doubt)
        self._tally.add(member.life)
        if self._drain is not None:
            self._drain.note(member.connection.peer_address, ending.cause, len(ending.unsent))
        self._partings.forget(member.connection)
        self._rates.leave(peer_of(member.life.transport), member.bucket)
        member.place.release()

    def _report(self, member: Member[SendT, ReceiveT, ContextT], failures: list[Exception]) -> None:
        """Log what failed; or raise the first, where errors propagate."""
        raised = failures[0] if failures and self._propagate else None
        for error in failures[1 if raised else 0 :]:
            self._logger.error("a handler of %r failed", member.connection, exc_info=error)
        if raised is not None:
            raise raised

    # All of them

    def cut(self, cause: Cause = Cause.DROPPED) -> None:
        """Cut every connection that is registered now."""
        for member in list(self.members.values()):
            member.life.cut(cause)

    def cut_handshakes(self) -> None:
        """Fail every handshake that is in progress, or that is about to begin."""
        self._handshakes.cut()

    async def drain(self, timeouts: DrainTimeouts) -> DrainReport:
        """Let settle, say goodbye, wait, cut what is left; no place is given any more (row B3).

        A second caller waits for the first and gets the same report; if the first is cancelled, the
        second takes over from the beginning.
        """
        self.places.closing = True
        async with self._draining:
            if self._drain is None:
                self._drain = Drain(timeouts)
            if self._drain.report is None:
                self._drain.report = await self._drain.run(self)
            return self._drain.report

    def settle(self) -> None:
        """Have every connection's settle hook run."""
        for connection in list(self.members):
            self._partings.settle(connection)

    async def say_goodbye(self) -> None:
        """Have every connection's goodbye hook run, all at the same time."""
        async with open_plain_nursery() as nursery:
            for connection in list(self.members):
                nursery.start_soon(self._partings.say_goodbye, connection)

    async def wait_empty(self) -> None:
        """Wait until no connection is registered or shaking hands."""
        while self.places.taken:
            await self.changed.park()

    def statistics(self) -> PoolStatistics:
        """Return the counts of this moment."""
        tally = self._tally.copy()
        for member in self.members.values():
            tally.add(member.life)
        places = self.places
        shaking = self._handshakes
        return tally.snapshot(
            places.registered,
            places.handshaking,
            places.peak,
            handshakes_failed=shaking.failed,
            handshakes_timed_out=shaking.timed_out,
        )
