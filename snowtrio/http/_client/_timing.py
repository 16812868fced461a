"""One cancel scope for a whole request, whose deadline moves on with its phases.

A scope costs as much as parsing a response, so there is one, and what it was waiting for when it
was over says which error it is.
"""

from __future__ import annotations

from enum import Enum

import trio

from .._errors import FetchTimeoutError
from ._limits import Timeouts


class Phase(Enum):
    """What a request waits for."""

    WAITING = "a free connection"
    CONNECT = "the connection to open"
    SEND = "the server to take the request"
    SOURCE = "the next piece of the request's body"
    RESPONSE = "the response's head"
    PIECE = "the response's body"
    SINK = "the sink to take the response's body"
    PAUSE = "the next attempt"


class Stopwatch:
    """Bounds one request.

    Parameters:
        timeouts: of its phases.
    """

    __slots__ = ("_end", "_phase", "in_doubt", "scope", "timeouts")

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        total = timeouts.total
        self._end = float("inf") if total is None else trio.current_time() + total
        self._phase = Phase.WAITING
        self.scope = trio.CancelScope(deadline=self._end)
        self.in_doubt = False
        """Whether the server may have got the request."""

    def enter(self, phase: Phase, seconds: float | None) -> None:
        """Note that a phase begins, and how long it may take."""
        self._phase = phase
        end = self._end
        if seconds is not None:
            end = min(end, trio.current_time() + seconds)
        self.scope.deadline = end

    def turn_to(self, phase: Phase) -> None:
        """Note whose turn it is with a body: the server's (`SEND`), or the caller's."""
        if self._phase is Phase.SEND or self._phase is Phase.SOURCE:
            self.enter(phase, self.timeouts.send if phase is Phase.SEND else None)

    def sent(self) -> None:
        """Note that all of a body was sent: the response is due."""
        if self._phase is Phase.SEND:
            self.enter(Phase.RESPONSE, self.timeouts.response)

    def answered(self) -> None:
        """Note that the response has begun, so that what is sent besides counts no more."""
        self._phase = Phase.PIECE

    @property
    def left(self) -> float:
        """Seconds until the total is used up."""
        return self._end - trio.current_time()

    def give_up(self) -> FetchTimeoutError:
        """Return the error for a scope that was cancelled by its deadline."""
        total = trio.current_time() >= self._end
        what = f"waited too long for {self._phase.value}"
        if total:
            what = f"the total of {self.timeouts.total:g} seconds is over: {what}"
        return FetchTimeoutError(what, phase=self._phase.name.lower(), in_doubt=self.in_doubt)
