"""One message on its way to many connections."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, Generic

import trio
from typing_extensions import TypeVar

from .._connection import (
    Connection,
    Departures,
    Droppable,
    Writer,
    current_departures,
    writer_of,
)
from ._line import Line, Turn
from ._policy import BroadcastReport, WhenSlow

SendT = TypeVar("SendT")
ContextT = TypeVar("ContextT", default=None)

# So many connections are served before other tasks run.
_AT_A_TIME = 64


class Sending(Generic[SendT, ContextT]):
    """One broadcast, and what has become of it so far.

    Rooms above, whose protocols know more of their messages, say how they are encoded and how one
    that is slow is cut.

    Parameters:
        given: those who get it.
        message: what they get.
        when_slow: what to do with a slow one.
        apart: returns, of a connection whose coder is its own, the bytes of the message where they
            depend on nothing that was sent before and nothing after depends on them; None where
            the coder has to make them in their turn.
        cut: ends a slow connection; by default it is dropped.
        still: those who left it meanwhile do not get the message, and are not counted.
        order: held while they are served; broadcasts that share it are in the same order for all.
        line: who is being waited for; broadcasts that share it stay in their order there too.
    """

    def __init__(
        self,
        given: Sequence[Connection[SendT, Any, ContextT]],
        message: SendT,
        when_slow: WhenSlow | Callable[[Connection[SendT, Any, ContextT]], WhenSlow],
        *,
        apart: Callable[[Connection[SendT, Any, ContextT]], bytes | None] | None = None,
        cut: Callable[[Connection[SendT, Any, ContextT]], None] | None = None,
        still: Container[object] | None = None,
        order: trio.StrictFIFOLock | None = None,
        line: Line | None = None,
    ) -> None:
        if not (isinstance(when_slow, WhenSlow) or callable(when_slow)):
            raise TypeError(f"when_slow is a WhenSlow or a function, not {when_slow!r}")
        self.slow: dict[Connection[SendT, Any, ContextT], Turn] = {}
        """Those to be waited for."""
        self._given = given
        self._apart = apart
        self._cut = cut
        self._still = still
        self._order = order if order is not None else trio.StrictFIFOLock()
        self._line: Line = line if line is not None else {}
        self._message = message
        self._when_slow = when_slow
        self._encoded: dict[int, tuple[object, bytes]] = {}
        """What those who are alike made of it, kept with what they have in common."""
        self._failure: Exception | None = None
        self._sent = self._waited = self._skipped = self._disconnected = 0
        self._dropped_oldest = self._dropped_newest = 0
        last: object = None
        for writer in map(writer_of, given):
            if writer.alike is not last and writer.alike is not None and not writer.exclusive:
                last = writer.alike
                self._encode(writer)

    async def serve_all(self) -> None:
        """Give all of them the message, but for those that are to be waited for."""
        departures = current_departures()
        departures.hold()
        try:
            # A checkpoint. Departures are held by now: what is broadcast in a row leaves together.
            async with self._order:
                for start in range(0, len(self._given), _AT_A_TIME):
                    if start:
                        await trio.lowlevel.checkpoint()
                    part = self._given[start : start + _AT_A_TIME]
                    if self._still is not None:
                        part = [each for each in part if each in self._still]
                    self._serve(part, departures)
        finally:
            departures.release()

    def _encode(self, writer: Writer[SendT]) -> bytes:
        """Return what the writer's coder makes of the message, now or before."""
        alike = writer.alike
        if alike is None:
            return writer.coder.encode(self._message)
        if id(alike) not in self._encoded:
            self._encoded[id(alike)] = alike, Droppable(writer.coder.encode(self._message))
        return self._encoded[id(alike)][1]

    def _serve(
        self, part: Sequence[Connection[SendT, Any, ContextT]], departures: Departures
    ) -> None:
        """Give some connections the message."""
        departures.give(len(part))
        message = self._message
        line = self._line
        last: object = None
        data: bytes | None = None
        for connection, writer in zip(part, map(writer_of, part), strict=True):
            if last is None or writer.alike is not last:
                data = self._encode_for(connection, writer)
                last = writer.alike if data is not None else None
            try:
                accepted = (
                    data is not None
                    and (not line or connection not in line)
                    and writer.accept_encoded(message, data)
                )
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._skipped += 1
                continue
            if accepted:
                self._sent += 1
            else:
                self._no_room(connection, writer, data)

    def _encode_for(
        self, connection: Connection[SendT, Any, ContextT], writer: Writer[SendT]
    ) -> bytes | None:
        """Return the bytes for a connection, None where it has no room.

        With a coder that is like no other nothing is encoded that is not sent: what it remembers,
        its peer must have got.
        """
        if writer.exclusive or connection in self._line:
            return None  # In the middle of something, as its coder may be; or others come first.
        if writer.alike is not None:
            return self._encode(writer)
        data = self._apart(connection) if self._apart is not None else None
        if data is None and writer.makes_room():
            data = self._encode(writer)
        return data

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
        busy = writer.exclusive and writer.fits()
        if policy is WhenSlow.WAIT or (policy is WhenSlow.DISCONNECT and busy):
            turn = self.slow[connection] = Turn(self._line.get(connection))
            self._line[connection] = turn
        elif policy is WhenSlow.DISCONNECT:
            if self._cut is None:
                connection.drop()
            else:
                self._cut(connection)
            self._disconnected += 1
        elif policy is WhenSlow.DROP_OLDEST and data is not None:
            self._replace(writer, data)
        else:
            self._drop_newest(writer)

    def _replace(self, writer: Writer[SendT], data: bytes) -> None:
        # Nothing may come into the middle of what is being sent.
        dropped = 0 if writer.exclusive else writer.accept_in_place(self._message, data)
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
            for connection, turn in self.slow.items():
                nursery.start_soon(self._wait_for, connection, turn)
        if self._failure is not None:
            raise self._failure

    async def _wait_for(self, connection: Connection[SendT, Any, ContextT], turn: Turn) -> None:
        writer = writer_of(connection)
        try:
            await turn.wait()
            await writer.wait_for_room()
            data = None
            if writer.alike is None and self._apart is not None:
                data = self._apart(connection)
            writer.accept_late(self._message, self._encode(writer) if data is None else data)
            self._waited += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._skipped += 1
        except Exception as error:  # a coder's, raised when all others have been served
            self._failure = error
        finally:
            self._leave(connection, turn)

    def leave_line(self) -> None:
        """Let others go on where this broadcast was given up."""
        for connection, turn in self.slow.items():
            self._leave(connection, turn)

    def _leave(self, connection: Connection[SendT, Any, ContextT], turn: Turn) -> None:
        turn.over.set()
        if self._line.get(connection) is turn:
            before = turn.waits_for()
            if before is None:
                del self._line[connection]
            else:
                self._line[connection] = before

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
