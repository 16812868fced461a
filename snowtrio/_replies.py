"""A function called for each request, many of them at a time, and their replies in order.

A request that is done before its turn leaves its reply in the line, and its task ends. Whoever has
the turn sends the replies behind its own too, as far as they are there: so no task waits only to
send, and what is ready together leaves together.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Generic, TypeAlias, cast

import trio
from typing_extensions import TypeVar

from ._connection import Connection, writer_of
from ._errors import SkippedMessageError
from ._supervisor import open_plain_nursery

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

RequestFunction: TypeAlias = Callable[
    [Connection[SendT, ReceiveT, ContextT], ReceiveT],
    Awaitable[SendT | None] | AsyncIterator[SendT],
]
SkippedFunction: TypeAlias = Callable[
    [Connection[SendT, ReceiveT, ContextT], SkippedMessageError], SendT | None
]

logger = logging.getLogger("snowtrio.connection")


class RequestHandler(Generic[SendT, ReceiveT, ContextT]):
    """A handler that calls a function for each request and sends what comes of it.

    ::

        async def answer(connection, request):
            return await look_up(request)

        await serve_tcp(RequestHandler(answer), LineCodec(), 7000)

    Each request of a connection has a task of its own, up to `max_concurrent` at a time. While so
    many are under way nothing more is received, and what the peer goes on to send waits in the
    kernel. Those that come together may begin in any order: where one request depends on what the
    one before it has done, `max_concurrent` is 1. One object serves any number of connections.

    The peer's end of input ends the receiving alone: what is under way finishes, and its replies
    are sent. So it is with a drain, with ``connection.stop_receiving()``, by which a function ends
    the conversation, and with bytes that break the protocol. A reset or a failed write cancels
    everything that is under way, and so does what a function raises: it ends the connection as any
    handler's error does, after the replies that were sent before it. Replies that waited for their
    turn are lost then.

    Parameters:
        function: an ``async def function(connection, request)`` that returns the reply, or None to
            send none; or an async generator function, each of whose items is sent as a reply of its
            own. It runs in a copy of the context variables of the handler; with `max_concurrent`
            1 in those themselves, with no task in between. Or a plain function marked with
            `Threads`, which returns the reply.
        max_concurrent: requests of one connection that run, or are done and wait for their turn.
            Default 16.
        in_order: send the replies in the order of the requests, however the functions finish, as
            protocols without ids need it. A generator's items are sent as they are made once its
            turn has come, and until then it makes only the first. Otherwise all replies are sent as
            they are ready, those of generators between the others.
        on_skipped: a plain function called as ``on_skipped(connection, error)`` for what the codec
            threw away; what it returns, if not None, is sent as that request's reply. Default: a
            line in the log, at level ``DEBUG``.

    Raises:
        ValueError: `max_concurrent` is below 1.
    """

    def __init__(
        self,
        function: RequestFunction[SendT, ReceiveT, ContextT],
        *,
        max_concurrent: int = 16,
        in_order: bool = True,
        on_skipped: SkippedFunction[SendT, ReceiveT, ContextT] | None = None,
    ) -> None:
        if max_concurrent < 1:
            raise ValueError(f"max_concurrent is at least 1, not {max_concurrent}")
        self.function = function
        self.max_concurrent = max_concurrent
        self.in_order = in_order
        self.on_skipped = on_skipped

    async def __call__(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Serve one connection until its end of input, when all is answered.

        Raises:
            Exception: what a function raised, or what ended the receiving; a group where several
                functions raised.
        """
        if self.max_concurrent == 1:
            await self._answer_one_by_one(connection)
        else:
            await _Requests(self, connection).answer_all()

    async def _answer_one_by_one(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        while True:
            try:
                request = await connection.receive()
            except trio.EndOfChannel:
                return
            except SkippedMessageError as error:
                reply = _reply_to_skipped(self, connection, error)
            else:
                made = self.function(connection, request)
                if isinstance(made, Awaitable):
                    reply = await made
                else:
                    reply = None
                    await _send_items(made, connection.send)
            if reply is not None:
                await connection.send(reply)


class _Turn(Generic[SendT]):
    """A request's place in the line."""

    __slots__ = ("_come", "done", "reply")

    def __init__(self) -> None:
        self.done = False
        self.reply: SendT | None = None
        """What is still to be sent of it, once it is done."""
        self._come: trio.Event | None = None

    async def wait(self) -> None:
        """Wait until it is the first in the line."""
        self._come = trio.Event()
        await self._come.wait()

    def come(self) -> None:
        """Note that it is the first in the line."""
        if self._come is not None:
            self._come.set()


class _Requests(Generic[SendT, ReceiveT, ContextT]):
    """The requests of one connection."""

    def __init__(
        self,
        handler: RequestHandler[SendT, ReceiveT, ContextT],
        connection: Connection[SendT, ReceiveT, ContextT],
    ) -> None:
        self._handler = handler
        self._connection = connection
        self._writer = writer_of(connection)
        self._under_way = 0
        self._line: deque[_Turn[SendT]] = deque()
        """Those under way in the order in which they came, where that matters."""
        self._room: trio.Event | None = None

    async def answer_all(self) -> None:
        """Receive requests and answer them until the end of input."""
        async with open_plain_nursery() as nursery:
            ended = await self._receive_all(nursery)
        if ended is not None:
            raise ended

    async def _receive_all(self, nursery: trio.Nursery) -> Exception | None:
        """Receive requests and start a task for each; return what ended that, None for the end.

        It is raised when what is under way has been answered.
        """
        connection, handler = self._connection, self._handler
        while True:
            if self._under_way == handler.max_concurrent:
                self._room = trio.Event()
                await self._room.wait()
            try:
                request = await connection.receive()
            except trio.EndOfChannel:
                return None
            except SkippedMessageError as error:
                reply = _reply_to_skipped(handler, connection, error)
                await self._finish(self._begin(), reply)
            except Exception as error:
                return error
            else:
                nursery.start_soon(self._answer, request, self._begin(), name="snowtrio request")

    def _begin(self) -> _Turn[SendT] | None:
        self._under_way += 1
        if not self._handler.in_order:
            return None
        turn: _Turn[SendT] = _Turn()  # Subscripted in the call it would take 5 µs.
        self._line.append(turn)
        return turn

    async def _answer(self, request: ReceiveT, turn: _Turn[SendT] | None) -> None:
        made = self._handler.function(self._connection, request)
        if isinstance(made, Awaitable):
            reply = await made
        else:
            reply = None
            await _send_items(made, partial(self._send_in_turn, turn))
        await self._finish(turn, reply)

    async def _finish(self, turn: _Turn[SendT] | None, reply: SendT | None) -> None:
        """Send a request's reply, when its turn comes, and those behind it that are done."""
        if turn is None:
            if reply is not None and not self._accept(reply):
                await self._accept_later(reply)
            self._leave()
            return
        turn.done, turn.reply = True, reply
        line = self._line
        if line[0] is not turn:
            return
        # The first stays there until its reply is accepted, so that nobody else sends meanwhile.
        while line and line[0].done:
            reply = line[0].reply
            if reply is not None and not self._accept(reply):
                await self._accept_later(reply)
            line.popleft()
            self._leave()
        if line:
            line[0].come()

    async def _send_in_turn(self, turn: _Turn[SendT] | None, item: SendT) -> None:
        if turn is not None and self._line[0] is not turn:
            await turn.wait()
        if not self._accept(item):
            await self._accept_later(item)

    def _accept(self, reply: SendT) -> bool:
        """Send a reply if there is room for it; say whether there was.

        With others under way it gathers, and leaves with those that are ready by the next pass of
        the run loop. The last one takes along what has gathered.
        """
        return self._writer.accept(reply, answering=self._under_way > 1)

    async def _accept_later(self, reply: SendT) -> None:
        await self._writer.wait_for_room()
        self._writer.accept_in_turn(reply)

    def _leave(self) -> None:
        """Note that a request is done with, and let another one begin."""
        self._under_way -= 1
        if self._room is not None:
            self._room.set()


def _reply_to_skipped(
    handler: RequestHandler[SendT, ReceiveT, ContextT],
    connection: Connection[SendT, ReceiveT, ContextT],
    error: SkippedMessageError,
) -> SendT | None:
    if handler.on_skipped is not None:
        return handler.on_skipped(connection, error)
    logger.debug("skipped a message: %s", error)
    return None


async def _send_items(made: AsyncIterator[SendT], send: Callable[[SendT], Awaitable[None]]) -> None:
    """Send what a request's function makes, one by one."""
    if not isinstance(made, AsyncIterator):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a function for requests returned {made!r}: declare it async def")
    try:
        async for item in made:
            await send(item)
    finally:
        if isinstance(made, AsyncGenerator):
            await cast("AsyncGenerator[SendT, None]", made).aclose()
