"""What a hub has done so far."""

from __future__ import annotations

import attrs

from ..._broadcast import BroadcastReport


@attrs.frozen(kw_only=True)
class HubStatistics:
    """The counts of a `Hub`: who is in it now, and the sums of its reports.

    Parameters:
        members: WebSockets that are in it.
        topics: that have members.
        published: publications that came to their end; those that were cancelled are not counted.
        sent: as in `snowtrio.BroadcastReport`, as are the following.
        waited: messages for which a member was waited for.
        dropped_oldest: messages that made room for newer ones.
        dropped_newest: messages that slow members did not get.
        disconnected: members that were closed since they are slow.
        skipped: messages to members that had just ended, or broke.
    """

    members: int
    topics: int
    published: int = 0
    sent: int = 0
    waited: int = 0
    dropped_oldest: int = 0
    dropped_newest: int = 0
    disconnected: int = 0
    skipped: int = 0


class Sums:
    """Adds up reports."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums = {"published": 0}

    def add(self, report: BroadcastReport) -> None:
        """Count a publication."""
        sums = self._sums
        sums["published"] += 1
        for name, count in attrs.asdict(report).items():
            if count:
                sums[name] = sums.get(name, 0) + count

    def statistics(self, members: int, topics: int) -> HubStatistics:
        """Return the sums so far."""
        return HubStatistics(members=members, topics=topics, **self._sums)
