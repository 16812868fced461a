"""Writers that have something to send by the next pass of the run loop.

Replies gather while there is more to answer, and whoever gives the last one sends them all. Where
that one does not come, for the handler has turned to something else, they must leave all the same.
So must what a broadcast has left in a thousand outboxes when it pauses. One task is woken for all
writers of a run that are in this state: a task woken for each would cost more than what it sends.
"""

from __future__ import annotations

from typing import Protocol

import trio

# So many leave before other tasks run.
_AT_A_TIME = 256

# What is given out while departures are held gathers up to so many messages in all outboxes
# together: for some ten milliseconds, that is.
_MOST = 16 * 1024


class Sender(Protocol):
    """A writer."""

    def depart(self) -> None:
        """Send what has gathered. Must not raise."""

    def carry(self) -> bool:
        """Have one's own task call `Departures.run` in the next pass; say whether it can."""
        ...


class Departures:
    """The writers that wait for the next pass."""

    __slots__ = ("_carrier", "_forced", "_given", "_senders", "held")

    def __init__(self) -> None:
        self._senders: list[Sender] = []
        self._carrier: Sender | None = None
        self.held = 0
        """How many are giving out more, so that nothing departs yet."""
        self._given = 0
        self._forced = False

    def add(self, sender: Sender) -> None:
        """Have a sender depart in the next pass, or when nobody holds departures any more."""
        self._senders.append(sender)
        if self._carrier is None and not self.held:
            self._call()

    def run(self, sender: Sender) -> None:
        """Have everything sent that has gathered; nothing unless `sender` is the one to do it."""
        if sender is not self._carrier:
            return
        self._carrier = None
        if not self.held or self._forced:
            self._forced = False
            leaving, self._senders = self._senders[:_AT_A_TIME], self._senders[_AT_A_TIME:]
            for each in leaving:
                each.depart()
            self._call()

    def hold(self) -> None:
        """Let things gather, for more is about to be given out; `release` must follow."""
        self.held += 1

    def release(self) -> None:
        """Let them go in the next pass, unless somebody holds them again before that."""
        self.held -= 1
        if not self.held:
            self._call()

    def give(self, number: int) -> None:
        """Note that so many messages are given out: too many do not wait for the release."""
        self._given += number
        if self._given >= _MOST:
            self._given = 0
            self._forced = True
            self._call()

    def _call(self) -> None:
        """See to it that somebody calls `run`."""
        if self._carrier is not None or not self._senders:
            return
        for sender in self._senders:
            if sender.carry():
                self._carrier = sender
                return
        # All of them wait for the kernel, or are past sending: nothing can have gathered.
        leaving, self._senders = self._senders, []
        for each in leaving:
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
