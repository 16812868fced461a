"""What has come and was not taken yet: messages, and where some are missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs
import trio

from .._broadcast import WhenSlow
from .._connection import again
from .._errors import ConnectionClosedError, SlowConsumerError

MessageT = TypeVar("MessageT")


@attrs.frozen(kw_only=True)
class Gap:
    """Stands among the messages of a `Subscriber` where others may be missing.

    Parameters:
        error: what ended the connection on which the messages before came, `trio.EndOfChannel` for
            the server's clean end; the messages behind come on another one, which is subscribed by
            now. None where it is the same connection.
        attempts: how many attempts the other connection took, 0 where it is the same.
        dropped: messages that came here and are not delivered, since the consumer is slow or the
            codec threw them away. What the server sent while there was no subscription is not
            counted: nobody here knows of it.
    """

    error: Exception | None = None
    attempts: int = 0
    dropped: int = 0

    def joined(self, later: Gap) -> Gap:
        """Return one gap for two with nothing between them."""
        return Gap(
            error=self.error or later.error,
            attempts=self.attempts + later.attempts,
            dropped=self.dropped + later.dropped,
        )


class Backlog(Generic[MessageT]):
    """Messages on their way from one connection after the other to the consumer.

    Parameters:
        bound: messages to keep.
        when_slow: what to do with more.
    """

    def __init__(self, bound: int, when_slow: WhenSlow) -> None:
        self.delivered = self.dropped = self.gaps = self.peak = 0
        self._bound = bound
        self._when_slow = when_slow
        self._messages: deque[MessageT] = deque()
        self._gaps: deque[tuple[int, Gap]] = deque()
        """Each with the number of the message before which it stands, in the order of these."""
        self._first = 0
        """The number of the first message that is kept."""
        self._end: Exception | None = None
        self._receivers = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    @property
    def waiting(self) -> int:
        """Messages that are kept now."""
        return len(self._messages)

    # The connection

    async def put(self, batch: Sequence[MessageT]) -> None:
        """Keep what came; with `WhenSlow.WAIT` wait for room.

        Raises:
            SlowConsumerError: there is no room, and the policy is to disconnect. What there was
                room for is kept.
        """
        if self._when_slow is WhenSlow.WAIT:
            await self._put_in_turn(batch)
        elif self._when_slow is WhenSlow.DROP_OLDEST:
            self._keep(batch)
            self._drop_oldest(len(self._messages) - self._bound)
        else:
            room = self._bound - len(self._messages)
            self._keep(batch[:room])
            self._drop_newest(len(batch) - room)

    async def _put_in_turn(self, batch: Sequence[MessageT]) -> None:
        while batch:
            while (room := self._bound - len(self._messages)) <= 0:
                await self._room.park()
            self._keep(batch[:room])
            batch = batch[room:]

    def _keep(self, batch: Sequence[MessageT]) -> None:
        if self._end is not None:
            return  # The consumer has left, and the connection is about to be closed.
        self._messages.extend(batch)
        self.peak = max(self.peak, min(len(self._messages), self._bound))
        self._receivers.unpark(count=len(batch))

    def _drop_oldest(self, number: int) -> None:
        if number <= 0:
            return
        for _ in range(number):
            self._messages.popleft()
        self._first += number
        self.dropped += number
        gap = Gap(dropped=number)
        while self._gaps and self._gaps[0][0] <= self._first:
            gap = self._gaps.popleft()[1].joined(gap)
        self._gaps.appendleft((self._first, gap))

    def _drop_newest(self, number: int) -> None:
        if number <= 0:
            return
        self.dropped += number
        self.mark(Gap(dropped=number))
        if self._when_slow is WhenSlow.DISCONNECT:
            raise SlowConsumerError(
                f"messages came faster than they were taken: max_messages ({self._bound}) are kept"
            )

    def mark(self, gap: Gap) -> None:
        """Note that messages may be missing behind those that have come."""
        place = self._first + len(self._messages)
        if self._gaps and self._gaps[-1][0] == place:
            gap = self._gaps.pop()[1].joined(gap)
        self._gaps.append((place, gap))
        self._receivers.unpark()

    def end(self, error: Exception) -> None:
        """Let nothing more come: who has taken all that is kept gets `error`."""
        self._end = error
        self._receivers.unpark_all()

    def close(self) -> None:
        """Keep nothing any more; who waits is told at once."""
        self._messages.clear()
        self._gaps.clear()
        self.end(ConnectionClosedError("this subscriber is closed"))

    # The consumer

    async def take(self) -> MessageT | Gap:
        """Return what is next. Cancelled, it takes nothing.

        Raises:
            Exception: what ended it, when everything has been taken.
        """
        while not self._messages or self._gaps:
            if self._gaps and self._gaps[0][0] <= self._first:
                self.gaps += 1
                return self._gaps.popleft()[1]
            if self._messages:
                break
            if self._end is not None:
                raise again(self._end)
            await self._receivers.park()
        message = self._messages.popleft()
        self._first += 1
        self.delivered += 1
        # Not for each message: it would be a task switch for each.
        if len(self._messages) == self._bound // 2:
            self._room.unpark()
        return message
