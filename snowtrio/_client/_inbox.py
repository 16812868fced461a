"""What came on the connections of a client that has no handler."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from typing import Any, Generic, NamedTuple, TypeVar

import trio

from .._connection import Connection
from .._errors import PoolClosedError, SkippedMessageError

MessageT = TypeVar("MessageT")

logger = logging.getLogger("snowtrio.client")

_CLOSED = "this client is closed"


class Received(NamedTuple, Generic[MessageT]):
    """A message and the connection that it came on."""

    message: MessageT
    connection: Connection[Any, MessageT, Any]


class Inbox(Generic[MessageT]):
    """Batches of messages on their way from connections to any number of receivers.

    Parameters:
        bound: messages that may be kept of connections that have ended.
        patience: seconds to spend on what such a connection had decoded.
    """

    def __init__(self, bound: int, patience: float) -> None:
        self._bound = bound
        self._patience = patience
        self._closed = False
        self._ready: deque[Received[MessageT]] = deque()
        self._receivers = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    # The connections

    async def take_from(self, connection: Connection[Any, MessageT, Any]) -> None:
        """Offer what comes on a connection until it ends, as a handler.

        While nobody takes it the connection is not read. What it had decoded when it ended, or was
        ended, is still offered.
        """
        try:
            await self._take(connection, wait=True)
        except trio.Cancelled:
            connection.stop_receiving()
            with trio.move_on_after(self._patience, shield=True):
                await self._take(connection, wait=False)
            raise

    async def _take(self, connection: Connection[Any, MessageT, Any], *, wait: bool) -> None:
        with contextlib.suppress(trio.EndOfChannel, trio.ClosedResourceError):
            while True:
                try:
                    batch = await connection.receive_batch()
                except SkippedMessageError as error:
                    logger.info("skipped a message of %s: %s", connection.peer_address, error)
                    continue
                received = [Received(message, connection) for message in batch]
                if wait:
                    await self._put(received)
                else:
                    self._keep(received)

    async def _put(self, batch: list[Received[MessageT]]) -> None:
        """Wait until all before it has been taken, then add a batch."""
        try:
            while self._ready and not self._closed:
                await self._room.park()
        except trio.Cancelled:
            self._keep(batch)  # It has been received, and cannot be given back.
            raise
        if self._closed:
            raise PoolClosedError(_CLOSED)
        self._add(batch)

    def _keep(self, batch: list[Received[MessageT]]) -> None:
        if self._closed:
            return
        if len(self._ready) + len(batch) > self._bound:
            logger.warning("threw %d messages away: nobody receives them", len(batch))
        else:
            self._add(batch)

    def _add(self, batch: list[Received[MessageT]]) -> None:
        self._ready.extend(batch)
        self._receivers.unpark(count=len(self._ready))

    # The receivers

    async def get(self) -> Received[MessageT]:
        """Return the next message. Cancelled, it takes none.

        Raises:
            PoolClosedError: the inbox is closed and empty.
        """
        while not self._ready:
            if self._closed:
                raise PoolClosedError(_CLOSED)
            await self._receivers.park()
        message = self._ready.popleft()
        if not self._ready:
            self._room.unpark()
        return message

    def close(self) -> None:
        """Take nothing more; whoever waits is told. Idempotent."""
        self._closed = True
        self._receivers.unpark_all()
        self._room.unpark_all()
