"""One connection of a subscriber."""

from __future__ import annotations

from typing import Generic

import trio
from typing_extensions import TypeVar

from .._connection import Connection
from .._errors import ConnectionLostError
from .._supervisor import Member, Supervisor

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class SilenceError(ConnectionLostError):
    """Nothing came for ``silence_timeout``."""


class Session(Generic[SendT, ReceiveT, ContextT]):
    """A connection and what its own task has to know.

    Parameters:
        supervisor: has registered it.
        member: the connection.
    """

    def __init__(
        self,
        supervisor: Supervisor[SendT, ReceiveT, ContextT],
        member: Member[SendT, ReceiveT, ContextT],
    ) -> None:
        self.connection: Connection[SendT, ReceiveT, ContextT] = member.connection
        self.since = trio.current_time()
        """When it was subscribed; until then, when it was opened."""
        self.gone = trio.Event()
        """Set when it has closed and its hooks have run."""
        self._supervisor = supervisor
        self._member = member
        self._left = trio.Event()

    async def run(self) -> None:
        """Run the connection until it is left: its own task."""
        try:
            await self._supervisor.attend(self._member, self._left.wait)
        finally:
            self.gone.set()

    def leave(self) -> None:
        """Have it closed in order. Idempotent, and does not wait."""
        self._left.set()

    @property
    def bytes_received(self) -> int:
        """How much has come, of unfinished messages too."""
        return self._member.life.counters.bytes_received
