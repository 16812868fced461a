"""A client: many tasks, few connections, one endpoint."""

from __future__ import annotations

import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Generic

import attrs
import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._connection import Cause, Connection
from .._protocol import Handler, Protocol, as_protocol, choose_handler
from .._side import Side
from .._supervisor import (
    DrainReport,
    DrainTimeouts,
    EnteredOnce,
    Member,
    PoolStatistics,
    Supervisor,
    open_plain_nursery,
)
from .._transport import Endpoint, SocketOptions
from ._endpoints import as_endpoints
from ._inbox import Inbox, Received
from ._limits import ClientLimits
from ._loads import load_of
from ._opening import Opener, Opening
from ._pool import Pool
from ._sending import Sender
from ._upkeep import Upkeep

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

logger = logging.getLogger("snowtrio.client")


@attrs.frozen(kw_only=True)
class ClientStatistics:
    """A client's counts at one moment (row B7).

    Parameters:
        pool: of its connections.
        opening: connections being opened.
        waiting: senders that wait for one.
        opens_failed: connections that could not be opened.
        messages_moved: unsent messages of dead connections that another one accepted; the pool
            counts those among its accepted messages once more.
    """

    pool: PoolStatistics
    opening: int
    waiting: int
    opens_failed: int
    messages_moved: int


