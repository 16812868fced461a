"""The requests and replies of one connection."""

from __future__ import annotations

from typing import Any, Generic

import trio
from typing_extensions import TypeVar

from .._connection import Cause, Connection, Ending
from .._errors import (
    ConnectionClosedError,
    ConnectionLostError,
    RemoteProtocolError,
    SlowConsumerError,
)
from ._backlog import Backlog
from ._calls import Call, WhenCancelled
from ._correlation import Outstanding
from ._ledger import Ledger
from ._pushes import PushQueue

ReceiveT = TypeVar("ReceiveT")


class Exchange(Generic[ReceiveT]):
    """Brings what comes on a connection to the requests that wait for it.

    Parameters:
        outstanding: the requests of this connection.
        ledger: tells them their fate.
        pushes: takes what answers none of them.
        when_cancelled: what to do when the author of one goes away.
    """

    __slots__ = (
        "_connection",
        "_ends_when_quiet",
        "_failure",
        "_flow",
        "_held",
        "_last",
        "_ledger",
        "_outstanding",
        "_quiet",
        "_reason",
        "_shared_pushes",
        "_when_cancelled",
        "encoded",
        "parting",
        "pushes",
        "unanswered",
        "waiting_since",
    )

    def __init__(
        self,
        outstanding: Outstanding[Call[Any, ReceiveT]],
        ledger: Ledger,
        pushes: PushQueue[ReceiveT],
        when_cancelled: WhenCancelled,
    ) -> None:
        self.encoded = 0
        """Messages of all kinds that were encoded, and so accepted but perhaps for the last one."""
        self.parting = False
        """Whether the connection says goodbye: then replies may come that nobody waits for."""
        self.pushes = self._shared_pushes = pushes
        self.waiting_since = 0.0
        """When a reply came last, or the first request was sent that waits for one."""
        self.unanswered = 0
        """Requests that wait for replies."""
        self._outstanding = outstanding
        self._ledger = ledger
        self._when_cancelled = when_cancelled
        self._connection: Connection[Any, ReceiveT, Any] | None = None
        self._last: Call[Any, ReceiveT] | None = None
        self._reason: Exception | None = None
        self._flow = trio.CancelScope()
        self._held: list[Backlog[ReceiveT]] = []
        self._failure: BaseException | None = None
        self._ends_when_quiet = False
        self._quiet = trio.lowlevel.ParkingLot()

    def belong_to(self, connection: Connection[Any, ReceiveT, Any]) -> None:
        """Learn whose requests these are; before any of them comes."""
        self._connection = connection

    @property
    def count(self) -> int:
        """What the connection is not done with: requests that wait, or messages to be sent."""
        if self.unanswered or self._connection is None:
            return self.unanswered
        return self._connection.pending

    @property
    def waits(self) -> bool:
        """Whether replies are due, on a connection that is read and that no session has."""
        return bool(self.unanswered) and self.shared and not self._held

    @property
    def shared(self) -> bool:
        """Whether no session has it."""
        return self.pushes is self._shared_pushes

    def lend(self, pushes: PushQueue[ReceiveT]) -> None:
        """Give what comes unasked to a session."""
        self.pushes = pushes

    def take_back(self) -> None:
        """Give what comes unasked to the client again."""
        self.pushes = self._shared_pushes

    # Out

    def check(self, call: Call[Any, ReceiveT]) -> None:
        """See that a request can be sent; raises `LocalProtocolError`."""
        self._outstanding.check(call.message)

    def expect(self, call: Call[Any, ReceiveT]) -> None:
        """Take a request that has just been encoded."""
        if not self.unanswered:
            self.waiting_since = trio.current_time()
        self._outstanding.add(call.message, call)
        self.unanswered += 1
        call.carrier = self
        self.note_encoded(call)

    def note_encoded(self, call: Call[Any, ReceiveT] | None) -> None:
        """Count a message, which is a request that waits for a reply or not."""
        self.encoded += 1
        self._last = call

    def forget(self, call: Call[Any, ReceiveT]) -> None:
        """Let go a request that nobody waits for and that was not sent; once, if it comes again."""
        self.note_encoded(None)
        if not call.done:
            self._ledger.forget(call)

    def forget_refused(self) -> None:
        """Let go the request that was encoded and then not accepted, if one was.

        The transport broke in that moment, so it is the last one that was encoded.
        """
        assert self._connection is not None
        accepted = self._connection.statistics().messages_accepted
        call, self._last = self._last, None
        if self.encoded <= accepted or call is None:
            return
        self.encoded = accepted
        self._outstanding.withdraw(call.message)
        self.unanswered -= 1
        if call.carrier is self:
            call.carrier = None

    # In

    async def run(self, connection: Connection[Any, ReceiveT, Any]) -> None:
        """Take what comes until the peer ends its input: the connection's handler."""
        while True:
            with trio.CancelScope() as self._flow:
                await connection.answer(self._take)
                return
            if self._failure is not None:
                raise self._failure  # Held just then, nobody was there to be told of it.
            while self._held:
                await self._held[-1].wait_room()
                self._held.pop()
            self.waiting_since = trio.current_time()

    def _take(self, _: object, message: ReceiveT) -> None:
        try:
            call = self._find(message)
            if call is None:
                return
            last = call.take(message)
        except BaseException as error:
            self._failure = error
            raise
        if last:
            self._outstanding.remove(message)
            self.unanswered -= 1
            self.waiting_since = self._ledger.note_answered(call)
            if not self.unanswered:
                self._note_quiet()
        else:
            self.waiting_since = trio.current_time()
            if call.backlog is not None and call.backlog.full:
                self._hold(call.backlog)

    def _note_quiet(self) -> None:
        if self._quiet:
            self._quiet.unpark_all()
        if self._ends_when_quiet and self._connection is not None:
            self._connection.stop_receiving()

    def _find(self, message: ReceiveT) -> Call[Any, ReceiveT] | None:
        try:
            call = self._outstanding.find(message)
        except RemoteProtocolError:
            if self.parting:
                return None
            raise
        if call is None:
            self._push(message)
        return call

    def _push(self, message: ReceiveT) -> None:
        try:
            full = self.pushes.offer(message)
        except SlowConsumerError as error:
            self.give_up(error)
        else:
            if full is not None:
                self._hold(full)

    def _hold(self, backlog: Backlog[ReceiveT]) -> None:
        """Read no more until there is room; what has been read already may still come."""
        if backlog not in self._held:
            self._held.append(backlog)
        self._flow.cancel(reason="nobody takes what comes")

    async def wait_quiet(self) -> None:
        """Wait until no request waits for a reply, or until none can come any more."""
        while self.unanswered and (self._connection is None or self._connection.ending is None):
            await self._quiet.park()

    def end_when_quiet(self) -> None:
        """Have the connection end when no request waits for a reply any more."""
        self._ends_when_quiet = True

    # The end

    def note_abandoned(self, call: Call[Any, Any]) -> None:
        """Take note that nobody waits for a reply any more."""
        self._ledger.abandoned += 1
        if self._when_cancelled is WhenCancelled.CLOSE_CONNECTION:
            self.give_up(ConnectionClosedError("a request on this connection was cancelled"))

    def give_up(self, reason: Exception) -> None:
        """Cut the connection."""
        if self._reason is None:
            self._reason = reason
        if self._connection is not None:
            self._connection.drop()

    def close(self, ending: Ending[Any]) -> None:
        """Fail the requests that the peer may have got; those not sent are told by who has them."""
        self.forget_refused()
        reason = self._why(ending)
        unsent = {id(message) for message in ending.unsent}
        for call in list(self._outstanding):
            if id(call) not in unsent and call.carrier is self:
                self._ledger.fail_in_doubt(call, reason)
        if not self.shared:
            self.pushes.end(_as_ending(reason))
        self._quiet.unpark_all()

    def purge(self, call: Call[Any, Any], ending: Ending[Any]) -> None:
        """Fail a request of which the kernel got nothing."""
        if not call.done:
            self._ledger.fail_not_sent(call, self._why(ending))

    def _why(self, ending: Ending[Any]) -> BaseException:
        if self._reason is not None:
            return self._reason
        if ending.error is not None:
            return ending.error
        if ending.cause is Cause.PEER_CLOSED:
            return ConnectionLostError("the peer closed the connection")
        return ConnectionClosedError(f"the connection has ended: {ending.cause.value}")


def _as_ending(reason: BaseException) -> Exception:
    """Return what a receiver is told of the end of a connection."""
    if isinstance(reason, ConnectionLostError | ConnectionClosedError):
        return reason
    lost = ConnectionLostError(f"the connection has ended: {reason}")
    lost.__cause__ = reason
    return lost
