"""Writers that have something to send by the next pass of the run loop.

Replies gather while there is more to answer, and whoever gives the last one sends them all. Where
that one does not come, for the handler has turned to something else, they must leave all the same.
One task is woken for all writers of a run that are in this state: a task woken for each would cost
more than what it sends.
"""

from __future__ import annotations

from typing import Protocol

import trio


class Sender(Protocol):
    """A writer."""

    def depart(self) -> None:
        """Send what has gathered."""


class Departures:
    """The writers that wait for the next pass."""

    __slots__ = ("_senders",)

    def __init__(self) -> None:
        self._senders: list[Sender] = []

    def add(self, sender: Sender) -> bool:
        """Note a sender; say whether it is the first, who has to call `run` in time."""
        self._senders.append(sender)
        return len(self._senders) == 1

    def run(self, sender: Sender) -> None:
        """Have everything sent that has gathered; nothing unless it is the first who calls.

        Another one who did it would leave the first with a call that nobody waits for any more, and
        with one more of them each time.
        """
        if not self._senders or self._senders[0] is not sender:
            return
        senders, self._senders = self._senders, []
        for each in senders:
            each.depart()


_current: trio.lowlevel.RunVar[Departures] = trio.lowlevel.RunVar("departures")


def current_departures() -> Departures:
    """Return the departures of this run of Trio."""
    try:
        return _current.get()
    except LookupError:
        departures = Departures()
        _current.set(departures)
        return departures
