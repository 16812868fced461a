"""The life of a connection: its nursery, its two tasks, and its end.

`Life` is what the supervisor holds; `Connection` is what users see of it. The order of the end is
always the same, whatever the cause: receive no more, send what was accepted (to a deadline), say
the end, read and discard for a bounded while, close the socket.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, cast

import attrs
import trio
from typing_extensions import TypeVar

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import (
    ConnectionClosedError,
    ConnectionLostError,
    RemoteProtocolError,
    StalledError,
)
from .._transport import Transport
from ._budget import Share
from ._changes import Changes
from ._ending import Cause, Ending
from ._limits import ConnectionLimits
from ._outbox import Outbox
from ._rate import TokenBucket
from ._reader import Reader
from ._statistics import ConnectionStatistics, Counters
from ._writer import Writer

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

logger = logging.getLogger("snowtrio.connection")


class Life(Generic[SendT, ReceiveT]):
    """Runs one registered connection.

    Parameters:
        transport: carries the bytes; owned from now on.
        buffer: what the handshake left over.
        coder: this connection's own.
        limits: its bounds.
        share: of the memory that all connections have together.
        bucket: limits the rate of this peer.
        eof_is_departure: whether the peer's end of input cancels the handler.
        shares_coder: whether the coder is the codec itself, which remembers nothing.
    """

    __slots__ = (
        "_body_scope",
        "_cause",
        "_changes",
        "_closed",
        "_counters",
        "_cut",
        "_departed",
        "_error",
        "_nursery",
        "_patience",
        "_share",
        "closing",
        "ending",
        "eof_is_departure",
        "limits",
        "reader",
        "transport",
        "writer",
    )

    def __init__(
        self,
        transport: Transport,
        buffer: ReceiveBuffer,
        coder: Codec[SendT, ReceiveT],
        limits: ConnectionLimits,
        *,
        share: Share | None = None,
        bucket: TokenBucket | None = None,
        eof_is_departure: bool = False,
        shares_coder: bool = False,
    ) -> None:
        transport.stall_timeout = limits.stall_timeout
        self.transport = transport
        self.limits = limits
        self.ending: Ending[SendT] | None = None
        self._counters = counters = Counters()
        self._share = share
        self.eof_is_departure = eof_is_departure
        self._departed = False
        self._cut = False
        self._changes = changes = Changes()
        self.writer: Writer[SendT] = Writer(
            transport,
            coder,
            Outbox(limits.max_outbox_messages, limits.max_outbox_bytes),
            counters,
            share,
            changes,
            self._lost,
        )
        if shares_coder:
            self.writer.alike = coder
        self.reader: Reader[ReceiveT] = Reader(
            transport,
            buffer,
            coder,
            limits,
            counters,
            share=share,
            bucket=bucket,
            changes=changes,
            on_eof=self._peer_ended,
            on_loss=self._lost,
        )
        self._cause: Cause | None = None
        self._error: BaseException | None = None
        self.closing = False
        """Whether our side has begun to close it."""
        self._closed = False
        self._nursery: trio.Nursery | None = None
        self._body_scope = trio.CancelScope()
        self._patience: trio.CancelScope | None = None
        if share is not None:
            share.charge(len(buffer))

    @property
    def usable(self) -> bool:
        """Whether new messages can be given to it: neither side has begun to end it."""
        reader = self.reader
        ended = reader.eof or reader.error is not None
        return self._cause is None and not ended and self.writer.refusal is None

    # Running

    async def run(self, body: Callable[[], Awaitable[None]]) -> Exception | None:
        """Run reader, writer and `body`, then end; return what `body` raised, if it did.

        A body that is cancelled because the peer departed has not failed.
        """
        failure: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if self._cut:
                    self._cancel()  # That was before it began.
                nursery.start_soon(self.reader.run, name="snowtrio reader")
                nursery.start_soon(self.writer.run, name="snowtrio writer")
                try:
                    with self._body_scope:
                        await body()
                except Exception as error:  # whoever runs this life decides what it means
                    self._body_failed(error)
                    failure = error
                else:
                    self.end(self._done)
                await self._close_in_order()
                if not (self.reader.done and self.writer.idle):
                    self._cancel()  # A stream of somebody else's may not wake who waits for it.
        finally:
            if not self.closing:
                self._refuse()
                self.closing = True
            try:
                await self._close_at_once()
            finally:
                self._settle()
        return failure

    def _body_failed(self, error: Exception) -> None:
        told = self._parting or isinstance(error, RemoteProtocolError)
        cause = cause_of(error) if told else Cause.HANDLER_ERROR
        self.end(self._done if cause is Cause.DONE else cause, error)

    @property
    def _done(self) -> Cause:
        return Cause.PEER_CLOSED if self.reader.eof else Cause.DONE

    @property
    def _parting(self) -> bool:
        """Whether this connection has begun to end: if not, an error tells of another one's end."""
        return self._cause is not None or self.reader.done

    def _settle(self) -> None:
        """Make the account, once everything has stopped."""
        in_doubt, unsent = self.writer.outbox.give_up(self.transport.at_risk)
        if self._share is not None:
            self._share.close()
        self.reader.let_go()
        self.writer.let_go()
        if self.writer.on_end is not None:
            self.writer.on_end()
        self._nursery = None
        if isinstance(self._error, ConnectionLostError):
            # Strangers cause these at will: what its frames hold would stay until the next
            # collection of cycles.
            self._error = self._error.with_traceback(None)
        cause = self._cause or Cause.CANCELLED
        self.ending = Ending(cause, self._error, tuple(unsent), tuple(in_doubt))
        self._note_closed()

    # Ending

    def end(self, cause: Cause, error: BaseException | None = None) -> None:
        """Note why the connection ends; the first cause counts."""
        if self._cause is None:
            self._cause, self._error = cause, error

    def cut(self, cause: Cause) -> None:
        """End it at once, sending and waiting no more."""
        self.end(cause)
        self.reader.close()
        self.writer.abandon()
        self._refuse()
        self._cut = True
        self._cancel()

    def _cancel(self) -> None:
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel(reason="the connection is cut")

    def finish(self, cause: Cause) -> None:
        """Have the body end, and what was accepted sent. Does not wait."""
        self.end(cause)
        self._body_scope.cancel(reason=f"the connection ends: {cause.value}")

    def _lost(self, error: Exception) -> None:
        self._departed = True
        self.end(cause_of(error), error)
        self.writer.lose(error)
        self.reader.fail(error)
        if not self.closing:  # Who closes already goes on to its end.
            self._body_scope.cancel(reason=f"the peer is gone: {error}")

    def _peer_ended(self) -> None:
        if self.eof_is_departure:
            self._departed = True
            self.end(Cause.PEER_CLOSED)
            self._body_scope.cancel(reason="the peer has ended its input")

    def _refuse(self) -> None:
        """Accept and read nothing more; whoever waits is told at once.

        What came before the peer departed stays for its receiver, as does the reason.
        """
        if self._departed:
            self.reader.stop("the peer is gone")
        else:
            self.reader.close()
        self.writer.refuse(ConnectionClosedError("this side closed the connection"))

    async def aclose(self) -> None:
        """Close in order; who comes second waits for the first. Cancelled, it closes at once."""
        self.end(Cause.CLOSED)
        self.reader.close()
        await self._close_in_order()

    async def _close_in_order(self) -> None:
        if self.closing:
            await self._wait_closed()
            return
        self.closing = True
        self._refuse()
        if self._nothing_left and self.transport.close_nowait():
            self._note_closed()
            return
        with trio.CancelScope() as self._patience:
            try:
                if self.writer.lost is None:
                    with trio.move_on_after(self.limits.drain_timeout):
                        await self.writer.wait_done()
                await self.reader.wait_done()
                if self.writer.outbox.count == 0 and self.writer.lost is None:
                    await self._close_in_peace()
            finally:
                await self._close_at_once()

    @property
    def _nothing_left(self) -> bool:
        """Whether the peer's end of input was its last word, and ours are with the kernel."""
        return self.reader.done and self.reader.eof and self.writer.idle

    async def _wait_closed(self) -> None:
        try:
            await self._changes.wait_until(lambda: self._closed)
        except trio.Cancelled:
            if self._patience is not None:
                self._patience.cancel(reason="somebody who waits for the close was cancelled")
            raise

    async def _close_in_peace(self) -> None:
        """Say the end, give the peer time to hear it, close."""
        if self.limits.linger_timeout > 0:
            with trio.move_on_after(self.limits.linger_timeout):
                await self.transport.finish()
        # TLS sends its closing alert here, to a peer that may not be reading.
        with trio.move_on_after(self.limits.drain_timeout):
            await self._close_transport()

    async def _close_at_once(self) -> None:
        """Make sure of the socket: a cancellation or a deadline may have come before its close."""
        if not self._closed:
            with trio.CancelScope(shield=True) as at_once:
                at_once.cancel(reason="the connection closes at once")
                await self._close_transport()

    async def _close_transport(self) -> None:
        try:
            await self.transport.aclose()
        except Exception:  # from a stream that cannot even be closed
            logger.debug("closing a transport failed", exc_info=True)
        finally:
            self._note_closed()

    def _note_closed(self) -> None:
        self._closed = True
        self._changes.note()

    def statistics(self) -> ConnectionStatistics:
        """Return the counts of this moment."""
        outbox = self.writer.outbox
        return ConnectionStatistics(
            **attrs.asdict(self._counters),
            messages_accepted=self.writer.accepted,
            outbox_messages=outbox.count,
            outbox_bytes=outbox.size,
            outbox_peak=outbox.peak,
            buffered=len(self.reader.buffer),
        )

    @property
    def changes(self) -> Changes:
        """Where everybody waits who waits for anything about it."""
        return self._changes

    @property
    def counters(self) -> Counters:
        """The counts that `statistics` copies, to be looked at often."""
        return self._counters

    @property
    def activity(self) -> tuple[int, int]:
        """Two counts that change whenever bytes move."""
        return self._counters.bytes_received, self._counters.bytes_sent


def cause_of(error: BaseException) -> Cause:
    """Return the cause that an error stands for; of a group, the one that all of it stands for."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        first, *others = {cause_of(inner) for inner in group.exceptions}
        return Cause.HANDLER_ERROR if others else first
    if isinstance(error, trio.EndOfChannel):
        return Cause.DONE
    if isinstance(error, StalledError):
        return Cause.STALLED
    if isinstance(error, RemoteProtocolError):
        return Cause.PROTOCOL_ERROR
    if isinstance(error, trio.BrokenResourceError):
        return Cause.LOST
    if isinstance(error, trio.ClosedResourceError):
        return Cause.CLOSED
    return Cause.HANDLER_ERROR
