"""Admit, handshake, register, count, drain: the same for servers and clients.

Each connection has one task of ours, from before its handshake until after its last hook. It holds a
place all that time, so the counts are right whatever happens in between.
"""

from __future__ import annotations

import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias

import attrs
import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._connection import Cause, Connection, Life, MemoryBudget
from .._errors import HandshakeError, HandshakeTimeoutError
from .._protocol import Protocol, has_handshake, is_departure
from .._side import Side
from .._transport import BufferedStream, Transport
from ._drain import Drain, DrainReport, DrainTimeouts, Phase
from ._limits import PoolLimits
from ._places import Place, Places
from ._rates import PeerRates
from ._statistics import PoolStatistics, Tally

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

Rescue: TypeAlias = Callable[[deque[SendT]], Awaitable[None]]


@attrs.frozen
class TLS:
    """How to begin TLS before the protocol's own handshake."""

    context: ssl.SSLContext
    hostname: str | None = None


@attrs.frozen(eq=False)
class Member(Generic[SendT, ReceiveT, ContextT]):
    """A registered connection, with what only its supervisor uses."""

    connection: Connection[SendT, ReceiveT, ContextT]
    life: Life[SendT, ReceiveT]
    place: Place
    since: float
    """When it was registered, in Trio's time."""


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
        self.places = Places(limits, max_per_peer, self.changed.unpark_all)
        self.members: dict[
            Connection[SendT, ReceiveT, ContextT], Member[SendT, ReceiveT, ContextT]
        ] = {}
        self._side = side
        self._logger = logger
        self._propagate = propagate_errors
        self._budget = budget
        self._rates = PeerRates()
        self._tally = Tally()
        self._drain: Drain | None = None

    def set_limits(self, limits: PoolLimits, max_per_peer: int | None = None) -> None:
        """Replace the bounds; connections that are there keep those of their own."""
        self.limits = self.places.limits = limits
        self.places.max_per_peer = max_per_peer
        self.changed.unpark_all()

    # Handshake and registration

    async def introduce(
        self, place: Place, transport: Transport, tls: TLS | None = None
    ) -> Member[SendT, ReceiveT, ContextT]:
        """Shake hands and register.

        Owns `transport` from now on; `place` stays the caller's when it raises, and no hook but the
        handshake has run then.

        Raises:
            HandshakeError: with the reason as its cause; the transport is closed.
        """
        stream = BufferedStream(transport)
        try:
            context = await self._shake_hands(stream, tls)
            coder = self.protocol.codec.start(self._side, context)
        except HandshakeTimeoutError:
            self._tally.handshakes_timed_out += 1
            await stream.transport.aclose()
            raise
        except Exception:
            self._tally.handshakes_failed += 1
            await self._turn_away(stream.transport)
            raise
        except BaseException:
            await stream.transport.aclose()  # In a cancelled scope: at once.
            raise
        return self._register(place, stream, coder, context)

    async def _shake_hands(self, stream: BufferedStream, tls: TLS | None) -> ContextT:
        if tls is None and not has_handshake(self.protocol):
            return await self.protocol.handshake(self._side, stream)
        timeout = self.limits.handshake_timeout
        failure: Exception | None = None
        with trio.move_on_after(timeout) as scope:
            try:
                await self._start_tls(stream, tls)
                return await self.protocol.handshake(self._side, stream)
            except Exception as error:  # noqa: BLE001 - raised below, as what it means
                failure = error
        peer = stream.peer_address
        if failure is None and scope.cancelled_caught:
            raise HandshakeTimeoutError(
                f"the handshake with {peer} took longer than {timeout:g} seconds"
            )
        reason = getattr(failure, "__cause__", None) or failure
        raise HandshakeError(f"the handshake with {peer} failed: {reason!r}") from failure

    async def _start_tls(self, stream: BufferedStream, tls: TLS | None) -> None:
        if tls is not None:
            server_side = self._side is Side.SERVER
            await stream.start_tls(
                tls.context, server_side=server_side, server_hostname=tls.hostname
            )

    async def _turn_away(self, transport: Transport) -> None:
        """Close after a failed handshake, whose last words may say why it failed."""
        try:
            with trio.move_on_after(self.limits.linger_timeout):
                await transport.finish()
        finally:
            await transport.aclose()

    def _register(
        self,
        place: Place,
        stream: BufferedStream,
        coder: Codec[SendT, ReceiveT],
        context: ContextT,
    ) -> Member[SendT, ReceiveT, ContextT]:
        rate = self.limits.max_receive_rate
        life = Life[SendT, ReceiveT](
            stream.transport,
            stream.buffer,
            coder,
            self.limits,
            share=self._budget.open() if self._budget is not None else None,
            bucket=self._rates.join(peer_of(stream.transport), rate, trio.current_time()),
            eof_is_departure=self.protocol.eof_is_departure,
        )
        connection = Connection[SendT, ReceiveT, ContextT](life, self._side, context)
        member = Member(connection, life, place, trio.current_time())
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

        async def whole_body() -> None:
            if self._drain is not None:
                await self._say_goodbye(member)
            await body()

        if self._drain is not None and self._drain.phase is Phase.CANCEL:
            member.life.cut(Cause.DROPPED)  # Its handshake outlasted the drain.
        failures: list[BaseException] = []
        unsent: deque[SendT] = deque()
        try:
            failure = await member.life.run(whole_body)
            failures += [failure] if failure is not None else []
        finally:
            await self._run_close_hook(member, failures)
            unsent.extend(member.life.ending.unsent if member.life.ending else ())
            try:
                if rescue is not None:
                    self._forget(member)
                    await rescue(unsent)
            finally:
                self._purge(member, unsent, failures)
                if rescue is None:
                    self._forget(member)
        for failure in failures:
            self._report(member, failure)

    async def _run_close_hook(
        self, member: Member[SendT, ReceiveT, ContextT], failures: list[BaseException]
    ) -> None:
        with trio.move_on_after(self.limits.hook_timeout, shield=True) as scope:
            try:
                await self.protocol.close(member.connection)
            except Exception as error:  # noqa: BLE001 - reported by the caller
                failures.append(error)
        if scope.cancelled_caught:
            self._logger.error("the close hook of %r took too long", member.connection)

    def _purge(
        self,
        member: Member[SendT, ReceiveT, ContextT],
        unsent: deque[SendT],
        failures: list[BaseException],
    ) -> None:
        self._tally.messages_unsent += len(unsent)
        if unsent:
            try:
                self.protocol.purge(member.connection, tuple(unsent))
            except Exception as error:  # noqa: BLE001 - reported by the caller
                failures.append(error)

    def _forget(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        ending = member.life.ending
        assert ending is not None
        self._tally.ended[ending.cause] += 1
        self._tally.messages_in_doubt += ending.in_doubt is not None
        self._tally.add(member.connection.statistics())
        if self._drain is not None:
            self._drain.note(member.connection.peer_address, ending.cause, len(ending.unsent))
        self._rates.leave(peer_of(member.life.transport))
        del self.members[member.connection]
        member.place.release()

    def _report(self, member: Member[SendT, ReceiveT, ContextT], error: BaseException) -> None:
        if is_departure(error):
            self._logger.debug("%r ended: %s", member.connection, error)
        elif self._propagate:
            raise error
        else:
            self._logger.error("a handler of %r failed", member.connection, exc_info=error)

    # All of them

    def cut(self, cause: Cause = Cause.DROPPED) -> None:
        """Cut every connection that is registered now."""
        for member in list(self.members.values()):
            member.life.cut(cause)

    async def drain(self, timeouts: DrainTimeouts) -> DrainReport:
        """Say goodbye, wait, cut what is left; no place is given any more (row B3)."""
        self.places.closing = True
        self._drain = Drain()
        return await self._drain.run(self, timeouts)

    async def say_goodbye(self) -> None:
        """Have every connection's goodbye hook run, all at the same time."""
        async with trio.open_nursery() as nursery:
            for member in list(self.members.values()):
                nursery.start_soon(self._say_goodbye, member)

    async def _say_goodbye(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        try:
            await self.protocol.goodbye(member.connection)
        except Exception as error:  # noqa: BLE001 - the others still have to hear it
            if not is_departure(error):
                self._logger.error("goodbye to %r failed", member.connection, exc_info=error)

    async def wait_empty(self) -> None:
        """Wait until no connection is registered or shaking hands."""
        while self.places.taken:
            await self.changed.park()

    def statistics(self) -> PoolStatistics:
        """Return the counts of this moment."""
        tally = self._tally.copy()
        for member in self.members.values():
            tally.add(member.connection.statistics())
        places = self.places
        return tally.snapshot(places.registered, places.handshaking, places.peak)


def peer_of(transport: Transport) -> object:
    """Return what tells one peer from another: the host, None where it cannot be told."""
    address = transport.peer_address
    return address[0] if isinstance(address, tuple) else None
