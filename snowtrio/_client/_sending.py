"""Having some connection of a pool accept messages."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Generic, TypeVar

import trio

from .._errors import ConnectionClosedError, ConnectionLostError
from .._supervisor import Member
from ._limits import ClientLimits
from ._opening import pause_after
from ._pool import Pool

SendT = TypeVar("SendT")

logger = logging.getLogger("snowtrio.client")

# All outboxes of a pool together hold so much that a task which only sends would keep the others
# waiting for too long before it came to a full one: so it meets a checkpoint once in so many sends.
TURN = 256


class Sender(Generic[SendT]):
    """Brings messages to connections, and to others where those break.

    Parameters:
        pool: chooses the connections.
        limits: for the number of retries and the pauses between them.
    """

    def __init__(self, pool: Pool[SendT, Any, Any], limits: ClientLimits) -> None:
        self._pool = pool
        self._limits = limits
        self._moving = 0
        self._sends = 0
        self.moved = 0
        """Messages of dead connections that another one accepted."""

    def send_at_once(self, message: SendT) -> bool:
        """Have the least busy connection accept a message, if there is nothing to wait for.

        Returns whether it did; `send` is to be awaited otherwise. Raises as `send`.
        """
        self._sends += 1
        member = self._pool.at_once() if self._sends % TURN else None
        if member is None:
            return False
        life = member.life
        if not life.writer.has_room():
            return False
        try:
            life.writer.accept(message, answering=bool(life.reader.inbox.ready))
        except (ConnectionLostError, ConnectionClosedError):
            return False  # It was not accepted, so another connection may have it.
        return True

    async def send(self, message: SendT) -> None:
        """Have the least busy connection accept a message that could not go at once."""
        retries = Retries(self._pool, self._limits)
        if self._sends % TURN == 0:
            await trio.lowlevel.checkpoint()
        while True:
            member = await self._pool.acquire()
            try:
                await member.connection.send(message)
            except (ConnectionLostError, ConnectionClosedError) as error:
                # It was not accepted, so another connection may have it.
                self._pool.progress()
                await retries.after(member, error)
            except BaseException:
                self._pool.progress()  # There is still room for another's.
                raise
            else:
                return

    async def borrow(self) -> Member[SendT, Any, Any]:
        """Return a connection that is lent to the caller, with nothing pending on it."""
        retries = Retries(self._pool, self._limits)
        while True:
            member = await self._pool.acquire()
            self._pool.lend(member)
            try:
                await self._pool.wait_quiet(member)
            except ConnectionLostError as error:
                self._pool.take_back(member)
                await retries.after(member, error)
            except BaseException:
                self._pool.take_back(member)
                raise
            else:
                return member

    async def move(self, unsent: deque[SendT]) -> None:
        """Give the unsent messages of a dead connection to another one, in order (row S18).

        Each leaves `unsent` in the moment in which it is accepted. What cannot be moved stays.
        """
        self._moving += 1
        retries = Retries(self._pool, self._limits)
        try:
            while unsent and not self._pool.closed:
                member = await self._pool.acquire(ahead=True)
                try:
                    await self._move_to(member, unsent)
                except (ConnectionLostError, ConnectionClosedError) as error:
                    await retries.after(member, error)
        except Exception as error:  # The messages are purged instead.
            logger.warning("cannot move %d unsent messages: %s", len(unsent), error)
        finally:
            self._moving -= 1
            self._pool.changed()

    async def _move_to(self, member: Member[SendT, Any, Any], unsent: deque[SendT]) -> None:
        while True:
            await member.connection.send(unsent[0])
            unsent.popleft()
            self.moved += 1
            if not (unsent and self._pool.has_room(member)):
                return

    async def wait_moved(self) -> None:
        """Wait until nothing is being moved any more."""
        while self._moving:
            await self._pool.wait_changed()


class Retries:
    """Says how often to go on where connections break before they accept a message.

    Parameters:
        pool: ends the pauses when it is closed.
        limits: as many times as ``connect_attempts`` on new connections, with the same pauses.
    """

    def __init__(self, pool: Pool[Any, Any, Any], limits: ClientLimits) -> None:
        self._pool = pool
        self._limits = limits
        self._began = trio.current_time()
        self._broken = 0

    async def after(self, member: Member[Any, Any, Any], error: Exception) -> None:
        """Wait before the next try, after `member` broke; raise `error` where it was the last one.

        A connection that was there before may have been stale; the next one is tried at once.
        """
        if member.life.usable:
            raise error  # A codec's own: the connection is as good as it was.
        if member.since < self._began or self._pool.closed:
            return
        self._broken += 1
        timeout = self._began + self._limits.connect_timeout
        if self._broken >= self._limits.connect_attempts or trio.current_time() >= timeout:
            raise error
        with trio.move_on_after(pause_after(self._broken - 1, self._limits)):
            while not self._pool.closed:
                await self._pool.wait_changed()
