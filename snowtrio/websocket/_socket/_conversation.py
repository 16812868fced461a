"""What goes on beside the messages: pings, pongs and the heartbeat.

Told by the decoder where frames are decoded, so a peer has its answer whatever the application does
at that moment, and whether it receives at all.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..._connection import Control, control_of
from .._close import Close, CloseCode
from .._errors import AbnormalCloseError, WebSocketProtocolError
from .._wire import Incoming, Outgoing, Piece, Ping, Pong, WebSocketLimits
from ._closing import Closing, Phase, WebSocketConnection, logger
from ._heartbeat import Beat, Heartbeat
from ._keeper import current_keeper
from ._message_clock import MessageClock
from ._pings import Pings, as_payload
from ._pong_lane import PongLane
from ._statistics import SocketStatistics, Tally


class Conversation(Closing):
    """Answers pings, closes, and looks at the clock.

    Parameters:
        limits: the bounds.
    """

    __slots__ = (
        "_beat_number",
        "_heartbeat",
        "_message_clock",
        "_pongs",
        "on_ping_hook",
        "on_pong_hook",
        "pings",
        "tally",
        "unfinished",
    )

    def __init__(self, limits: WebSocketLimits) -> None:
        super().__init__(limits)
        self.pings = Pings()
        self.tally = Tally()
        self.on_ping_hook: Callable[[bytes], bytes | None] | None = None
        """Given a ping's payload, returns that of the pong, or None for none."""
        self.on_pong_hook: Callable[[bytes], object] | None = None
        self._pongs = PongLane(limits.max_pongs)
        self._heartbeat = Heartbeat(limits)
        self._message_clock = MessageClock(limits)
        self.unfinished = False
        """Whether a message has begun whose end has not come."""
        self._beat_number = 0
        """How many messages have been accepted when the last ping of the heartbeat has."""

    def attach(self, connection: WebSocketConnection) -> None:
        """Begin, on a connection that speaks the protocol by now; again is nothing."""
        if self.ended or hasattr(self, "connection"):
            return
        self.connection = connection
        self.control = control = control_of(connection)
        self._keeper = current_keeper()
        limits = self.limits
        size = _size_of if limits.pieces else len
        control.read_ahead(limits.max_queued_messages, limits.max_queued_size, size)
        control.explain(self.explain)
        control.on_input_taken(self.answer_close)
        control.on_end(self.note_ended)
        self.tally.begin(connection.statistics())
        if connection.ending is None:
            now = trio.current_time()
            self._keeper.keep(self, min(self._heartbeat.begin(now), self._look_at_message(now)))

    async def goodbye(self, connection: WebSocketConnection) -> None:
        """Close, since the server ends."""
        self.attach(connection)
        self.begin_close(Close(CloseCode.GOING_AWAY))

    # Pings of the peer

    def on_ping(self, payload: bytes) -> None:
        """Answer a ping."""
        self.tally.pings_received += 1
        answer: bytes | None = payload
        if self.on_ping_hook is not None:
            try:
                answer = self.on_ping_hook(payload)
                answer = as_payload(answer) if answer is not None else None
            except Exception:  # the application's mistake; the decoder goes on
                logger.exception("the ping hook of %r failed", self.connection)
        if answer is not None:
            self._answer_ping(answer)

    def _answer_ping(self, payload: bytes) -> None:
        control, lane = self.control, self._pongs
        was_waiting = lane.waiting
        if lane.admit(payload, control.accepted, control.left):
            self._send_pong(payload)
        elif not was_waiting:
            control.on_next_progress(self._note_progress)

    def _send_pong(self, payload: bytes) -> None:
        if not self.control.past_sending:
            self.tally.pongs_sent += 1
            self.control.send_nowait(Pong(payload))

    def _note_progress(self) -> None:
        # In the midst of sending nothing can be sent.
        trio.lowlevel.current_trio_token().run_sync_soon(self._send_late_pong)

    def _send_late_pong(self) -> None:
        if self.ended:
            return
        payload = self._pongs.take_late(self.control.left)
        if payload is not None:
            self._answer_ping(payload)
        elif self._pongs.waiting and not self.control.past_sending:
            self.control.on_next_progress(self._note_progress)

    # Pings of ours

    def on_pong(self, payload: bytes) -> None:
        """Note a pong."""
        self.tally.pongs_received += 1
        self.pings.answered(payload, trio.current_time())
        self.control.note()
        if self.on_pong_hook is not None:
            try:
                self.on_pong_hook(payload)
            except Exception:  # the application's mistake; the decoder goes on
                logger.exception("the pong hook of %r failed", self.connection)

    async def ping(self, payload: bytes | bytearray | memoryview | None) -> float:
        """Send a ping and wait for its pong."""
        asked = self.pings.begin(payload, trio.current_time())
        try:
            control = await self._send(Ping(asked))
            self.tally.pings_sent += 1
            control.read_on()
            await control.wait_until(lambda: self.pings.is_answered(asked) or self.no_more_comes)
        finally:
            trip = self.pings.end(asked)
        if trip is None:
            raise self.why_ended()
        return trip

    async def pong(self, payload: bytes | bytearray | memoryview) -> None:
        """Send a pong that nobody asked for."""
        await self._send(Pong(as_payload(payload)))
        self.tally.pongs_sent += 1

    async def _send(self, frame: Ping | Pong) -> Control[Outgoing]:
        if self.ended:
            raise self.why_ended()
        control = self.control
        await self.connection.send(frame)
        return control

    # The clock

    def look(self, now: float) -> float | None:
        """Do what is due; see `Kept`."""
        if self.phase is not Phase.OPEN or self.ended:
            return super().look(now)
        due = min(self._look_at_heart(now), self._look_at_message(now))
        return due if self.failure is None else None

    def _look_at_heart(self, now: float) -> float:
        """Send a ping if it is time, or give the peer up; return when to look again."""
        control = self.control
        beat, due = self._heartbeat.look(
            now,
            control.bytes_received,
            left=control.left >= self._beat_number,
            stopped=control.reading_stopped,
        )
        if beat is Beat.PING and not control.past_sending:
            self.tally.pings_sent += 1
            control.send_nowait(Ping(self.pings.begin_beat(now)))
            self._beat_number = control.accepted
        elif beat is Beat.DEAD:
            if control.has_bytes:
                return now  # We are late ourselves.
            self._give_up()
        return due

    def _look_at_message(self, now: float) -> float:
        """Close if a message does not come to its end; return when to look again."""
        control = self.control
        late, due = self._message_clock.look(
            now,
            control.bytes_received,
            control.messages_received,
            unfinished=self.unfinished and not control.reading_stopped,
        )
        if late and not control.past_sending:
            code = CloseCode.POLICY_VIOLATION
            self.fail(WebSocketProtocolError("a message took too long to come", code))
        return due

    def _give_up(self) -> None:
        timeout = self.limits.ping_timeout
        logger.debug("%r: no answer to a ping within %g s", self.connection, timeout)
        self.failure = AbnormalCloseError(f"no answer to a ping within {timeout:g} s (1006)")
        self.control.lose(self.failure)

    # For users

    def statistics(self, connection: WebSocketConnection, queued: int) -> SocketStatistics:
        """Return the counts of this moment.

        Parameters:
            connection: its own, which it does not have any more after the end.
            queued: messages that were not received.
        """
        return self.tally.statistics(
            connection.statistics(),
            closes=int(self.sent is not None),
            latency=self.pings.latency,
            queued=queued,
        )


def _size_of(message: Incoming) -> int:
    return len(message.data if isinstance(message, Piece) else message)
