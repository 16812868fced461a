"""What goes on beside the messages: pings and pongs, and how a WebSocket ends.

Told by the decoder where frames are decoded, so a peer has its answer whatever the application does
at that moment, and whether it receives at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias

import trio

from ..._connection import Connection, Control, control_of
from .._close import MAX_REASON, Close
from .._errors import AbnormalCloseError, WebSocketClosedError, WebSocketProtocolError
from .._wire import Incoming, Outgoing, Ping, Pong, WebSocketLimits
from ._heartbeat import Beat, Heartbeat
from ._keeper import current_keeper
from ._pings import Pings
from ._pong_lane import PongLane

WebSocketConnection: TypeAlias = Connection[Outgoing, Incoming, Any]

# How soon a connection is closed whose handler has not noticed that its WebSocket is.
_GRACE = 0.2


class Conversation:
    """Answers pings, closes, and looks at the clock.

    Parameters:
        limits: the bounds.
    """

    def __init__(self, limits: WebSocketLimits) -> None:
        self.limits = limits
        self.received: Close | None = None
        """What the peer has said when it closed."""
        self.sent: Close | None = None
        """What we have said when we closed."""
        self.failure: Exception | None = None
        """Why it ended, where it did not end in order."""
        self.pings = Pings()
        self.on_ping_hook: Callable[[bytes], bytes | None] | None = None
        self._pongs = PongLane(limits.max_pongs)
        self._heartbeat = Heartbeat(limits)
        self._closing_since: float | None = None
        self._ended_since: float | None = None
        self._closing = False
        self.connection: WebSocketConnection
        self.control: Control[Outgoing]

    def attach(self, connection: WebSocketConnection) -> None:
        """Begin, on a connection that speaks the protocol by now; again is nothing."""
        if hasattr(self, "connection"):
            return
        self.connection = connection
        self.control = control_of(connection)
        limits = self.limits
        self.control.read_ahead(limits.max_queued_messages, limits.max_queued_size)
        self.control.on_progress(self._send_late_pong)
        now = trio.current_time()
        current_keeper().keep(self, self._heartbeat.begin(now))

    # Pings and pongs

    def on_ping(self, payload: bytes) -> None:
        """Answer a ping."""
        if self.on_ping_hook is not None:
            answer = self.on_ping_hook(payload)
            if answer is None:
                return
            payload = answer
        if self._pongs.admit(payload, self.control.accepted, self.control.left):
            self.control.send_nowait(Pong(payload))

    def _send_late_pong(self) -> None:
        payload = self._pongs.take_late(self.control.left)
        if payload is not None:
            self.on_ping(payload)

    def on_pong(self, payload: bytes) -> None:
        """Note a pong."""
        self.pings.answered(payload, trio.current_time())
        self.control.note()

    async def ping(self, payload: bytes | None) -> float:
        """Send a ping and wait for its pong."""
        payload = self.pings.begin(payload, trio.current_time())
        control = self.control
        try:
            await self.connection.send(Ping(payload))
            await control.wait_until(
                lambda: self.pings.is_answered(payload) or control.input_ended or self.over
            )
        finally:
            trip = self.pings.end(payload)
        if trip is None:
            raise self.why_ended()
        return trip

    # The end

    @property
    def over(self) -> bool:
        """Whether both sides have closed, or the peer broke the protocol."""
        return self.failure is not None or (self.sent is not None and self.received is not None)

    def why_ended(self) -> Exception:
        """Return what whoever uses it from now on gets."""
        if self.failure is not None:
            return self.failure
        if self.received is None and self.sent is None:
            return AbnormalCloseError("the connection ended without a close (1006)")
        return WebSocketClosedError(self.received, self.sent)

    def on_close(self, close: Close) -> None:
        """Note that the peer has closed, and answer it."""
        self.received = close
        self.begin_close(Close(close.code))
        self.control.part(self.why_ended())
        self._end()

    def on_violation(self, error: WebSocketProtocolError) -> None:
        """End, and tell the peer what it has done: once what came before it has been answered.

        That is when a receiver has had all messages, or when it has been given time for it.
        """
        self.failure = error
        self.control.on_end(self._tell_violation)
        self._end()

    def _tell_violation(self) -> None:
        error = self.failure
        if isinstance(error, WebSocketProtocolError):
            self._say(Close(error.code, _shortened(str(error))))

    def begin_close(self, close: Close) -> None:
        """Say that we close, behind everything that was accepted; once.

        Where the peer has broken the protocol, that is said instead.
        """
        self._tell_violation()
        self._say(close)

    def _say(self, close: Close) -> None:
        if self.sent is not None or self.control.past_sending:
            return
        self.control.send_nowait(close)
        self.sent = close
        self.control.part(self.why_ended())
        self._closing_since = trio.current_time()
        current_keeper().keep(self, self._closing_since + self.limits.close_timeout)

    def _end(self) -> None:
        self._ended_since = trio.current_time()
        self.control.note()
        current_keeper().keep(self, self._ended_since + _GRACE)

    async def goodbye(self, connection: WebSocketConnection) -> None:
        """Close, since the server ends."""
        self.attach(connection)
        self.begin_close(Close(1001))

    async def close(self, close: Close) -> None:
        """Close in order: wait for the peer's answer, then for the end of the connection."""
        self.begin_close(close)
        with trio.move_on_after(self.limits.close_timeout):
            await self._wait_over()
        await self.connection.aclose()

    async def _wait_over(self) -> None:
        """Throw away what still comes, until the peer has closed as well."""
        while not (self.over or self.control.input_ended):
            try:
                await self.connection.receive_batch()
            except trio.BusyResourceError:
                await self.control.wait_until(lambda: self.over or self.control.input_ended)
            except (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
                return

    # The clock

    def look(self, now: float, nursery: trio.Nursery) -> float | None:
        """Do what is due."""
        if self.connection.ending is not None:
            return None
        if self._ended_since is not None:
            return self._look_ended(now, self._ended_since, nursery)
        if self._closing_since is not None:
            due = self._closing_since + self.limits.close_timeout
            if now < due:
                return due
            self.connection.drop()
            return None
        return self._look_alive(now)

    def _look_ended(self, now: float, since: float, nursery: trio.Nursery) -> float | None:
        """Close the connection, and cut its handler off in the end."""
        if not self._closing:
            if now < since + _GRACE:
                return since + _GRACE
            self._closing = True
            self._tell_violation()
            nursery.start_soon(_close_quietly, self.connection)
            self._ended_since = since = now
        timeout = self.limits.handler_timeout
        if timeout is None:
            return None
        if now < since + timeout:
            return since + timeout
        self.connection.drop()
        return None

    def _look_alive(self, now: float) -> float | None:
        control = self.control
        beat, due = self._heartbeat.look(now, control.bytes_received, control.reading_stopped)
        if beat is Beat.PING:
            control.send_nowait(Ping(self.pings.begin(None, now)))
        elif beat is Beat.DEAD:
            self.failure = AbnormalCloseError("no pong came in time (1006)")
            control.part(self.failure)
            self.connection.drop()
            return None
        return due


async def _close_quietly(connection: WebSocketConnection) -> None:
    with contextlib.suppress(Exception):
        await connection.aclose()


def _shortened(reason: str) -> str:
    return reason.encode()[:MAX_REASON].decode(errors="ignore")
