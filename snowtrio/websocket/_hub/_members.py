"""Who is in which room. Without I/O."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
MemberT = TypeVar("MemberT")


class Members(Generic[KeyT, MemberT]):
    """Members, each under its key, and the topics of each.

    Joining and leaving a topic costs the same however many there are; in the order of joining, so
    that everybody is served in the same order.
    """

    __slots__ = ("_rooms", "_topics", "all")

    def __init__(self) -> None:
        self.all: dict[KeyT, MemberT] = {}
        """Everybody."""
        self._rooms: dict[Hashable, dict[KeyT, MemberT]] = {}
        self._topics: dict[KeyT, set[Hashable]] = {}

    def join(self, key: KeyT, member: MemberT, topics: Collection[Hashable]) -> None:
        """Add somebody, to topics if any are given."""
        self.all[key] = member
        if topics:
            self._topics.setdefault(key, set()).update(topics)
            for topic in topics:
                self._rooms.setdefault(topic, {})[key] = member

    def leave(self, key: KeyT, topics: Collection[Hashable]) -> None:
        """Take somebody out of topics."""
        own = self._topics.get(key, set())
        for topic in own.intersection(topics):
            own.discard(topic)
            room = self._rooms[topic]
            del room[key]
            if not room:
                del self._rooms[topic]
        if not own:
            self._topics.pop(key, None)

    def leave_all(self, key: KeyT) -> None:
        """Take somebody out."""
        self.leave(key, self.topics_of(key))
        self.all.pop(key, None)

    def topics_of(self, key: KeyT) -> frozenset[Hashable]:
        """Return the topics that somebody is in."""
        return frozenset(self._topics.get(key, ()))

    @property
    def topics(self) -> Collection[Hashable]:
        """The topics that have members."""
        return self._rooms.keys()

    def of(self, topics: Collection[Hashable]) -> dict[KeyT, MemberT]:
        """Return those who are in any of some topics; without topics everybody. Only to look at."""
        if not topics:
            return self.all
        if len(topics) == 1:
            (topic,) = topics
            return self._rooms.get(topic, {})
        return {key: each for topic in topics for key, each in self._rooms.get(topic, {}).items()}
