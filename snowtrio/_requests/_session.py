"""One connection of a client of requests, for one user."""

from __future__ import annotations

from typing import Any, Generic

from typing_extensions import TypeVar

from .._connection import Connection
from .._errors import ConnectionClosedError, ConnectionLostError, RequestNotSentError
from ._asking import Requester
from ._calls import Call
from ._ledger import Ledger
from ._pushes import Pushes
from ._turnstile import Turnstile

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Session(Requester[SendT, ReceiveT], Generic[SendT, ReceiveT, ContextT]):
    """Exclusive use of a connection: transactions, blocking commands, subscriptions.

    What it is asked goes out on its connection, in order, with nothing of others in between. Its
    requests fail when the connection does: none of them ever moves to another one.

    Parameters:
        connection: the one that was lent.
        ledger: tells requests their fate.
        turnstile: counts them.
        pushes: takes what comes on the connection and answers nothing.
        max_stream_replies: replies of a stream that are kept.
    """

    def __init__(
        self,
        connection: Connection[Any, ReceiveT, ContextT],
        ledger: Ledger,
        turnstile: Turnstile,
        pushes: Pushes[ReceiveT],
        max_stream_replies: int,
    ) -> None:
        super().__init__(ledger, max_stream_replies)
        self._connection = connection
        self._turnstile = turnstile
        self._pushes = pushes
        self._over = False
        self.keep = True
        """Whether the connection goes back to the others at the end, if no request is under way on
        it and the block did not raise. Set it to False where it is not as it was before: with a
        subscription, a selected database."""

    @property
    def context(self) -> ContextT:
        """What the handshake returned."""
        return self._connection.context

    @property
    def pushes(self) -> Pushes[ReceiveT]:
        """What comes on this connection and answers nothing, until one or the other ends."""
        return self._pushes

    def end(self) -> None:
        """Ask no more: the connection goes back."""
        self._over = True

    async def _enter(self, count: int) -> None:
        self._check()
        self._turnstile.let_in(count)

    async def notify(self, message: SendT) -> None:
        """Send a message that has no reply; as `Connection.send`.

        Raises:
            ConnectionLostError: the session's connection has ended.
            ConnectionClosedError: the session is over.
        """
        self._check()
        await super().notify(message)

    def _check(self) -> None:
        if self._over:
            raise ConnectionClosedError("this session is over: its connection went back")

    async def _send(self, message: SendT | Call[SendT, ReceiveT]) -> None:
        try:
            await self._connection.send(message)
        except (ConnectionClosedError, ConnectionLostError) as error:
            why = f"the connection of this session has ended: {error}"
            if isinstance(message, Call):
                raise RequestNotSentError(why) from error
            raise ConnectionLostError(why) from error

    async def _pick(self) -> Connection[Any, ReceiveT, Any]:
        return self._connection
