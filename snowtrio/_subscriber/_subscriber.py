"""A subscriber: one connection, and another one whenever it breaks."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Generic, Self

import attrs
import trio
from typing_extensions import TypeVar

from .._broadcast import WhenSlow
from .._client import Opener, Opening, as_endpoints, pause_after
from .._codec import Codec
from .._connection import Connection, again
from .._errors import ConnectError, ConnectionLostError, SkippedMessageError
from .._protocol import Protocol, as_protocol, is_departure
from .._side import Side
from .._supervisor import EnteredOnce, Supervisor, open_plain_nursery
from .._transport import Endpoint, SocketOptions
from ._backlog import Backlog, Gap
from ._limits import SubscriberLimits
from ._session import Session, SilenceError
from ._statistics import SubscriberStatistics

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

logger = logging.getLogger("snowtrio.subscriber")

_NOT_ENTERED = "use the subscriber within its async with block"


class Subscriber(EnteredOnce, Generic[SendT, ReceiveT, ContextT]):
    """A subscription that outlives its connections.

    ::

        async with Subscriber(LineCodec(), "127.0.0.1", 7000, subscribe=subscribe) as messages:
            async for message in messages:
                if isinstance(message, Gap):
                    ...  # some may be missing here
                else:
                    ...

    It keeps one connection. When that breaks or ends, it opens another one after a pause, which
    grows with jitter while that fails, shakes hands again, and calls `subscribe` again. **Nothing
    is lost in silence**: the messages received before a break are delivered before anything of the
    next connection, and a `Gap` stands between them; a `Gap` stands too where messages were dropped
    since the consumer is slow. Whoever keeps a copy of what the server has reads it anew there: the
    new connection is subscribed already.

    What ends it for good is raised by `receive`, when everything before has been delivered: a
    handshake that is refused (a bad certificate, a refused login), a `subscribe` or `keepalive`
    that raises anything but the end of its connection, an error of the codec's that is not the
    peer's doing, `SlowConsumerError`, and the last error of ``max_attempts`` in a row. Everything
    else is tried again, with a line in the log (``snowtrio.subscriber``); by default for ever, also
    where there never was a server. `statistics` has the last error, and `connect_first` is for
    those who want to know at the beginning.

    Leaving the block closes the connection in order; a block that raises or is cancelled does not
    wait.

    Parameters:
        protocol: what is spoken; a bare codec is a protocol without a handshake. Its ``handle`` is
            not used.
        where: a host, an endpoint, or several endpoints of the same service, tried in turn, the one
            that worked last first.
        port: the host's port.
        ssl_context: speak TLS with the host.
        options: of the sockets, set before they connect to the host.
        subscribe: called with each new connection, within ``subscribe_timeout``. It may send and
            receive, for instance confirmations; what it receives is not delivered, what comes
            behind that is. Default: nothing needs to be said.
        keepalive: called with the connection when nothing has come for half of
            ``silence_timeout``, and has the other half of the time. What it makes the peer send
            keeps the connection; that is delivered, unless it receives it itself.
        limits: the bounds.
        when_slow: what to do when ``max_messages`` are kept for the consumer. WAIT, the default:
            read no more until there is room, which the server notices. DROP_OLDEST and DROP_NEWEST:
            drop messages, and put a `Gap` with their number in their place. DISCONNECT: end with
            `SlowConsumerError`.
        connect_first: connect and subscribe before the block begins, in one attempt, and raise what
            that fails with: `ConnectError`, `HandshakeError`, what `subscribe` raises.

    Raises:
        TypeError: the arguments do not fit together.
    """

    def __init__(
        self,
        protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
        where: str | Endpoint | Sequence[Endpoint],
        port: int | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        options: SocketOptions | None = None,
        subscribe: Callable[[Connection[SendT, ReceiveT, ContextT]], Awaitable[object]]
        | None = None,
        keepalive: Callable[[Connection[SendT, ReceiveT, ContextT]], Awaitable[object]]
        | None = None,
        limits: SubscriberLimits | None = None,
        when_slow: WhenSlow = WhenSlow.WAIT,
        connect_first: bool = False,
    ) -> None:
        self._limits = limits if limits is not None else SubscriberLimits()
        if not isinstance(self._limits, SubscriberLimits):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"limits must be SubscriberLimits, not {type(self._limits).__name__}")
        if keepalive is not None and self._limits.silence_timeout is None:
            raise TypeError("keepalive needs a silence_timeout: it is called after half of it")
        # A batch is half of what the connection may hold, so one batch always fits.
        inbox = min(self._limits.max_inbox_messages, max(2, self._limits.max_messages))
        bounds = attrs.evolve(self._limits, max_inbox_messages=inbox)
        self._supervisor = Supervisor[SendT, ReceiveT, ContextT](
            as_protocol(protocol), Side.CLIENT, bounds, logger=logger
        )
        self._opener = Opener(
            self._supervisor, as_endpoints(where, port, ssl_context, options), bounds
        )
        self._subscribe = subscribe
        self._keepalive = keepalive
        self._connect_first = connect_first
        self._backlog: Backlog[ReceiveT] = Backlog(self._limits.max_messages, WhenSlow(when_slow))
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._session: Session[SendT, ReceiveT, ContextT] | None = None
        """The last connection; it may have ended."""
        self._subscribed = False
        self._subscriptions = self._failed = self._silences = 0
        self._failed_in_a_row = self._attempts = self._pauses = 0
        self._loss: Exception | None = None
        """What ended the last connection that was subscribed."""
        self._last_error: Exception | None = None

    # Running

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None, None]:
        async with open_plain_nursery() as self._nursery:
            try:
                if self._connect_first and not await self._begin():
                    assert self._last_error is not None
                    raise again(self._last_error)
                self._nursery.start_soon(self._keep)
                yield
            finally:
                self._backlog.close()
            self._scope.cancel(reason="the subscriber's block was left")

    async def _keep(self) -> None:
        """Keep a subscription until the block is left, or something ends it for good."""
        try:
            with self._scope:
                while True:
                    if self._subscribed or await self._begin():
                        await self._pump()
                    await self._rest()
        except Exception as error:  # the consumer is told
            self._last_error = error
            self._backlog.end(error)

    async def _begin(self) -> bool:
        """Open a connection and subscribe; False if that failed and may be tried again."""
        self._attempts += 1
        opening = Opening(self._supervisor.places.reserve(), attempts=1, order=count())
        try:
            session = await self._open(opening)
            await self._subscribe_on(session)
        except Exception as error:
            self._failed += 1
            self._failed_in_a_row += 1
            if opening.final or not (is_departure(error) or isinstance(error, ConnectError)):
                raise
            if self._failed_in_a_row == self._limits.max_attempts:
                raise
            logger.info("no subscription to %s: %s", self._opener.target, error)
            # What its frames hold would stay as long as the error does.
            self._last_error = error.with_traceback(None)
            return False
        return True

    async def _open(self, opening: Opening) -> Session[SendT, ReceiveT, ContextT]:
        try:
            member = await self._opener.open(opening)
        except BaseException:
            opening.place.release()
            raise
        self._session = session = Session(self._supervisor, member)
        assert self._nursery is not None
        self._nursery.start_soon(session.run)
        return session

    async def _subscribe_on(self, session: Session[SendT, ReceiveT, ContextT]) -> None:
        timeout = self._limits.subscribe_timeout
        try:
            if self._subscribe is not None:
                with trio.move_on_after(timeout) as scope:
                    await self._subscribe(session.connection)
                if scope.cancelled_caught:
                    session.connection.drop()
                    raise ConnectionLostError(f"subscribing took longer than {timeout:g} seconds")
        except BaseException:
            session.leave()
            raise
        self._note_subscribed(session)

    async def _rest(self) -> None:
        """Wait until the last connection is gone, and then for a while."""
        if self._session is not None:
            await self._session.gone.wait()
        await trio.sleep(pause_after(self._pauses, self._limits))
        self._pauses += 1

    # One connection

    async def _pump(self) -> None:
        """Bring what comes to the backlog until the connection ends."""
        session = self._session
        assert session is not None
        try:
            while True:
                try:
                    batch = await self._receive(session)
                except SkippedMessageError as error:
                    logger.info("skipped a message of %s: %s", self._opener.target, error)
                    self._backlog.mark(Gap(dropped=1))
                else:
                    await self._backlog.put(batch)
        except Exception as error:
            if not is_departure(error):
                session.connection.drop()
                raise
            self._note_loss(error, session)
        finally:
            self._subscribed = False
            session.leave()

    async def _receive(self, session: Session[SendT, ReceiveT, ContextT]) -> list[ReceiveT]:
        timeout = self._limits.silence_timeout
        if timeout is None:
            return await session.connection.receive_batch()
        while True:
            before = session.bytes_received
            with trio.move_on_after(timeout / 2):
                return await session.connection.receive_batch()
            if session.bytes_received != before:
                continue  # A part of a message has come.
            with trio.move_on_after(timeout / 2):
                if self._keepalive is not None:
                    await self._keepalive(session.connection)
                return await session.connection.receive_batch()
            if session.bytes_received == before:
                session.connection.drop()
                raise SilenceError(f"nothing came for {timeout:g} seconds")

    # What has happened

    def _note_subscribed(self, session: Session[SendT, ReceiveT, ContextT]) -> None:
        session.since = trio.current_time()
        if self._loss is not None:
            self._backlog.mark(Gap(error=self._loss, attempts=self._attempts))
        self._loss = None
        self._attempts = self._failed_in_a_row = 0
        self._subscriptions += 1
        self._subscribed = True

    def _note_loss(self, error: Exception, session: Session[SendT, ReceiveT, ContextT]) -> None:
        logger.info("lost the subscription to %s: %s", self._opener.target, error)
        self._silences += isinstance(error, SilenceError)
        self._loss = self._last_error = error.with_traceback(None)
        # Servers that take connections and end them soon are not to be asked all the time.
        if trio.current_time() - session.since >= self._limits.max_backoff:
            self._pauses = 0

    # Using

    async def receive(self) -> ReceiveT | Gap:
        """Return the next message, or a `Gap` where messages may be missing.

        Any number of tasks may receive; each message and each gap goes to one of them. Cancelled,
        it loses nothing. It waits, and is a checkpoint, only when nothing is there.

        Raises:
            ConnectionClosedError: the block was left.
            Exception: what ended the subscriber for good, to each caller.
        """
        if self._nursery is None:
            raise RuntimeError(_NOT_ENTERED)
        return await self._backlog.take()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceiveT | Gap:
        # As `receive`, without a call in between: a coroutine less for each message.
        if self._nursery is None:
            raise RuntimeError(_NOT_ENTERED)
        return await self._backlog.take()

    @property
    def connection(self) -> Connection[SendT, ReceiveT, ContextT] | None:
        """The connection that is subscribed now, None while there is none.

        For sending, such as a change of what is subscribed to; put it also where `subscribe` finds
        it the next time. The subscriber receives from it, and owns it; ``drop`` on it has another
        one opened.
        """
        return self._session.connection if self._session and self._subscribed else None

    @property
    def limits(self) -> SubscriberLimits:
        """The bounds."""
        return self._limits

    def statistics(self) -> SubscriberStatistics:
        """Return the counts of this moment."""
        backlog = self._backlog
        return SubscriberStatistics(
            pool=self._supervisor.statistics(),
            subscribed=self._subscribed,
            subscriptions=self._subscriptions,
            attempts_failed=self._failed,
            failed_in_a_row=self._failed_in_a_row,
            silences=self._silences,
            last_error=self._last_error,
            messages_delivered=backlog.delivered,
            messages_waiting=backlog.waiting,
            messages_peak=backlog.peak,
            messages_dropped=backlog.dropped,
            gaps=backlog.gaps,
        )
