"""A running server: accepts, and hands over to the supervisor."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any, Generic, TypeAlias

import attrs
import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._connection import Cause, Connection, MemoryBudget
from .._protocol import (
    Handler,
    Protocol,
    as_protocol,
    choose_handler,
    has_handshake,
    is_peers_doing,
)
from .._side import Side
from .._supervisor import (
    LOOKS,
    TLS,
    DrainReport,
    DrainTimeouts,
    IdleWatch,
    LogLimit,
    NoPlaceError,
    Place,
    PoolStatistics,
    Refusal,
    Supervisor,
    open_plain_nursery,
)
from .._transport import Address, Listener, Transport, as_listener
from ._acceptor import Acceptor
from ._gate import Gate, WhenFull
from ._limits import ServerLimits
from ._refusal import Doorman

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

AnyListener: TypeAlias = Listener | trio.abc.Listener[Any]

logger = logging.getLogger("snowtrio.server")


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
            message whose result, if not None, is sent back; one that blocks is marked with
            `Threads`. None where the protocol has a ``handle`` method.
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
        self._new_limits = trio.Event()
        self._propagate = propagate_errors
        self._has_handshake = has_handshake(spoken)
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
        farewell = when_full if isinstance(when_full, bytes) else b""
        self._doorman = Doorman(farewell, self._start_soon)
        self._gate = Gate(
            self._supervisor.places,
            when_full,
            shakes_hands=lambda: self._has_handshake or self.ssl_context is not None,
            welcome=lambda transport, place: self._start_soon(self._serve_one, transport, place),
            refuse=self._turn_away,
        )
        self._acceptors: list[Acceptor] = []
        self._accepting = trio.CancelScope()
        self._stopped_accepting = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._drain_began = False
        self._report: DrainReport | None = None
        self._ended = trio.Event()
        self._log_limit = LogLimit()

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
        async with contextlib.AsyncExitStack() as stack:
            for listener in listeners:
                acceptor = Acceptor(
                    as_listener(listener), self._gate, self._supervisor.changed.park
                )
                stack.push_async_callback(acceptor.abandon)
                self._acceptors.append(acceptor)
            stack.callback(self._end)
            async with open_plain_nursery() as self._nursery:
                self._nursery.start_soon(self._accept)
                self._nursery.start_soon(self._watch_idle)
                task_status.started(self)
                await self._ended.wait()
                self._nursery.cancel_scope.cancel(reason="the server is drained")

    def _end(self) -> None:
        self._supervisor.places.closing = True
        self._ended.set()

    async def _accept(self) -> None:
        try:
            with self._accepting:
                async with open_plain_nursery() as nursery:
                    for acceptor in self._acceptors:
                        nursery.start_soon(acceptor.run)
        finally:
            self._stopped_accepting.set()

    def _start_soon(self, function: Any, *arguments: Any) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(function, *arguments)

    def _turn_away(self, transport: Transport) -> None:
        plain = self.ssl_context is None
        self._doorman.turn_away(
            transport,
            farewells=self._limits.max_farewells if plain else 0,
            timeout=self._limits.linger_timeout,
        )

    async def _serve_one(self, transport: Transport, place: Place) -> None:
        tls = TLS(self.ssl_context) if self.ssl_context is not None else None
        try:
            member = await self._supervisor.introduce(place, transport, tls)
        except NoPlaceError as error:
            place.release()
            self._gate.turn_away(transport, error.refusal)
            return
        except Exception as error:
            place.release()
            self._handshake_failed(error)
            return
        except BaseException:
            place.release()
            raise
        await self._supervisor.attend(member, partial(self._handler, member.connection))

    def _handshake_failed(self, error: Exception) -> None:
        """Log what a peer did, and report what is a mistake of the protocol's own."""
        reason = error.__cause__
        if not isinstance(reason, Exception) or is_peers_doing(reason):
            if self._log_limit.allows():
                logger.info("%s", error)
        elif self._propagate:
            raise reason
        else:
            logger.error("%s", error, exc_info=reason)

    async def _watch_idle(self) -> None:
        watch = IdleWatch[Connection[SendT, ReceiveT, ContextT]]()
        while True:
            timeout = self._limits.idle_timeout
            with trio.move_on_after(timeout / LOOKS if timeout is not None else float("inf")):
                await self._new_limits.wait()
                self._new_limits = trio.Event()
                continue
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
        self._new_limits.set()
        self._supervisor.set_limits(limits, limits.max_connections_per_peer)

    def statistics(self) -> ServerStatistics:
        """Return the counts of this moment."""
        return ServerStatistics(
            pool=self._supervisor.statistics(),
            accepted=self._gate.accepted,
            refused=dict(self._gate.refused),
            accept_errors=sum(acceptor.errors for acceptor in self._acceptors),
            memory_held=self._budget.held if self._budget is not None else 0,
            memory_peak=self._budget.peak if self._budget is not None else 0,
        )

    # Ending

    def close_all(self) -> None:
        """Cut the connections that are there and go on listening (row S24). Does not wait."""
        self._supervisor.cut()

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order: stop listening, let settle, say goodbye, wait, cut (rows S23, B3).

        Peers that had connected when it was called are still accepted, or refused where there is no
        place. Afterwards `serve` returns, and nothing of the server is left. Called again, it waits
        for the first drain and returns the same report. Cancelled, the drain goes on without its
        caller. A handler must not wait for it: the drain waits for the handler.

        Parameters:
            timeouts: of the phases.

        Raises:
            RuntimeError: the server does not serve yet, or ended before it had drained.
        """
        if self._nursery is None:
            raise RuntimeError("this server does not serve yet")
        if not (self._drain_began or self._ended.is_set()):
            self._drain_began = True
            self._start_soon(self._run_drain, timeouts or DrainTimeouts())
        await self._ended.wait()
        if self._report is None:
            raise RuntimeError("the server ended before it had drained")
        return self._report

    async def _run_drain(self, timeouts: DrainTimeouts) -> None:
        self._accepting.cancel(reason="the server drains")
        await self._stopped_accepting.wait()
        for acceptor in self._acceptors:
            await acceptor.close()
        report = await self._supervisor.drain(timeouts)
        await self._doorman.wait_silent()
        self._report = report
        self._ended.set()
