"""A connection as its users see it: messages in, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from operator import attrgetter
from typing import Any, Generic

import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._errors import ConnectionClosedError, LocalProtocolError
from .._proxy_protocol import ProxyInfo
from .._side import Side
from .._transport import Address, PlainSocket
from ._answering import Answering
from ._control import Control
from ._ending import Cause, Ending
from ._file_sending import send_file
from ._inbox import Inbox
from ._life import Life
from ._statistics import ConnectionStatistics
from ._writer import Writer

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)
MessageT = TypeVar("MessageT")


class Connection(
    trio.abc.SendChannel[SendT],
    trio.abc.ReceiveChannel[ReceiveT],
    Generic[SendT, ReceiveT, ContextT],
):
    """A framed connection: a Trio send channel and a Trio receive channel.

    Any number of tasks may send; one receives. Connections are made by servers, clients and the
    ``open_…_connection`` functions, which also run their tasks; whoever has one may close it.

    A call that can be served at once is not always a checkpoint. A task that only receives, or only
    sends, still meets one at least once a batch or once a full outbox.
    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_eof_sent",
        "_inbox",
        "_life",
        "_reader",
        "_side",
        "_writer",
    )

    def __init__(self, life: Life[SendT, ReceiveT], side: Side, context: ContextT) -> None:
        self._life = life
        self._reader = life.reader
        self._inbox = life.reader.inbox
        self._writer = life.writer
        self._side = side
        self._context = context
        self._eof_sent = False

    def __repr__(self) -> str:
        state = self._life.ending.cause.value if self._life.ending else "open"
        return f"<Connection {self._side.value} peer={self.peer_address!r} {state}>"

    # Who

    @property
    def context(self) -> ContextT:
        """What the handshake returned (row S7)."""
        return self._context

    @property
    def coder(self) -> Codec[SendT, ReceiveT]:
        """What makes bytes of messages here: what the codec's ``start`` returned."""
        return self._writer.coder

    @property
    def side(self) -> Side:
        """The end that we are."""
        return self._side

    @property
    def local_address(self) -> Address | None:
        """Our address, through TLS too (row S26)."""
        return self._life.transport.local_address

    @property
    def peer_address(self) -> Address | None:
        """The peer's address, through TLS too."""
        return self._life.transport.peer_address

    @property
    def socket(self) -> PlainSocket | None:
        """The socket below, through TLS too; None where there is none, as in memory.

        For its options and for looking at: whoever reads from it, writes to it or closes it breaks
        the connection. After the connection has ended, it is closed.
        """
        return self._life.transport.socket

    @property
    def proxy(self) -> ProxyInfo | None:
        """The proxy that brought it, where the server's listener is `behind_proxy`; else None."""
        return self._life.transport.proxy

    def peer_certificate(self) -> dict[str, object] | None:
        """Return the peer's certificate as `ssl.SSLSocket.getpeercert` does, None without one."""
        return self._life.transport.peer_certificate()

    def alpn_protocol(self) -> str | None:
        """Return the protocol that ALPN chose, None without."""
        return self._life.transport.alpn_protocol()

    # Sending

    async def send(self, value: SendT) -> None:
        """Accept a message; wait while the outbox is full, in the order of the callers.

        Accepted is not delivered: `flush` waits until the kernel has it, and only the peer can say
        that it arrived. A message that was accepted and does not reach the kernel goes to the
        ``purge`` hook (row B5).

        Cancelled, it has accepted nothing. It waits, and is a checkpoint, only when the outbox is
        full.

        Raises:
            LocalProtocolError: the message cannot be encoded; the connection lives.
            ConnectionLostError: the connection is broken; the message was not accepted.
            ConnectionClosedError: our side closed it; the message was not accepted.
        """
        writer, ready = self._writer, self._inbox.ready
        batch, outbox = writer.gathered, writer.outbox
        if (
            ready
            and batch is not None
            and outbox.count < outbox.max_messages
            and outbox.size < outbox.max_bytes
            and not (writer.restricted or writer.broadcast)
        ):
            # An answer among answers, in place: a call is a tenth of what such a message costs.
            data = writer.coder.encode(value)
            batch.messages.append(value)
            batch.chunks.append(data)
            outbox.count += 1
            outbox.size += len(data)
        elif not writer.accept(value, ready):
            await writer.wait_for_room()
            writer.accept_in_turn(value)

    def send_nowait(self, message: SendT) -> None:
        """Accept a message if there is room for it.

        Raises:
            trio.WouldBlock: the outbox is full; nothing was accepted.
            SnowtrioError: as `send`.
        """
        self._writer.accept_nowait(message, self._inbox.ready)

    async def send_batch(self, messages: Iterable[SendT]) -> None:
        """Accept many messages in order and send them together (row B1).

        Equal to a `send` for each, other tasks' messages may come between; cancelled, or when one
        of them cannot be encoded, those before it have been accepted.
        """
        rest = self._writer.accept_batch(messages)
        if rest is not None:
            await self._writer.send_rest(rest)

    async def flush(self) -> None:
        """Wait until the kernel has everything accepted so far (row B10). Always a checkpoint.

        Raises:
            ConnectionLostError: the connection broke before.
            ConnectionClosedError: it was closed before.
        """
        await self._writer.flush()

    @property
    def can_send_file(self) -> bool:
        """Whether `send_file` works here: on plain sockets, where the system has ``sendfile``."""
        return self._life.transport.sends_files

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Send a file's bytes as they are, from the kernel's memory to the socket, past the codec.

        What was accepted before goes first; other senders wait until the file is sent. It waits
        while the peer takes nothing, as long as ``stall_timeout``, and where the file's bytes have
        to come from a disk the whole program waits. Always a checkpoint.

        Cancelled, or failing, before a byte was sent, nothing has happened; after that the
        connection is cut, for nobody could tell where the file ends.

        Parameters:
            descriptor: of a regular file, still the caller's.
            offset: of the first byte.
            count: bytes to send.

        Raises:
            LocalProtocolError: this connection cannot; see `can_send_file`.
            OSError: the file has fewer bytes.
            ConnectionLostError: the connection broke.
            ConnectionClosedError: our side closed it; a file on its way is not waited for.
        """
        if not self.can_send_file:
            raise LocalProtocolError("this connection cannot send files (TLS?)")
        await send_file(self._writer, self.drop, descriptor, range(offset, offset + count))

    async def send_eof(self) -> None:
        """Send what was accepted, then end our direction; receiving goes on (row P5).

        From the call on nothing more is accepted. Idempotent; cancelled, it can be called again.

        Raises:
            LocalProtocolError: the transport cannot, as TLS cannot; nothing has changed.
            ConnectionLostError: the connection broke before.
            ConnectionClosedError: our side closed it.
        """
        if not self._life.transport.can_send_eof:
            raise LocalProtocolError("this connection cannot end one direction alone (TLS?)")
        if self._eof_sent:
            await trio.lowlevel.checkpoint()
            return
        if self._life.closing:
            raise ConnectionClosedError("this side closed the connection")
        await self._writer.send_eof()
        self._eof_sent = True

    # Receiving

    async def receive(self) -> ReceiveT:
        """Return the next message. Cancelled, it loses nothing.

        Raises:
            trio.EndOfChannel: the peer ended its input between messages.
            RemoteProtocolError: the peer's bytes break the protocol; messages that came before have
                been received. Sending goes on, for a last word.
            SkippedMessageError: the codec threw a message away; call again for the next.
            ConnectionLostError: the connection broke.
            ConnectionClosedError: our side closed it.
            trio.BusyResourceError: another task is receiving.
        """
        inbox = self._inbox
        if not inbox.ready:
            self._writer.new_turn()
            await inbox.take_batch()
        return inbox.ready.pop()

    async def __anext__(self) -> ReceiveT:
        # As `receive`, without a call in between: a coroutine less for each message.
        ready = self._inbox.ready
        if ready:
            return ready.pop()
        self._writer.new_turn()
        try:
            await self._inbox.take_batch()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return self._inbox.ready.pop()

    async def receive_batch(self) -> list[ReceiveT]:
        """Return everything that is there, at least one message (row B1); raises as `receive`."""
        inbox = self._inbox
        if not inbox.ready:
            self._writer.new_turn()
            await inbox.take_batch()
        return inbox.take_ready()

    def batches(self) -> AsyncIterator[list[ReceiveT]]:
        """Iterate over batches until the peer ends its input; may be left at any batch."""
        return _Batches(self._inbox, self._writer)

    def has_input(self) -> bool:
        """Look whether anything has come that was not received, if only the end; does not wait.

        For those who are about to use a connection that was quiet. False is no promise: something
        may be on its way, and a stream that is no socket cannot be asked. Through TLS, True may
        come to nothing: it has messages of its own.
        """
        inbox, reader = self._inbox, self._reader
        return bool(inbox.ready) or inbox.holds or reader.eof or reader.done or reader.has_input()

    async def answer(
        self, function: Callable[[Connection[SendT, ReceiveT, ContextT], ReceiveT], SendT | None]
    ) -> None:
        """Answer messages with what a plain function returns, until the peer ends its input.

        The function is called with the connection and a message where that was decoded, with no
        task woken in between, and in the context variables of the caller: the fastest way to serve,
        and what a plain function given as a handler comes to. What it returns is sent in order,
        unless it is None; it may also use ``send_nowait``. While the outbox is full it is not
        called, and no more is read; answers to at most 64 messages are made ahead.

        It holds up everything else, so it must not take long (for a handler that does there is
        `snowtrio.Threads`). A checkpoint only where it waits.
        Cancelled, answers that the outbox had no room for are lost; messages that it was not called
        for can be received.

        Raises:
            ConnectionLostError: the connection broke.
            ConnectionClosedError: our side closed it.
            trio.BusyResourceError: another task is receiving.
            Exception: what the function raised; the answers before that have been accepted, and the
                messages that came together with it are not answered.
        """
        answering = Answering(function, self, self._writer, self._inbox.interrupt)
        try:
            await self._reader.answer(answering)
        except trio.EndOfChannel:
            return

    def stop_receiving(self) -> None:
        """Read no more: `receive` gives what has been decoded, then `trio.EndOfChannel`.

        So a handler's loop ends as if the peer had ended its input, and its replies are still sent.
        """
        self._reader.stop("stop_receiving was called")

    def switch(self, codec: Codec[SendT, ReceiveT]) -> None:
        """Speak another codec from here on, in both directions.

        What was received and not decoded goes to the new codec at once. A codec whose last message
        is a boundary stops there by itself (`ReceiveBuffer.pause`); with any other, all whole
        frames that one read brought are still the old codec's.
        """
        coder = codec.start(self._side, self._context)
        self._writer.switch(coder, shared=coder is codec)
        self._reader.switch(coder)

    # The end

    async def aclose(self) -> None:
        """Send what was accepted, to ``drain_timeout``, then close; idempotent.

        Receivers and senders that wait get `ConnectionClosedError` at once. In a cancelled scope it
        closes without sending.
        """
        await self._life.aclose()

    def drop(self, *, reset: bool = False) -> None:
        """Cut the connection at once; does not wait. What was accepted and not sent is purged.

        The peer sees the end of input. One that has to tell a cut from an orderly end needs a
        parting message in its protocol.

        Parameters:
            reset: have the peer see a reset instead, where the end of input would mean something
                else to it. It may lose with that what it has not got yet. On TCP; elsewhere there
                is no such thing.
        """
        if reset:
            self._life.transport.reset_on_close()
        self._life.cut(Cause.DROPPED)

    @property
    def pending(self) -> int:
        """Messages that were accepted and that the kernel does not have whole (row S15)."""
        return self._writer.outbox.count

    @property
    def ending(self) -> Ending[SendT] | None:
        """How it ended; None until everything about it has stopped."""
        return self._life.ending

    def statistics(self) -> ConnectionStatistics:
        """Return the counts of this moment (row B7)."""
        return self._life.statistics()


writer_of: Callable[[Connection[Any, Any, Any]], Writer[Any]] = attrgetter("_writer")
"""For the room that does for many connections at a time what `Connection` does for one."""


def control_of(connection: Connection[SendT, Any, Any]) -> Control[SendT]:
    """Return what a protocol needs that has messages of its own, such as pings."""
    return Control(*_of_control(connection))


_of_control: Callable[[Any], tuple[Any, Any, Any, Any]] = attrgetter(
    "_writer", "_reader", "_life.counters", "_life.changes"
)


class _Batches(AsyncIterator[list[MessageT]], Generic[MessageT]):
    """Not an async generator: one that is left in the middle would have to be closed."""

    __slots__ = ("_inbox", "_writer")

    def __init__(self, inbox: Inbox[MessageT], writer: Writer[Any]) -> None:
        self._inbox = inbox
        self._writer = writer

    async def __anext__(self) -> list[MessageT]:
        # As `receive_batch`, without a call in between: a coroutine less for each batch.
        inbox = self._inbox
        if not inbox.ready:
            self._writer.new_turn()
            try:
                await inbox.take_batch()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return inbox.take_ready()
