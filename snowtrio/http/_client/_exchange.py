"""One request and its response, on a connection that nobody else uses meanwhile."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TypeVar, cast

import trio

from ..._codec import Codec
from ..._connection import Connection
from ..._errors import (
    ConnectionClosedError,
    ConnectionLostError,
    IncompleteFrameError,
)
from .._errors import BadMessageError, BadResponseError, FetchError, NoResponseError
from .._headers import read_headers
from .._wire import EndOfMessage, Fields, ResponseEvent, ResponseHead
from ._asking import Outgoing
from ._limits import HTTPClientLimits
from ._pool import ConnectionPool
from ._site import Held
from ._timing import Phase, Stopwatch

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

# A server that knows nothing of ``100 Continue`` is sent the body all the same after so long.
_CONTINUE_PATIENCE = 1.0
# What is left of a body that nobody wants may take so long.
_DISCARD_PATIENCE = 0.5
# A server that works on something for long may say so every few seconds.
_MAX_INFORMATIONAL = 100


class Exchange:
    """Sends a request and gives its response piece by piece. `finish` must be called.

    Parameters:
        held: the connection.
        pool: where it goes back.
        request: what is asked.
        watch: bounds it.
        limits: the bounds.
    """

    def __init__(
        self,
        held: Held,
        pool: ConnectionPool,
        request: Outgoing,
        watch: Stopwatch,
        limits: HTTPClientLimits,
    ) -> None:
        self.trailers: Fields = ()
        self.ended = False
        """Whether the response is complete."""
        self.upgraded = False
        """Whether the connection speaks something else by now."""
        self._held = held
        self._connection = held.connection
        self._pool = pool
        self._request = request
        self._watch = watch
        self._limits = limits
        self._counters = held.life.counters
        self._sent_before = self._counters.bytes_sent
        self._received_before = self._counters.bytes_received
        self._go_on: trio.Event | None = None
        self._uploading: trio.CancelScope | None = None
        self._uploaded: trio.Event
        self._left = -1
        """Bytes of a body in pieces that are still to be sent; below 0 where that is not known."""
        self._accepted = False
        self._over = False

    # What became of it

    @property
    def sent(self) -> bool:
        """Whether the kernel may have got anything of the request."""
        return self._accepted or self._counters.bytes_sent > self._sent_before

    @property
    def reused(self) -> bool:
        """Whether the connection had carried another request before."""
        return self._held.uses > 1

    @property
    def stale(self) -> bool:
        """Whether it can be that the server ended the connection before it saw the request."""
        return self.reused and self._counters.bytes_received == self._received_before

    # The request

    async def send(self, nursery: trio.Nursery | None) -> None:
        """Send the head, and begin with a body that goes piece by piece.

        Parameters:
            nursery: for the task that sends such a body.

        Raises:
            NoResponseError: the connection is broken.
            FetchTimeoutError: it took too long.
            LocalProtocolError: the request cannot be written; nothing of it was sent.
        """
        request, watch = self._request, self._watch
        head = request.head()
        watch.enter(Phase.RESPONSE, watch.timeouts.response, self._connection.drop)
        if request.upgrades:
            # What comes next may be a protocol in which one side goes on when the other has ended.
            self._held.life.eof_is_departure = False
        try:
            await self._connection.send(head)
        except (ConnectionLostError, ConnectionClosedError) as error:
            raise self._no_response("the connection broke before the request was sent") from error
        self._accepted = watch.in_doubt = True
        if request.streams:
            assert nursery is not None
            if request.expect_continue:
                self._go_on = trio.Event()
            self._left = head.content_length or -1
            self._uploaded = trio.Event()
            self._uploading = trio.CancelScope()
            watch.enter(Phase.SEND, watch.timeouts.send)
            nursery.start_soon(self._upload)

    async def _upload(self) -> None:
        assert self._uploading is not None
        with self._uploading:
            if self._go_on is not None:
                with trio.move_on_after(_CONTINUE_PATIENCE):
                    await self._go_on.wait()
            if await self._send_pieces() and await self._pass_on(EndOfMessage()):
                self._watch.sent()
        self._uploaded.set()

    async def _send_pieces(self) -> bool:
        """Send a body up to its end; return whether it got there."""
        watch = self._watch
        async with contextlib.aclosing(self._request.body.pieces()) as pieces:
            watch.turn_to(Phase.SOURCE)
            async for piece in pieces:
                if piece:
                    watch.turn_to(Phase.SEND)
                    if not await self._pass_on(piece):
                        return False
                    self._left -= len(piece)
                    watch.turn_to(Phase.SOURCE)
        watch.turn_to(Phase.SEND)
        return True

    async def _pass_on(self, event: bytes | EndOfMessage) -> bool:
        """Send a piece or the end; return whether it was accepted.

        A break is told by what is received, or is not. What the body's own source raises is none.
        """
        try:
            await self._connection.send(event)
        except (ConnectionLostError, ConnectionClosedError):
            return False
        return True

    # The response

    async def receive_head(self) -> ResponseHead:
        """Return the response's head, and its body where that came with it.

        Raises:
            NoResponseError: the connection ended before.
            FetchTimeoutError: it took too long.
            BadResponseError: what came is no response.
        """
        informed = 0
        while True:
            event = await self._receive()
            assert isinstance(event, ResponseHead)
            if event.status >= 200 or event.status == 101:
                break
            informed += 1
            if informed > _MAX_INFORMATIONAL:
                raise BadResponseError("the server sends informational responses without end")
            self._informed(event)
        if event.status == 101 and not _agrees(event, self._request.upgrades):
            raise BadResponseError("the server goes on in a protocol that nobody asked for")
        self._watch.answered()
        if self._uploading is not None and event.status >= 300:
            self._uploading.cancel(reason="the server has answered before it saw all")
        if event.body is not None:
            self.trailers = event.trailers
            self.ended = True
        return event

    def _informed(self, head: ResponseHead) -> None:
        if head.status == 100 and self._go_on is not None:
            self._go_on.set()
        if self._request.on_informational is not None:
            self._request.on_informational(head.status, read_headers(head.fields))

    async def receive_piece(self) -> bytes | None:
        """Return the next piece of the body, None at its end; raises as `receive_head`."""
        if self.ended:
            return None
        self._watch.enter(Phase.PIECE, self._watch.timeouts.piece)
        event = await self._receive()
        if isinstance(event, bytes):
            return event
        assert isinstance(event, EndOfMessage)
        self.trailers = event.trailers
        self.ended = True
        return None

    async def _receive(self) -> ResponseEvent:
        try:
            return await self._connection.receive()
        except BadMessageError as error:
            raise BadResponseError(f"the server sent no response: {error}") from error
        except IncompleteFrameError:
            raise self._no_response("the connection ended inside the response") from None
        except trio.EndOfChannel:
            raise self._no_response("the server closed the connection before it answered") from None
        except (ConnectionLostError, ConnectionClosedError) as error:
            raise self._no_response(f"the connection ended: {error}") from error

    def _no_response(self, what: str) -> FetchError:
        if self._watch.late:
            return self._watch.give_up()
        doubt = self.sent or self._watch.in_doubt  # An earlier attempt may have arrived.
        if not doubt:
            what += "; nothing of the request was sent"
        elif not self._request.repeatable:
            what += "; the server may have acted on the request, so it was not repeated"
        return NoResponseError(what, in_doubt=doubt)

    def switch(
        self, codec: Codec[SendT, ReceiveT], farewell: Callable[[], object] | None
    ) -> Connection[SendT, ReceiveT, object]:
        """Return the connection, which speaks another protocol from here on."""
        self.upgraded = True
        # No deadline of a request ends it any more.
        patience = self._watch.timeouts.send
        self._held.life.transport.stall_timeout = math.inf if patience is None else patience
        self._held.farewell = farewell
        connection = cast("Connection[SendT, ReceiveT, object]", self._connection)
        connection.switch(codec)
        return connection

    # The end

    @property
    def over(self) -> bool:
        """Whether the connection was given back."""
        return self._over

    async def discard(self, head: ResponseHead) -> None:
        """Read what is left of the body, if it is little, so that the connection can be used."""
        left = self._limits.max_unread_body
        if (head.content_length or 0) > left or not self._held.coder.reusable:
            return
        with trio.move_on_after(_DISCARD_PATIENCE), contextlib.suppress(Exception):
            while left >= 0 and (piece := await self.receive_piece()) is not None:
                left -= len(piece)
        await self.settle()

    async def settle(self) -> None:
        """Let a body come to its end that has been sent, where the response was faster."""
        if self._uploading is not None and self._left == 0:
            with trio.move_on_after(_DISCARD_PATIENCE):
                await self._uploaded.wait()

    def finish(self) -> None:
        """Give the connection back: to the next request, if all has come and gone; idempotent."""
        if self._over:
            return
        self._over = True
        if self._uploading is not None:
            self._uploading.cancel(reason="the response is complete")
        held = self._held
        if self._request.upgrades and not self.upgraded:
            held.life.eof_is_departure = True
        done = (
            self.ended
            and not self.upgraded
            and not held.coder.sending
            and not held.coder.receiving
            and not self._connection.pending
        )
        self._pool.give_back(held, keep=done and held.coder.reusable, clean=done)


def _agrees(head: ResponseHead, protocol: str | None) -> bool:
    """Whether a 101 names the protocol that was asked for (RFC 9110 section 7.8)."""
    named = [value.decode("latin-1") for name, value in head.fields if name == b"upgrade"]
    return protocol is not None and [each.lower() for each in named] == [protocol.lower()]
