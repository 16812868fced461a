"""One cancel scope for a whole request, whose deadline moves on with its phases.

A scope costs as much as parsing a response, so there is one, and what it was waiting for when it
was over says which error it is.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Timekeeper:
    """Interrupts requests that take too long: one task for all of them.

    A cancel scope with a deadline for each request, moved with each phase, would be a fifth of what
    a fetch costs. Here a deadline is a number that nobody looks at before the earliest is reached.
    """

    def __init__(self) -> None:
        self.next = float("inf")
        """When it looks again."""
        self._running: set[Stopwatch] = set()
        self._sleep = trio.CancelScope()

    def start(self, timeouts: Timeouts) -> Stopwatch:
        """Begin to bound a request, until `stop`."""
        watch = Stopwatch(timeouts, self)
        self._running.add(watch)
        return watch

    def stop(self, watch: Stopwatch) -> None:
        """Bound a request no more; idempotent."""
        self._running.discard(watch)

    def look_at(self, time: float) -> None:
        """Look at a time that is earlier than `next`."""
        self.next = self._sleep.deadline = time

    async def run(self) -> None:
        """Interrupt those that are late, until cancelled."""
        while True:
            with trio.CancelScope(deadline=self.next) as self._sleep:
                await trio.sleep_forever()
            now = trio.current_time()
            for watch in [each for each in self._running if each.until <= now]:
                self._running.discard(watch)
                watch.interrupt()
            self.next = min((each.until for each in self._running), default=float("inf"))


class Stopwatch:
    """Bounds one request.

    Parameters:
        timeouts: of its phases.
        keeper: looks at it.
    """

    __slots__ = ("_end", "_keeper", "_phase", "_wake", "in_doubt", "late", "timeouts", "until")

    def __init__(self, timeouts: Timeouts, keeper: Timekeeper) -> None:
        self.timeouts = timeouts
        total = timeouts.total
        self._end = float("inf") if total is None else trio.current_time() + total
        self.until = self._end
        """When it is late."""
        self.late = False
        """Whether the request was interrupted, or will be before it waits for anything more."""
        self.in_doubt = False
        """Whether the server may have got the request."""
        self._phase = Phase.WAITING
        self._keeper = keeper
        self._wake: Callable[[], object] | None = None

    def enter(
        self, phase: Phase, seconds: float | None, wake: Callable[[], object] | None = None
    ) -> None:
        """Note that a phase begins, and how long it may take.

        Parameters:
            phase: what is waited for.
            seconds: at most; None is up to the total.
            wake: ends the waiting, and is called once at most; by default what ended the phase
                before.

        Raises:
            FetchTimeoutError: it was late before.
        """
        if self.late:
            raise self.give_up()
        self._phase = phase
        if wake is not None:
            self._wake = wake
        self._allow(seconds)

    def _allow(self, seconds: float | None) -> None:
        until = self._end
        if seconds is not None:
            until = min(until, trio.current_time() + seconds)
        self.until = until
        if until < self._keeper.next:
            self._keeper.look_at(until)

    def interrupt(self) -> None:
        """End what is waited for: it took too long."""
        self.late = True
        if self._wake is not None:
            self._wake()

    def turn_to(self, phase: Phase) -> None:
        """Note whose turn it is with a body: the server's (`SEND`), or the caller's."""
        if self._phase is Phase.SEND or self._phase is Phase.SOURCE:
            self._phase = phase
            self._allow(self.timeouts.send if phase is Phase.SEND else None)

    def sent(self) -> None:
        """Note that all of a body was sent: the response is due."""
        if self._phase is Phase.SEND:
            self._phase = Phase.RESPONSE
            self._allow(self.timeouts.response)

    def answered(self) -> None:
        """Note that the response has begun, so that what is sent besides counts no more."""
        self._phase = Phase.PIECE

    def stop(self) -> None:
        """Bound it no more; idempotent."""
        self._keeper.stop(self)

    @property
    def left(self) -> float:
        """Seconds until the total is used up."""
        return self._end - trio.current_time()

    def give_up(self) -> FetchTimeoutError:
        """Return the error for a request that is late."""
        total = trio.current_time() >= self._end
        what = f"waited too long for {self._phase.value}"
        if total:
            what = f"the total of {self.timeouts.total:g} seconds is over: {what}"
        return FetchTimeoutError(what, phase=self._phase.name.lower(), in_doubt=self.in_doubt)