class Client(EnteredOnce, Generic[SendT, ReceiveT, ContextT]):
    """A bounded pool of connections that opens and closes them as they are needed.

    ``async with Client(LineCodec(), "127.0.0.1", 7000) as client:`` — any number of tasks may send;
    each message goes to the least busy connection. Leaving the block drains: what was accepted is
    sent; a block that raises or is cancelled does not wait.

    Parameters:
        protocol: what is spoken; a bare codec is a protocol without a handshake.
        where: a host, an endpoint, or several endpoints of the same service, tried in turn.
        port: the host's port.
        ssl_context: speak TLS with the host.
        options: of the sockets, set before they connect to the host.
        handler: gets each connection, or as a plain function each message, like a server's. Without
            one, and without a ``handle`` method of the protocol, `receive` gives what comes.
        limits: the bounds.
        move_unsent: move the unsent messages of a connection that dies to another one, in order;
            otherwise they go to the ``purge`` hook, as do those sent on a connection that was lent
            (row S18).
        propagate_errors: let what a handler or hook raises end the client's block, rather than log
            it.
    """

    def __init__(
        self,
        protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
        where: str | Endpoint | Sequence[Endpoint],
        port: int | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        options: SocketOptions | None = None,
        handler: Handler[SendT, ReceiveT, ContextT] | None = None,
        limits: ClientLimits | None = None,
        move_unsent: bool = False,
        propagate_errors: bool = False,
    ) -> None:
        spoken = as_protocol(protocol)
        self._limits = limits if limits is not None else ClientLimits()
        self._handler = choose_handler(spoken, handler)
        self._supervisor = Supervisor[SendT, ReceiveT, ContextT](
            spoken, Side.CLIENT, self._limits, logger=logger, propagate_errors=propagate_errors
        )
        self._opener = Opener(
            self._supervisor, as_endpoints(where, port, ssl_context, options), self._limits
        )
        self._pool = Pool(
            self._supervisor,
            self._limits,
            self._start_opening,
            partial(load_of, spoken),
        )
        self._move_unsent = move_unsent
        self._nursery: trio.Nursery | None = None
        self._inbox = Inbox[ReceiveT](
            self._limits.max_inbox_messages * self._limits.max_connections,
            self._limits.hook_timeout,
        )
        self._sender = Sender[SendT](self._pool, self._limits)

    # Running

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None, None]:
        async with open_plain_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(Upkeep(self._pool, self._limits).run)
            try:
                yield
                await self.aclose()
            finally:
                self._refuse()
            nursery.cancel_scope.cancel(reason="the client is closed")

    def _entered(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError("use the client within its async with block")
        return self._nursery

    def _start_opening(self, opening: Opening) -> None:
        self._entered().start_soon(self._run_connection, opening)

    async def _run_connection(self, opening: Opening) -> None:
        """Open a connection and run it: the task of one connection."""
        member = await self._open(opening)
        if member is not None:
            self._pool.opened(opening, member)
            rescue = partial(self._rescue, member) if self._move_unsent else None
            try:
                await self._supervisor.attend(member, lambda: self._attend(member), rescue)
            finally:
                self._pool.left(member)

    async def _rescue(
        self, member: Member[SendT, ReceiveT, ContextT], unsent: deque[SendT]
    ) -> None:
        """Move unsent messages, but for those of who had the connection alone."""
        own = [unsent.popleft() for _ in range(self._pool.lent.own(member, len(unsent)))]
        try:
            await self._sender.move(unsent)
        finally:
            unsent.extendleft(reversed(own))

    async def _open(self, opening: Opening) -> Member[SendT, ReceiveT, ContextT] | None:
        try:
            with opening.scope:
                return await self._opener.open(opening)
        except Exception as error:  # Told to those who wait for the connection.
            logger.info("%s", error)
            self._pool.failed(opening, error)
            return None
        except BaseException:
            self._pool.gave_up(opening)
            raise
        self._pool.gave_up(opening)
        return None

    async def _attend(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        if self._handler is not None:
            await self._handler(member.connection)
        else:
            await self._inbox.take_from(member.connection)

    # Using

    async def bootstrap(self) -> None:
        """Open one connection ahead of the first `send`; nothing if there is one (row S19).

        Raises:
            ConnectError: as `send`.
            HandshakeError: as `send`.
            PoolBusyError: as `send`.
            PoolClosedError: as `send`.
        """
        self._entered()
        if self._pool.closed or not self._pool.open:
            await self._pool.acquire(maximum=1)
            self._pool.progress()  # It is not used yet.

    async def send(self, message: SendT) -> None:
        """Have a connection accept a message (rows S14 to S17).

        An idle connection comes first, else the pool grows, else the one with the fewest pending
        messages is used. Waits for a connection to open, or for room in an outbox; while the pool
        grows, for one that becomes idle, and after a second, or when opening fails, the least busy
        one is used. Cancelled, it has accepted nothing.

        Raises:
            LocalProtocolError: the message cannot be encoded.
            ConnectError: no connection is open and none could be opened in time, with all causes.
            HandshakeError: likewise, the last attempt failed in the handshake.
            ConnectionLostError: as many new connections as ``connect_attempts`` broke, one after
                the other, before they accepted the message.
            PoolBusyError: ``max_waiting`` senders wait for a connection already.
            PoolClosedError: the client is closed.
        """
        if not self._sender.send_at_once(message):
            self._entered()
            await self._sender.send(message)

    async def receive(self) -> Received[ReceiveT]:
        """Return the next message of any connection, with that connection.

        Only for clients without a handler. Any number of tasks may receive. While nobody does, the
        connections are not read. Cancelled, it loses nothing.

        Raises:
            PoolClosedError: the client is closed.
            RuntimeError: the client has a handler, which gets the messages.
        """
        self._entered()
        if self._handler is not None:
            raise RuntimeError("this client has a handler, which gets the messages")
        return await self._inbox.get()

    async def pick(self) -> Connection[SendT, ReceiveT, ContextT]:
        """Return the connection that the next message would go to; waits and raises as `send`.

        For messages that belong on one connection. It stays the client's: do not close it, and use
        it at once, for every other task may be given it too; see `lend` to have it alone.
        """
        self._entered()
        member = await self._pool.acquire()
        self._pool.look_soon()
        return member.connection

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Connection[SendT, ReceiveT, ContextT], None]:
        """Have a connection alone for the time of a block: ``async with client.lend() as c:``.

        An idle connection comes first, then the pool grows, else the least busy one is taken, and
        waited for until nothing is pending on it. It counts as one of the pool's, and when the
        block is left it is everybody's again. A block that raises or is cancelled cuts it: nobody
        knows what is under way on it.

        Raises as `send`.
        """
        self._entered()
        member = await self._sender.borrow()
        try:
            yield member.connection
        except BaseException:
            member.life.cut(Cause.DROPPED)
            raise
        finally:
            self._pool.take_back(member)

    def load_changed(self) -> None:
        """Note that something that `Protocol.load` returned counts less; does not wait."""
        self._pool.progress()

    @property
    def connections(self) -> list[Connection[SendT, ReceiveT, ContextT]]:
        """The connections that are open now, the oldest first, lent ones too."""
        return [member.connection for member in self._pool.open]

    @property
    def limits(self) -> ClientLimits:
        """The bounds."""
        return self._limits

    def statistics(self) -> ClientStatistics:
        """Return the counts of this moment."""
        return ClientStatistics(
            pool=self._supervisor.statistics(),
            opening=self._pool.opening,
            waiting=self._pool.waiting,
            opens_failed=self._pool.failures,
            messages_moved=self._sender.moved,
        )

    # Ending

    def close_all(self) -> None:
        """Cut the connections that are there; the next `send` opens others. Does not wait."""
        self._supervisor.cut()

    async def aclose(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """Accept nothing more, send what was accepted, close (rows S23 and B3).

        Senders and receivers that wait get `PoolClosedError`, and what is being opened is given up.
        Called again, it waits for the first call and returns the same report.

        Parameters:
            timeouts: of the phases of the drain.
        """
        self._refuse()
        report = await self._supervisor.drain(timeouts or DrainTimeouts())
        await self._sender.wait_moved()
        return report

    def _refuse(self) -> None:
        self._pool.close()
        self._inbox.close()
