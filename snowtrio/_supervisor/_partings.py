"""What a drain says to each connection, by the hooks of its protocol."""

from __future__ import annotations

import logging
from typing import Generic

from typing_extensions import TypeVar

from .._connection import Connection
from .._protocol import Protocol, is_departure

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Partings(Generic[SendT, ReceiveT, ContextT]):
    """Runs the hooks with which connections learn of a drain.

    Parameters:
        protocol: whose hooks they are.
        logger: where it is reported that one has failed.
        propagate_errors: whether what one raises goes on to the caller instead.
    """

    def __init__(
        self,
        protocol: Protocol[SendT, ReceiveT, ContextT],
        logger: logging.Logger,
        *,
        propagate_errors: bool,
    ) -> None:
        self._protocol = protocol
        self._logger = logger
        self._propagate = propagate_errors
        self._told: set[Connection[SendT, ReceiveT, ContextT]] = set()

    def settle(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Run the settle hook."""
        try:
            self._protocol.settle(connection)
        except Exception as error:
            self._note_failure(connection, error)

    async def say_goodbye(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Run the goodbye hook; once for each."""
        if connection in self._told:
            return
        self._told.add(connection)
        try:
            await self._protocol.goodbye(connection)
        except Exception as error:
            self._note_failure(connection, error)

    def forget(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection has ended."""
        self._told.discard(connection)

    def _note_failure(
        self, connection: Connection[SendT, ReceiveT, ContextT], error: Exception
    ) -> None:
        """Log what a hook raised, or raise it; one that found its peer gone has not failed."""
        if is_departure(error):
            return
        if self._propagate:
            raise error
        self._logger.error("parting from %r failed", connection, exc_info=error)
