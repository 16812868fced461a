"""One message to many connections, encoded once, with a policy for those that are slow (row B8)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic

import attrs
import trio
from typing_extensions import TypeVar

from ._codec import Codec
from ._connection import (
    Connection,
    Departures,
    Droppable,
    Writer,
    current_departures,
    writer_of,
)

SendT = TypeVar("SendT")
ContextT = TypeVar("ContextT", default=None)

# So many connections are served before other tasks run.
_AT_A_TIME = 64


class WhenSlow(enum.Enum):
    """What a broadcast does with a connection whose outbox has no room (row B8)."""

    WAIT = "wait"
    """Wait for room, once all others have been served."""
    DROP_OLDEST = "drop oldest"
    """The oldest broadcast messages in its outbox make room for this one."""
    DROP_NEWEST = "drop newest"
    """It does not get this message."""
    DISCONNECT = "disconnect"
    """It is cut, as by `Connection.drop`, and does not get this message."""


@attrs.frozen(kw_only=True)
class BroadcastReport:
    """What became of one broadcast. All but `dropped_oldest` add up to the connections given.

    Parameters:
        sent: connections that accepted the message without being waited for.
        waited: connections that were waited for and then accepted it.
        dropped_oldest: older messages that made room for this one, on all connections together.
        dropped_newest: connections that did not get it since they are slow.
        disconnected: connections that were cut since they are slow.
        skipped: connections that had ended, were closing, or broke when they were given it.
    """

    sent: int
    waited: int
    dropped_oldest: int
    dropped_newest: int
    disconnected: int
    skipped: int


async def broadcast(
    connections: Iterable[Connection[SendT, Any, ContextT]],
    message: SendT,
    *,
    when_slow: WhenSlow | Callable[[Connection[SendT, Any, ContextT]], WhenSlow],
) -> BroadcastReport:
    """Send a message to many connections, each of which accepts it as by ``send`` (row B8).

    It is encoded once for all connections that share a coder, and once for each whose coder has
    memory. A connection is slow when its outbox has no room, by its own bounds
    (`ConnectionLimits`), though the kernel has been offered what is in it.

    A connection gets broadcasts, and what is sent with ``send``, in the order in which it was given
    them. Of two broadcasts at the same time, some connections may get one first and some the
    other. What one task broadcasts without a pause in between leaves together.

    Only messages of broadcasts are ever dropped, never those of ``send``. With ``DROP_OLDEST`` a
    message gives way if the kernel has nothing of it, and it is not within the 16 KiB that are
    being given to the kernel; the coder must have no memory, since its peer would miss what was
    dropped. Where no message can give way, the new one is dropped. A dropped message, the oldest or
    the newest, counts as accepted and as dropped (``messages_dropped`` of the statistics). It is
    not purged, and ``flush`` does not wait for it.

    Other tasks run at least once, and once for every 64 connections. Cancelled, those that have
    been served stay served, the others do not get the message, and there is no report.

    Parameters:
        connections: ``server.connections``, or any others; those that are there when it is called.
        message: what to send.
        when_slow: what to do with a slow connection, or a plain function that says so for the one
            it is given. It has no default: what may be lost only the application knows.

    Returns what became of it. Connections that have ended or are closing are counted there, and are
    no error.

    Raises:
        LocalProtocolError: it cannot be encoded, and nobody got it. Where coders have memory, each
            encodes it in its turn, and those before the one that failed got it.
        Exception: what ``when_slow`` raised; those before that connection got it.
    """
    given = list(connections)
    sending: _Sending[SendT, ContextT] = _Sending(given, message, when_slow)
    departures = current_departures()
    departures.hold()
    try:
        for start in range(0, len(given) or 1, _AT_A_TIME):
            await trio.lowlevel.checkpoint()
            sending.serve(given[start : start + _AT_A_TIME], departures)
    finally:
        departures.release()
    if sending.slow:
        await sending.wait()
    return sending.report()


class _Sending(Generic[SendT, ContextT]):
    """One broadcast, and what has become of it so far."""

    def __init__(
        self,
        given: Sequence[Connection[SendT, Any, ContextT]],
        message: SendT,
        when_slow: WhenSlow | Callable[[Connection[SendT, Any, ContextT]], WhenSlow],
    ) -> None:
        if not (isinstance(when_slow, WhenSlow) or callable(when_slow)):
            raise TypeError(f"when_slow is a WhenSlow or a function, not {when_slow!r}")
        self.slow: list[Writer[SendT]] = []
        """Those to be waited for."""
        self._message = message
        self._when_slow = when_slow
        self._encoded: dict[int, tuple[Codec[SendT, Any], bytes]] = {}
        """What each coder made of it; the coder is kept, so that its number stays its own."""
        self._failure: Exception | None = None
        self._sent = self._waited = self._skipped = self._disconnected = 0
        self._dropped_oldest = self._dropped_newest = 0
        last: Codec[SendT, Any] | None = None
        for writer in map(writer_of, given):
            if writer.coder is not last and writer.shares_coder:
                last = writer.coder
                self._encode(writer)

    def _encode(self, writer: Writer[SendT]) -> bytes:
        """Return what the writer's coder makes of the message, now or before."""
        coder = writer.coder
        if not writer.shares_coder:
            return coder.encode(self._message)
        if id(coder) not in self._encoded:
            self._encoded[id(coder)] = coder, Droppable(coder.encode(self._message))
        return self._encoded[id(coder)][1]

    def serve(
        self, part: Sequence[Connection[SendT, Any, ContextT]], departures: Departures
    ) -> None:
        """Give some connections the message."""
        departures.give(len(part))
        message = self._message
        last: Codec[SendT, Any] | None = None
        data = b""
        for connection, writer in zip(part, map(writer_of, part), strict=True):
            if writer.coder is not last:
                if not writer.shares_coder and not writer.makes_room():
                    # Nothing is encoded that is not sent: what the coder remembers, its peer must
                    # have got.
                    self._no_room(connection, writer, None)
                    continue
                data = self._encode(writer)
                last = writer.coder if writer.shares_coder else None
            try:
                accepted = writer.accept_encoded(message, data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._skipped += 1
                continue
            if accepted:
                self._sent += 1
            else:
                self._no_room(connection, writer, data)

    def _no_room(
        self,
        connection: Connection[SendT, Any, ContextT],
        writer: Writer[SendT],
        data: bytes | None,
    ) -> None:
        """Do with a slow connection what is to be done; without data none can give way."""
        if writer.refusal is not None:
            self._skipped += 1
            return
        policy = self._when_slow
        if not isinstance(policy, WhenSlow):
            policy = WhenSlow(policy(connection))
        if policy is WhenSlow.WAIT:
            self.slow.append(writer)
        elif policy is WhenSlow.DISCONNECT:
            connection.drop()
            self._disconnected += 1
        elif policy is WhenSlow.DROP_OLDEST and data is not None:
            self._replace(writer, data)
        else:
            self._drop_newest(writer)

    def _replace(self, writer: Writer[SendT], data: bytes) -> None:
        dropped = writer.accept_in_place(self._message, data)
        if dropped:
            self._dropped_oldest += dropped
            self._sent += 1
        else:
            self._drop_newest(writer)

    def _drop_newest(self, writer: Writer[SendT]) -> None:
        writer.drop_newest()
        self._dropped_newest += 1

    async def wait(self) -> None:
        """Wait for all slow ones at the same time."""
        async with trio.open_nursery() as nursery:
            for writer in self.slow:
                nursery.start_soon(self._wait_for, writer)
        if self._failure is not None:
            raise self._failure

    async def _wait_for(self, writer: Writer[SendT]) -> None:
        try:
            await writer.wait_for_room()
            writer.accept_late(self._message, self._encode(writer))
            self._waited += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._skipped += 1
        except Exception as error:  # a coder's, raised when all others have been served
            self._failure = error

    def report(self) -> BroadcastReport:
        """Return the counts."""
        return BroadcastReport(
            sent=self._sent,
            waited=self._waited,
            dropped_oldest=self._dropped_oldest,
            dropped_newest=self._dropped_newest,
            disconnected=self._disconnected,
            skipped=self._skipped,
        )
