"""A request, from its author to its reply."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast

import trio

from ._backlog import Backlog

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")


class WhenCancelled(enum.Enum):
    """What becomes of a connection when a request on it is cancelled after it was accepted."""

    DROP_REPLY = "drop the reply"
    """The reply is thrown away when it comes, and the connection goes on."""
    CLOSE_CONNECTION = "close the connection"
    """It is cut, so that nobody waits behind that reply; other requests on it are in doubt."""


class Carrier(Protocol):
    """What a call is told to when its author goes away: the exchange of its connection."""

    def note_abandoned(self, call: Call[Any, Any]) -> None:
        """Take note that nobody waits for the reply any more."""
        ...


class Call(Generic[SendT, ReceiveT]):
    """A request with one reply.

    Parameters:
        message: what is sent.
    """

    __slots__ = ("_error", "_reply", "_waiting", "abandoned", "began", "carrier", "done", "message")

    def __init__(self, message: SendT) -> None:
        self.message = message
        self.began = trio.current_time()
        self.carrier: Carrier | None = None
        """Where it was encoded last."""
        self.abandoned = False
        self.done = False
        self._waiting: trio.lowlevel.Task | None = None
        self._reply: ReceiveT | None = None
        self._error: Exception | None = None

    @property
    def error(self) -> Exception | None:
        """Why there is no reply, once it is done."""
        return self._error

    @property
    def reply(self) -> ReceiveT:
        """The reply, once it is done without an error."""
        return cast("ReceiveT", self._reply)

    async def wait(self) -> ReceiveT:
        """Return the reply, or raise why there is none. Cancelled, nobody waits for it any more."""
        if not self.done:
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self._error is not None:
            raise self._error
        return self._reply  # type: ignore[return-value]  # it is there when there is no error

    async def wait_done(self) -> None:
        """Wait until its fate is known, which it must not be yet; cancelled as `wait`."""
        self._waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = None
        self.abandon()
        return trio.lowlevel.Abort.SUCCEEDED

    def abandon(self) -> None:
        """Note that nobody wants the reply any more."""
        if not (self.done or self.abandoned):
            self.abandoned = True
            if self.carrier is not None:
                self.carrier.note_abandoned(self)

    def take(self, reply: ReceiveT) -> bool:
        """Take a reply; say whether it was the last one."""
        self._reply = reply
        self._finish()
        return True

    def fail(self, error: Exception) -> None:
        """Note that no reply comes."""
        self._error = error
        self._finish()

    def _finish(self) -> None:
        self.done = True
        task, self._waiting = self._waiting, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    @property
    def backlog(self) -> Backlog[ReceiveT] | None:
        """Where replies wait that nobody has taken, if there can be several."""
        return None


class StreamCall(Call[SendT, ReceiveT]):
    """A request with a stream of replies.

    Parameters:
        message: what is sent.
        ends: tells the last reply from the others.
        bound: replies from which on the connection is not read.
    """

    __slots__ = ("_backlog", "_ends")

    def __init__(self, message: SendT, ends: Callable[[ReceiveT], bool], bound: int) -> None:
        super().__init__(message)
        self._ends = ends
        self._backlog = Backlog[ReceiveT](bound)

    @property
    def backlog(self) -> Backlog[ReceiveT]:
        """The replies that nobody has taken."""
        return self._backlog

    def abandon(self) -> None:
        """Throw away what is there and what comes."""
        super().abandon()
        self._backlog.drop_all()
        self._backlog.end(trio.ClosedResourceError("the stream of replies was left"))

    def take(self, reply: ReceiveT) -> bool:
        """Take a reply; say whether it was the last one."""
        self._backlog.put(reply)
        if not self._ends(reply):
            return False
        self.done = True
        self._backlog.end(trio.EndOfChannel("that was the last reply"))
        return True

    def fail(self, error: Exception) -> None:
        """Note that no more replies come."""
        self.done = True
        self._backlog.end(error)
