"""Messages from the server that answer nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import trio

from .._broadcast import WhenSlow
from .._errors import SlowConsumerError
from ._backlog import Backlog

ReceiveT = TypeVar("ReceiveT")


class Pushes(AsyncIterator[ReceiveT], Generic[ReceiveT]):
    """What a server sent unasked: ``async for message in client.pushes``.

    Up to ``max_pushes`` of them are kept until somebody takes them. The iteration ends when the
    client is closed; that of a session's, when the session is left, and it raises where the
    connection ended before. Any number of tasks may take; each message goes to one of them.

    Parameters:
        backlog: what has come.
    """

    def __init__(self, backlog: Backlog[ReceiveT]) -> None:
        self._backlog = backlog
        self._received = 0

    @property
    def received(self) -> int:
        """Messages that came."""
        return self._received

    @property
    def dropped(self) -> int:
        """Messages that were thrown away since nobody had taken those before them."""
        return self._backlog.dropped

    async def receive(self) -> ReceiveT:
        """Return the next one. A checkpoint only where it waits; cancelled, it loses nothing.

        Raises:
            trio.EndOfChannel: no more come.
            ConnectionLostError: the session's connection broke, or the peer closed it.
            ConnectionClosedError: our side closed it.
        """
        return await self._backlog.take()

    def receive_nowait(self) -> ReceiveT:
        """Return the next one that is there.

        Raises:
            trio.WouldBlock: there is none.
        """
        if not self._backlog:
            raise trio.WouldBlock
        return self._backlog.take_nowait()

    async def __anext__(self) -> ReceiveT:
        try:
            return await self._backlog.take()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


class PushQueue(Pushes[ReceiveT]):
    """The same, as connections see it.

    Parameters:
        bound: messages that are kept.
        when_slow: what to do when as many are kept and another comes.
    """

    def __init__(self, bound: int, when_slow: WhenSlow) -> None:
        super().__init__(Backlog(bound))
        self._when_slow = when_slow

    def offer(self, message: ReceiveT) -> Backlog[ReceiveT] | None:
        """Take what came on a connection; return what to wait for before that is read again.

        Raises:
            SlowConsumerError: the connection is to be cut.
        """
        self._received += 1
        backlog, policy = self._backlog, self._when_slow
        # To one that waits for room a message may still come that was read with the one before.
        if not backlog.full or policy is WhenSlow.WAIT:
            backlog.put(message)
            return backlog if backlog.full and policy is WhenSlow.WAIT else None
        if policy is WhenSlow.DROP_OLDEST:
            backlog.drop_oldest()
            backlog.put(message)
            return None
        backlog.dropped += 1
        if policy is WhenSlow.DISCONNECT:
            raise SlowConsumerError(f"nobody took {backlog.bound} messages that came unasked")
        return None

    def end(self, reason: Exception | None = None) -> None:
        """Say that no more come, and why if that is to be raised; the first reason counts."""
        self._backlog.end(reason or trio.EndOfChannel("no more messages come"))
