"""What becomes of the requests of one client, all connections together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from .._errors import RequestInDoubtError, RequestNotSentError
from ._calls import Call
from ._histogram import Latencies
from ._turnstile import Turnstile


class Ledger:
    """Tells each request its fate, once, and counts.

    Parameters:
        turnstile: what the requests entered by, and leave when they are done with.
        on_done: called when one is, so that others may use its place.
    """

    def __init__(self, turnstile: Turnstile, on_done: Callable[[], None]) -> None:
        self.answered = 0
        self.not_sent = 0
        self.in_doubt = 0
        self.abandoned = 0
        self.replies_dropped = 0
        self.latencies = Latencies()
        self._turnstile = turnstile
        self._on_done = on_done

    def note_answered(self, call: Call[Any, Any]) -> float:
        """Count a call that has its last reply; return the time."""
        now = trio.current_time()
        if call.abandoned:
            self.replies_dropped += 1
        else:
            self.answered += 1
            self.latencies.note(now - call.began)
        self.leave()
        return now

    def fail_not_sent(self, call: Call[Any, Any], reason: BaseException | None) -> None:
        """Fail a call of which nothing left this process."""
        if not call.abandoned:
            self.not_sent += 1
        self._fail(call, RequestNotSentError(f"the request was not sent: {reason}"), reason)

    def fail_in_doubt(self, call: Call[Any, Any], reason: BaseException | None) -> None:
        """Fail a call that the peer may have got."""
        if not call.abandoned:
            self.in_doubt += 1
        self._fail(call, RequestInDoubtError(f"no reply came: {reason}"), reason)

    def forget(self, call: Call[Any, Any]) -> None:
        """Let go a call that nobody waits for and of which nothing was sent."""
        call.done = True
        self.leave()

    def _fail(self, call: Call[Any, Any], error: Exception, cause: BaseException | None) -> None:
        error.__cause__ = cause
        call.fail(error)
        self.leave()

    def leave(self) -> None:
        """Give the place of one request to others."""
        self._turnstile.leave()
        self._on_done()
