"""Asking: what a client of requests and a session have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import trio

from .._connection import Connection
from .._errors import RequestError, RequestInDoubtError, RequestNotSentError
from ._calls import Call, StreamCall
from ._ledger import Ledger
from ._protocol import exchange_of

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")


class Replies(AsyncIterator[ReceiveT], Generic[ReceiveT]):
    """The replies to one request, as they come, the last one included."""

    def __init__(self, call: StreamCall[Any, ReceiveT]) -> None:
        self._call = call

    def receive_nowait(self) -> ReceiveT:
        """Return the next one that is there.

        Raises:
            trio.WouldBlock: there is none; the iteration tells whether more come.
        """
        if not self._call.backlog:
            raise trio.WouldBlock
        return self._call.backlog.take_nowait()

    async def __anext__(self) -> ReceiveT:
        try:
            return await self._call.backlog.take()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


class Requester(ABC, Generic[SendT, ReceiveT]):
    """Something that can be asked.

    Parameters:
        ledger: tells requests their fate.
        max_stream_replies: replies of a stream that are kept.
    """

    def __init__(self, ledger: Ledger, max_stream_replies: int) -> None:
        self._ledger = ledger
        self._max_stream_replies = max_stream_replies

    # What differs

    @abstractmethod
    async def _enter(self, count: int) -> None:
        """Have requests let in."""

    @abstractmethod
    async def _send(self, message: SendT | Call[SendT, ReceiveT]) -> None:
        """Have a connection accept a message or a call."""

    @abstractmethod
    async def _pick(self) -> Connection[Any, ReceiveT, Any]:
        """Return a connection for several calls."""

    # What is the same

    async def request(self, message: SendT, *, timeout: float | None = None) -> ReceiveT:
        """Send a request and return its reply.

        Whatever it raises but `RequestInDoubtError` means that the peer has not executed the
        request, and will not. Cancelled, or out of time, after it was accepted, its reply is thrown
        away when it comes (see `WhenCancelled`), and nobody else's is taken for it. A checkpoint
        unless the reply comes at once.

        Parameters:
            message: the request.
            timeout: seconds for all of it: waiting in line, for a connection, for room, for the
                reply. Unlike a cancel scope around the call, it tells by the error how far it came.

        Raises:
            RequestNotSentError: nothing of it left this process; out of time, or its connection
                died before it was sent, or the one of its session. Out of time, the cause of this
                error and of the next is a `trio.TooSlowError`.
            RequestInDoubtError: it may have been executed.
            LocalProtocolError: it cannot be encoded, or its id is in use.
            ConnectError: no connection is open and none could be opened in time.
            HandshakeError: likewise, the last attempt failed in the handshake.
            ConnectionLostError: as many new connections as ``connect_attempts`` broke before one
                accepted it.
            PoolBusyError: too many requests wait already.
            PoolClosedError: the client is closed.
        """
        call: Call[SendT, ReceiveT] = Call(message)
        if timeout is None:
            await self._submit(call)
            return await call.wait()
        accepted = False
        with trio.move_on_after(timeout):
            await self._submit(call)
            accepted = True
            return await call.wait()
        raise _late(timeout, accepted=accepted)

    async def request_batch(
        self, messages: Iterable[SendT], *, timeout: float | None = None
    ) -> list[ReceiveT]:
        """Send requests together on one connection, in order, and return their replies in order.

        Requests of others may come between them; see `RequestClient.session` for when they may not.

        Parameters:
            messages: the requests.
            timeout: seconds for all of it.

        Raises:
            RequestInDoubtError: at least one may have been executed and has no reply; ``outcomes``
                says what became of each.
            RequestNotSentError: likewise, those without a reply never left this process. Where one
                cannot be encoded, those before it are sent and answered all the same.
            SnowtrioError: as `request`; nothing was sent.
        """
        calls: list[Call[SendT, ReceiveT]] = [Call(message) for message in messages]
        if not calls:
            await trio.lowlevel.checkpoint()
            return []
        limit = timeout if timeout is not None else float("inf")
        try:
            with trio.move_on_after(limit):
                await self._submit_batch(calls)
                for call in calls:
                    if not call.done:
                        await call.wait_done()
        finally:
            for call in calls:
                call.abandon()
        return _outcomes(calls, limit)

    @asynccontextmanager
    async def stream(
        self, message: SendT, *, ends: Callable[[ReceiveT], bool]
    ) -> AsyncGenerator[Replies[ReceiveT], None]:
        """Send one request with many replies: ``async with client.stream(...) as replies:``.

        The replies come by ``async for``, the last one too. While they are not taken, beyond
        ``max_stream_replies``, their connection is not read. What is left when the block is left is
        thrown away as it comes.

        Parameters:
            message: the request.
            ends: whether a reply is the last one.

        Raises as `request`, here or while the replies are taken.
        """
        call: StreamCall[SendT, ReceiveT] = StreamCall(message, ends, self._max_stream_replies)
        await self._submit(call)
        try:
            yield Replies(call)
        finally:
            call.abandon()

    async def notify(self, message: SendT) -> None:
        """Send a message that has no reply; as `Client.send`."""
        await self._send(message)

    async def _submit(self, call: Call[SendT, ReceiveT]) -> None:
        await self._enter(1)
        try:
            await self._send(call)
        except BaseException:
            self._ledger.leave()
            raise

    async def _submit_batch(self, calls: Sequence[Call[SendT, ReceiveT]]) -> None:
        await self._enter(len(calls))
        try:
            connection = await self._pick()
        except BaseException:
            for _ in calls:
                self._ledger.leave()
            raise
        try:
            await connection.send_batch(calls)
        except BaseException as error:
            exchange_of(connection).forget_refused()
            refused = [call for call in calls if call.carrier is None]
            if not isinstance(error, Exception):
                for _ in refused:
                    self._ledger.leave()
                raise
            for call in refused:
                self._ledger.fail_not_sent(call, error)


def _late(timeout: float, *, accepted: bool) -> RequestError:
    error: RequestError
    if accepted:
        error = RequestInDoubtError(f"no reply came within {timeout:g} seconds")
    else:
        error = RequestNotSentError(f"the request could not be sent within {timeout:g} seconds")
    error.__cause__ = trio.TooSlowError()
    return error


def _outcomes(calls: Sequence[Call[Any, ReceiveT]], timeout: float) -> list[ReceiveT]:
    """Return all replies; raise, when every fate is known, if one of them did not come."""
    errors: list[Exception | None] = [
        call.error if call.done else _late(timeout, accepted=call.carrier is not None)
        for call in calls
    ]
    failures = [error for error in errors if error is not None]
    if not failures:
        return [call.reply for call in calls]
    doubts = [error for error in failures if isinstance(error, RequestInDoubtError)]
    message = f"{len(failures)} of {len(calls)} requests have no reply: {(doubts or failures)[0]}"
    outcomes = [error or call.reply for call, error in zip(calls, errors, strict=True)]
    kind = RequestInDoubtError if doubts else RequestNotSentError
    raise kind(message, outcomes) from (doubts or failures)[0].__cause__
