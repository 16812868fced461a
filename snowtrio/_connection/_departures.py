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
        """Note a sender; say whether it is the first, who has to have `run` called in time."""
        self._senders.append(sender)
        return len(self._senders) == 1

    def run(self) -> None:
        """Have everything sent that has gathered."""
        senders, self._senders = self._senders, []
        for sender in senders:
            sender.depart()


_current: trio.lowlevel.RunVar[Departures] = trio.lowlevel.RunVar("departures")


def current_departures() -> Departures:
    """Return the departures of this run of Trio."""
    try:
        return _current.get()
    except LookupError:
        departures = Departures()
        _current.set(departures)
        return departures
