"""Rooms: WebSockets that get what is published to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from functools import partial
from types import TracebackType

import trio

from ..._broadcast import BroadcastReport, Line, Sending, WhenSlow
from ..._connection import control_of
from .._close import Close, CloseCode
from .._socket import WebSocket, WebSocketConnection, connection_of, conversation_of
from .._wire import ToSend
from ._frames import Frames
from ._members import Members
from ._statistics import HubStatistics, Sums

_TOO_SLOW = Close(CloseCode.TRY_AGAIN_LATER, "too slow to keep up")


class Hub:
    """WebSockets that get what is published, all of it or by topics (rows W6, W20).

    ::

        hub = Hub(when_slow=WhenSlow.DISCONNECT)

        async def handle(websocket: WebSocket) -> None:
            with hub.join(websocket, "lobby"):
                async for message in websocket:
                    await hub.publish(message, "lobby", but=websocket)

    A WebSocket that closes, or breaks, leaves by itself, whatever the cause. One may be in any
    number of hubs and topics. Joining and leaving cost the same however many there are, and a topic
    costs nothing when its last member has left.

    All members get what is published through one hub in the same order, and behind what was sent to
    them with ``send`` before. A hub belongs to one run of Trio, to any of its tasks; from a thread,
    ``trio.from_thread.run(hub.publish, message)``.

    Parameters:
        when_slow: what to do with a member whose outbox is full, or a plain function that says so
            for the one it is given. It has no default: what may be lost only the application
            knows. With ``WAIT`` a publication ends when the slowest has taken it, or was cut at its
            ``stall_timeout``; others that are published meanwhile wait behind it for the slow ones
            only. With ``DISCONNECT`` what was published and has not left is thrown away, the
            WebSocket is closed with 1013, and cut where it does not take that within its
            ``close_timeout``: it has left the hub at once.
    """

    def __init__(self, *, when_slow: WhenSlow | Callable[[WebSocket], WhenSlow]) -> None:
        _check_policy(when_slow)
        self._when_slow = when_slow
        self._members: Members[WebSocketConnection, WebSocket] = Members()
        self._leavers: dict[WebSocketConnection, Callable[[], None]] = {}
        self._order = trio.StrictFIFOLock()
        self._line: Line = {}
        self._sums = Sums()

    def __repr__(self) -> str:
        return f"<Hub of {len(self)}, {len(self._members.topics)} topics>"

    # Who

    def join(self, websocket: WebSocket, *topics: Hashable) -> Membership:
        """Add a WebSocket, and to topics if any are given; does not wait.

        What is published from now on it gets; what is being published at this moment it does not.
        Joining again adds topics. One that is closed does not become a member.

        Parameters:
            websocket: of this run of Trio, open. It stays the caller's.
            topics: anything that can be a key, such as names of rooms.

        Returns a context manager that leaves again: these topics, or the hub where none were given.
        Whoever does not want that may throw it away.
        """
        connection = connection_of(websocket)
        control = control_of(connection)
        if not control.past_sending:
            if connection not in self._members.all:
                leave = self._leavers[connection] = partial(self._left, connection)
                control.on_refusal(leave)
            self._members.join(connection, websocket, topics)
        return Membership(self, websocket, topics)

    def leave(self, websocket: WebSocket, *topics: Hashable) -> None:
        """Take a WebSocket out of topics, or without topics out of the hub; does not wait.

        What it has not been given yet it does not get any more. Who has left already, or never
        joined, is no error. A member of no topic is still one of the hub.
        """
        connection = connection_of(websocket)
        if topics:
            self._members.leave(connection, topics)
            return
        leave = self._leavers.get(connection)
        if leave is not None:
            control_of(connection).off_refusal(leave)
            leave()

    def _left(self, connection: WebSocketConnection) -> None:
        self._members.leave_all(connection)
        del self._leavers[connection]

    def members(self, *topics: Hashable) -> list[WebSocket]:
        """Return who is in any of some topics, or without topics in the hub."""
        return list(self._members.of(topics).values())

    def topics_of(self, websocket: WebSocket) -> frozenset[Hashable]:
        """Return the topics that a WebSocket is in."""
        return self._members.topics_of(connection_of(websocket))

    @property
    def topics(self) -> list[Hashable]:
        """The topics that have members."""
        return list(self._members.topics)

    def __len__(self) -> int:
        return len(self._members.all)

    def __contains__(self, websocket: object) -> bool:
        if not isinstance(websocket, WebSocket):
            return False
        return connection_of(websocket) in self._members.all

    # Publishing

    async def publish(
        self,
        message: ToSend,
        *topics: Hashable,
        but: WebSocket | None = None,
        when_slow: WhenSlow | Callable[[WebSocket], WhenSlow] | None = None,
    ) -> BroadcastReport:
        """Send a message to the members of some topics, each once; without topics to all members.

        It goes to those who are members at the call, and have not left when their turn comes. It is
        framed once for all, once more for each way in which members compress; WebSockets that were
        opened by this side need frames of their own. Where compression looks back at earlier
        messages, this one does not, and the next of that WebSocket does not look beyond it.

        Only what was published is ever dropped, never what was sent with ``send``. A member in the
        middle of a ``send_stream`` has no room until that ends; with ``DISCONNECT`` it is waited
        for. No member's failure is another's, nor the publisher's.

        Other tasks run at least once, and once for every 64 members. Cancelled, those that have
        been served stay served, the others do not get the message, and there is no report.

        Parameters:
            message: text as ``str``, binary as ``bytes`` or the like, or a `Prepared` one.
            topics: whose members get it; those of several get it once.
            but: who does not get it, mostly whoever it comes from.
            when_slow: for this message, instead of the hub's.

        Returns what became of it. Members that left meanwhile are not counted.

        Raises:
            LocalProtocolError: it is text that has no UTF-8; nobody got it.
            TypeError: it is no message; nobody got it.
            Exception: what ``when_slow`` raised; those before that member got it.
        """
        frames = Frames(message)
        members = self._members.of(topics)
        sending = Sending(
            self._chosen(members, but),
            frames.prepared,
            self._policy(when_slow),
            apart=frames.make,
            cut=self._cut,
            still=members if len(topics) < 2 else self._members.all,
            order=self._order,
            line=self._line,
        )
        try:
            await sending.serve_all()
            if sending.slow:
                await sending.wait()
        finally:
            sending.leave_line()
        report = sending.report()
        self._sums.add(report)
        return report

    def _chosen(
        self, members: Collection[WebSocketConnection], but: WebSocket | None
    ) -> list[WebSocketConnection]:
        chosen = list(members)
        if but is not None and connection_of(but) in members:
            chosen.remove(connection_of(but))
        return chosen

    def _policy(
        self, when_slow: WhenSlow | Callable[[WebSocket], WhenSlow] | None
    ) -> WhenSlow | Callable[[WebSocketConnection], WhenSlow]:
        policy = self._when_slow if when_slow is None else when_slow
        _check_policy(policy)
        if isinstance(policy, WhenSlow):
            return policy
        return lambda connection: policy(self._members.all[connection])

    def _cut(self, connection: WebSocketConnection) -> None:
        """Say why a member is closed, in front of which nothing is left that may be dropped."""
        control_of(connection).drop_broadcasts()
        conversation_of(self._members.all[connection]).begin_close(_TOO_SLOW)

    def statistics(self) -> HubStatistics:
        """Return the counts of this moment."""
        return self._sums.statistics(len(self), len(self._members.topics))


class Membership:
    """Leaves a hub at the end of a ``with`` block; `Hub.join` returns it.

    Parameters:
        hub: that was joined.
        websocket: the member.
        topics: that it has joined.
    """

    __slots__ = ("_hub", "_topics", "_websocket")

    def __init__(self, hub: Hub, websocket: WebSocket, topics: Collection[Hashable]) -> None:
        self._hub = hub
        self._websocket = websocket
        self._topics = topics

    def __enter__(self) -> WebSocket:
        """Return the WebSocket."""
        return self._websocket

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave."""
        self.leave()

    def leave(self) -> None:
        """Leave what was joined; again is nothing."""
        self._hub.leave(self._websocket, *self._topics)


def _check_policy(when_slow: object) -> None:
    if not (isinstance(when_slow, WhenSlow) or callable(when_slow)):
        raise TypeError(f"when_slow is a WhenSlow or a function, not {when_slow!r}")
