"""A running server: accepts, and hands over to the supervisor."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeAlias

import attrs
import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._connection import Cause, Connection, MemoryBudget
from .._errors import HandshakeError
from .._protocol import Handler, Protocol, as_protocol, choose_handler, has_handshake
from .._side import Side
from .._supervisor import (
    LOOKS,
    TLS,
    DrainReport,
    DrainTimeouts,
    IdleWatch,
    Place,
    PoolStatistics,
    Refusal,
    Supervisor,
    open_plain_nursery,
    peer_of,
)
from .._transport import Address, Listener, Transport, as_listener
from ._acceptor import Acceptor
from ._limits import ServerLimits
from ._refusal import Doorman

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

WhenFull: TypeAlias = Literal["close", "wait"] | bytes
"""What a peer gets when all places are taken: closed, left waiting in the backlog, or told."""

AnyListener: TypeAlias = Listener | trio.abc.Listener[Any]

logger = logging.getLogger("snowtrio.server")

_MANY = 64
_LOG_INTERVAL = 1.0


@attrs.frozen(kw_only=True)
class ServerStatistics:
    """A server's counts at one moment (row B7).

    Parameters:
        pool: of its connections.
        accepted: connections accepted by the kernel for us.
        refused: connections turned away, by reason.
        accept_errors: times that descriptors or memory ran out.
        memory_held: bytes of the memory budget in use; 0 without a budget.
        memory_peak: the most there have been.
    """

    pool: PoolStatistics
    accepted: int
    refused: dict[Refusal, int]
    accept_errors: int
    memory_held: int
    memory_peak: int


class Server(Generic[SendT, ReceiveT, ContextT]):
    """Serves connections until it is drained or cancelled.

    Made by ``serve_tcp``, ``serve_unix`` and ``serve_listeners``, which report it to
    ``nursery.start``.

    Parameters:
        handler: a coroutine function called once a connection, or a plain function called once a
            message whose result, if not None, is sent back. None where the protocol has a
            ``handle`` method.
        protocol: what is spoken; a bare codec is a protocol without a handshake.
        ssl_context: speak TLS, as part of the handshake.
        limits: the bounds.
        when_full: what a peer gets that finds no place: ``"close"``, ``"wait"`` in the backlog, or
            raw bytes to tell it before closing (plain connections only, TLS peers are closed).
        propagate_errors: let what a handler or hook raises end the server, rather than log it.
    """

    def __init__(
        self,
        handler: Handler[SendT, ReceiveT, ContextT] | None,
        protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
        *,
        ssl_context: ssl.SSLContext | None = None,
        limits: ServerLimits | None = None,
        when_full: WhenFull = "close",
        propagate_errors: bool = False,
    ) -> None:
        limits = limits if limits is not None else ServerLimits()
        spoken = as_protocol(protocol)
        chosen = choose_handler(spoken, handler)
        if chosen is None:
            raise TypeError("a server needs a handler, or a protocol with a handle method")
        if isinstance(when_full, str) and when_full not in ("close", "wait"):
            raise ValueError(f"when_full is 'close', 'wait' or bytes, not {when_full!r}")
        self.ssl_context = ssl_context
        """The TLS rules of new connections; may be replaced while the server runs (row B12)."""
        self._handler = chosen
        self._limits = limits
        self._waits = when_full == "wait"
        self._doorman = Doorman(when_full if isinstance(when_full, bytes) else b"")
        self._budget = MemoryBudget(limits.memory_budget) if limits.memory_budget else None
        self._supervisor = Supervisor[SendT, ReceiveT, ContextT](
            spoken,
            Side.SERVER,
            limits,
            logger=logger,
            propagate_errors=propagate_errors,
            budget=self._budget,
            max_per_peer=limits.max_connections_per_peer,
        )
        self._has_handshake = has_handshake(spoken)
        self._acceptors: list[Acceptor] = []
        self._accepting = trio.CancelScope()
        self._stopped_accepting = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._accepted = 0
        self._refused = dict.fromkeys(Refusal, 0)
        self._report: DrainReport | None = None
        self._drain_began = False
        self._drained = trio.Event()
        self._handshake_log = float("-inf")

    # Serving

    async def serve(
        self,
        listeners: Sequence[AnyListener],
        *,
        task_status: trio.TaskStatus[Server[SendT, ReceiveT, ContextT]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until drained or cancelled; once only. Owns the listeners.

        Cancelled, it cuts its connections, runs their hooks and leaves nothing open.

        Raises:
            OSError: a listener broke.
        """
        if self._acceptors:
            raise RuntimeError("a Server serves once")
        self._acceptors = [
            Acceptor(as_listener(each), self._wait_for_places, self._admit) for each in listeners
        ]
        try:
            async with open_plain_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._accept)
                nursery.start_soon(self._watch_idle)
                task_status.started(self)
                await self._drained.wait()
                nursery.cancel_scope.cancel(reason="the server is drained")
        finally:
            self._supervisor.places.closing = True
            self._drained.set()
            for acceptor in self._acceptors:
                with trio.CancelScope() as at_once:
                    at_once.cancel(reason="the server has ended")
                    await acceptor.listener.aclose()

    async def _accept(self) -> None:
        try:
            with self._accepting:
                async with trio.open_nursery() as nursery:
                    for acceptor in self._acceptors:
                        nursery.start_soon(acceptor.run)
        finally:
            self._stopped_accepting.set()

    async def _wait_for_places(self) -> int:
        places, supervisor = self._supervisor.places, self._supervisor
        while True:
            refusal = places.refusal(handshake=self._shakes_hands)
            if refusal is None:
                return min(_MANY, self._limits.max_connections - places.taken)
            if refusal is Refusal.FULL and not self._waits:
                return _MANY
            await supervisor.changed.park()

    @property
    def _shakes_hands(self) -> bool:
        return self._has_handshake or self.ssl_context is not None

    async def _admit(self, transport: Transport) -> None:
        """Give a place or refuse; waits only for a handshake to end, which has a deadline."""
        self._accepted += 1
        peer, places = peer_of(transport), self._supervisor.places
        while (refusal := places.refusal(peer, handshake=self._shakes_hands)) and (
            refusal is Refusal.HANDSHAKES or (refusal is Refusal.FULL and self._waits)
        ):
            try:
                await self._supervisor.changed.park()
            except trio.Cancelled:
                await transport.aclose()
                raise
        assert self._nursery is not None
        if refusal is None:
            self._nursery.start_soon(self._serve_one, transport, places.reserve(peer))
            return
        self._refused[refusal] += 1
        speak = self.ssl_context is None and self._doorman.may_speak(self._limits.max_farewells)
        turn_away = self._doorman.turn_away
        if speak:
            timeout = self._limits.linger_timeout
            self._nursery.start_soon(lambda: turn_away(transport, speak=True, timeout=timeout))
        else:
            await turn_away(transport, speak=False, timeout=0)

    async def _serve_one(self, transport: Transport, place: Place) -> None:
        tls = TLS(self.ssl_context) if self.ssl_context is not None else None
        try:
            member = await self._supervisor.introduce(place, transport, tls)
        except Exception as error:  # noqa: BLE001 - one peer's trouble
            place.release()
            self._log_handshake(error)
            return
        except BaseException:
            place.release()
            raise

        async def body() -> None:
            await self._handler(member.connection)

        await self._supervisor.attend(member, body)

    def _log_handshake(self, error: Exception) -> None:
        """Log a failed handshake: one a second, since strangers decide how many there are."""
        now = trio.current_time()
        if now - self._handshake_log >= _LOG_INTERVAL:
            self._handshake_log = now
            unexpected = None if isinstance(error, HandshakeError) else error
            logger.info("%s", error, exc_info=unexpected)

    async def _watch_idle(self) -> None:
        watch = IdleWatch[Connection[SendT, ReceiveT, ContextT]]()
        while True:
            timeout = self._limits.idle_timeout
            # Without a timeout this only looks whether one has been set meanwhile.
            await trio.sleep(timeout / LOOKS if timeout is not None else 1)
            if timeout is not None:
                members = self._supervisor.members
                for connection in watch.look([(c, m.life.activity) for c, m in members.items()]):
                    members[connection].life.finish(Cause.IDLE)

    # Looking at it

    @property
    def addresses(self) -> list[Address | None]:
        """Where it listens, with the real ports."""
        return [acceptor.listener.address for acceptor in self._acceptors]

    @property
    def port(self) -> int:
        """The port of the first TCP address.

        Raises:
            LookupError: it listens on no TCP address.
        """
        for address in self.addresses:
            if isinstance(address, tuple):
                return address[1]
        raise LookupError("this server listens on no TCP port")

    @property
    def connections(self) -> list[Connection[SendT, ReceiveT, ContextT]]:
        """The connections that are registered now, the oldest first."""
        return list(self._supervisor.members)

    @property
    def limits(self) -> ServerLimits:
        """The bounds. Replacing them refuses or admits from then on, and cuts nobody (row B2)."""
        return self._limits

    @limits.setter
    def limits(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._supervisor.set_limits(limits, limits.max_connections_per_peer)

    def statistics(self) -> ServerStatistics:
        """Return the counts of this moment."""
        return ServerStatistics(
            pool=self._supervisor.statistics(),
            accepted=self._accepted,
            refused=dict(self._refused),
            accept_errors=sum(acceptor.errors for acceptor in self._acceptors),
            memory_held=self._budget.held if self._budget is not None else 0,
            memory_peak=self._budget.peak if self._budget is not None else 0,
        )

    # Ending

    def close_all(self) -> None:
        """Cut the connections that are there and go on listening (row S24). Does not wait."""
        self._supervisor.cut()

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order: stop listening, say goodbye, wait, cut (rows S23, B3).

        Peers that had connected when it was called are still accepted. Afterwards `serve` returns,
        and nothing of the server is left. Called again, it waits for the first drain and returns
        the same report.

        Parameters:
            timeouts: of the phases.

        Raises:
            RuntimeError: the server was cancelled before it had drained.
        """
        if not self._drain_began:
            self._drain_began = True
            self._accepting.cancel(reason="the server drains")
            await self._stopped_accepting.wait()
            for acceptor in self._acceptors:
                await acceptor.close()
            self._report = await self._supervisor.drain(timeouts or DrainTimeouts())
            self._drained.set()
        await self._drained.wait()
        if self._report is None:
            raise RuntimeError("the server was cancelled before it had drained")
        return self._report
