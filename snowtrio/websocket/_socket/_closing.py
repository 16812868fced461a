"""How a WebSocket ends: the closing handshake, every other end, and what is said of it."""

from __future__ import annotations

import copy
import enum
import logging
import math
from typing import Any, TypeAlias

import trio

from ..._connection import Connection, Control
from ..._errors import ConnectionClosedError, ConnectionLostError
from ..._side import Side
from .._close import MAX_REASON, Close
from .._errors import AbnormalCloseError, WebSocketClosedError, WebSocketProtocolError
from .._wire import Incoming, Outgoing, WebSocketLimits
from ._keeper import Keeper

logger = logging.getLogger("snowtrio.websocket")

WebSocketConnection: TypeAlias = Connection[Outgoing, Incoming, Any]

# How long a handler may take to answer the last that came before the peer's close, in seconds,
# until we close as well; to notice that its WebSocket has closed, until the connection does; and
# to receive, until what comes after our own close is thrown away.
GRACE = 0.2

# How often, in seconds, somebody looks meanwhile whether it goes on.
_STEP = 0.05

# As long as that part of the close timeout a handler may take for any message before that: a peer
# that is as patient as we are still gets our answer.
_SHARE = 0.5

# A client gives the server so long to end the connection first (RFC 6455, section 7.1.1): who ends
# it first keeps a trace of it for a minute.
_PATIENCE = 1.0


class Phase(enum.Enum):
    """How far it has come."""

    OPEN = enum.auto()
    TOLD = enum.auto()
    """The peer has said its last word. Ours follows when what came before that is answered."""
    CLOSING = enum.auto()
    """We have said our last word, the peer has not."""
    OVER = enum.auto()
    """Both have, or nobody will any more."""


class Closing:
    """Closes, whoever begins with it; once.

    It has its connection up to the connection's end: the decoder tells it, so with both it would
    be a cycle, and stay until the interpreter looks for cycles.

    Parameters:
        limits: the bounds.
    """

    __slots__ = (
        "_answer",
        "_ending",
        "_gone",
        "_keeper",
        "_loss",
        "_since",
        "_taken",
        "connection",
        "control",
        "ended",
        "failure",
        "limits",
        "phase",
        "received",
        "sent",
        "tick",
    )

    connection: WebSocketConnection
    control: Control[Outgoing]
    _keeper: Keeper

    def __init__(self, limits: WebSocketLimits) -> None:
        self.limits = limits
        self.phase = Phase.OPEN
        self.received: Close | None = None
        """What the peer has said when it closed."""
        self.sent: Close | None = None
        """What we have said when we closed."""
        self.failure: Exception | None = None
        """Why it ended, where it did not end in order and the core does not know."""
        self.ended = False
        """Whether the connection has ended, with all about it."""
        self.tick: int | None = None
        self._since = 0.0
        self._taken = 0
        """What had been received when somebody looked last."""
        self._answer: Close | None = None
        self._loss: Exception | None = None
        self._ending = False
        self._gone = False

    # What the decoder tells

    def on_close(self, close: Close) -> None:
        """Note that the peer has closed."""
        self.received = close
        self._told(Close(close.code))

    def on_violation(self, error: WebSocketProtocolError) -> None:
        """Note what the peer has done."""
        logger.debug("%r: %s", self.connection, error)
        self.failure = error
        self._told(Close(error.code, shortened(str(error))))

    def _told(self, answer: Close) -> None:
        """Nothing more comes: answer, once what came before has been received.

        The replies to messages that came before the close go before ours.
        """
        if self.phase is Phase.OPEN:
            self._answer = answer
            self._taken = self.control.taken
            self._enter(Phase.TOLD, _STEP)
        else:
            self._enter(Phase.OVER, GRACE)

    def answer_close(self) -> None:
        """Answer the peer's close, or what it did; called when all that came has been received."""
        if self.phase is Phase.TOLD and self._answer is not None:
            self.begin_close(self._answer)

    # Our side

    def begin_close(self, close: Close) -> None:
        """Say that we close, behind everything that was accepted; does not wait.

        Nothing if we have closed, or the connection is past that.
        """
        if self.ended or self.phase in (Phase.CLOSING, Phase.OVER):
            return
        if not self.control.past_sending:
            self.sent = close
            self.control.send_last(close)
        self.control.part()
        if self.phase is Phase.OPEN:
            self._taken = self.control.taken
            patience = GRACE if self.control.has_receiver else _STEP
            self._enter(Phase.CLOSING, min(patience, self.limits.close_timeout))
        else:
            self._enter(Phase.OVER, GRACE)

    def fail(self, error: WebSocketProtocolError) -> None:
        """Close because of a message that the decoder has no objection to."""
        self.failure = error
        self.begin_close(Close(error.code, shortened(str(error))))

    async def close(self, close: Close) -> None:
        """Close in order; see `WebSocket.close`."""
        self.begin_close(close)
        try:
            await trio.lowlevel.checkpoint()
            if self.ended:
                return
            with trio.move_on_after(self.limits.close_timeout) as scope:
                await self.control.wait_until(self._is_answered)
            if scope.cancelled_caught:
                await self._cut()
            else:
                await self._end_connection()
        except trio.Cancelled:
            await self._cut()
            raise

    def _is_answered(self) -> bool:
        return self.phase is Phase.OVER or self.no_more_comes

    # The connection

    @property
    def no_more_comes(self) -> bool:
        """Whether nothing more is read, for whatever reason."""
        return self.ended or self.control.input_ended

    @property
    def unusable(self) -> bool:
        """Whether nothing can be sent any more, or nothing comes."""
        return self.no_more_comes or self.control.past_sending

    async def _end_connection(self) -> None:
        """End the connection, now that nobody has anything to say on it; the first who comes."""
        if self.ended:
            return
        control, connection = self.control, self.connection
        if self._ending:
            await control.wait_until(lambda: self._gone)
            return
        self._ending = True
        try:
            with trio.move_on_after(self.limits.close_timeout) as scope:
                if connection.side is Side.CLIENT and self.received is not None:
                    await self._let_server_go_first()
                await connection.aclose()
            if scope.cancelled_caught:
                await self._cut()
        except trio.Cancelled:
            await self._cut()
            raise
        finally:
            self._gone = True
            control.note()

    async def _let_server_go_first(self) -> None:
        control = self.control
        with trio.move_on_after(_PATIENCE):
            await control.wait_until(lambda: self.no_more_comes)
            await control.discard_rest()

    async def _cut(self) -> None:
        """Close the connection at once. Not a drop, which would cancel the handler that waits."""
        if self.ended:
            return
        with trio.CancelScope() as at_once:
            at_once.cancel(reason="the WebSocket is cut")
            await self.connection.aclose()

    async def wait_closed(self) -> None:
        """Wait until nothing more can come."""
        await trio.lowlevel.checkpoint()
        if not self.ended:
            await self.control.wait_until(lambda: self.no_more_comes)

    # The clock

    def _enter(self, phase: Phase, patience: float) -> None:
        self.phase = phase
        self._since = trio.current_time()
        if not self.ended:
            self._keeper.keep(self, self._since + patience)
            self.control.note()

    def look(self, now: float) -> float | None:
        """Do what is due; see `Kept`."""
        if self.ended:
            return None
        if self.phase is Phase.TOLD:
            return self._look_at_receiver(now)
        if self.phase is Phase.CLOSING and now < self._since + self.limits.close_timeout:
            return self._look_at_reading(now)
        if self.phase is Phase.CLOSING:
            logger.debug("%r: no answer to our close", self.connection)
            self._keeper.start(self._cut)
            self._enter(Phase.OVER, self._handler_timeout)
        elif now < self._since + self._handler_timeout:
            self._keeper.start(self._end_connection)
            return self._since + self._handler_timeout
        else:
            logger.debug("%r: its handler goes on, and is cancelled", self.connection)
            self.connection.drop()
        return None

    def _look_at_receiver(self, now: float) -> float | None:
        """Answer the close if the receiver does not come for what came before it."""
        control = self.control
        if self._taken != control.taken:
            self._taken, self._since = control.taken, now
        expected = control.queued and control.has_receiver
        patience = max(GRACE, _SHARE * self.limits.close_timeout) if expected else GRACE
        if now < self._since + patience:
            return min(now + _STEP, self._since + patience)
        self.answer_close()
        return None

    def _look_at_reading(self, now: float) -> float:
        """Throw away what nobody receives: the peer's close is behind it."""
        control, deadline = self.control, self._since + self.limits.close_timeout
        taken, self._taken = self._taken, control.taken
        if control.reading_stopped and taken == self._taken:
            control.spill()
            return deadline
        return min(now + GRACE, deadline)

    @property
    def _handler_timeout(self) -> float:
        timeout = self.limits.handler_timeout
        return math.inf if timeout is None else timeout

    def note_ended(self) -> None:
        """Forget clock and connection, which has ended, with all about it."""
        self._loss = self.control.loss
        self.ended = True
        self._keeper.forget(self)
        del self.connection, self.control

    # What is said of it

    def explain(self, reason: Exception) -> Exception:
        """Return what whoever uses it from now on gets, instead of the core's reason."""
        lost = reason if isinstance(reason, ConnectionLostError) else None
        error: Exception
        if self.failure is not None:
            return copy.copy(self.failure)
        if self.sent is not None or self.received is not None:
            error = WebSocketClosedError(self.received, self.sent)
        elif isinstance(reason, AbnormalCloseError):
            return copy.copy(reason)
        elif lost is not None:
            error = AbnormalCloseError(f"{reason} (1006)")
        elif isinstance(reason, ConnectionClosedError):
            error = AbnormalCloseError("this side cut the connection, without a close (1006)")
        else:
            return copy.copy(reason)
        error.__cause__ = lost
        return error

    def why_ended(self) -> Exception:
        """Return what whoever waited for something gets."""
        lost = self._loss if self.ended else self.control.loss
        reason = lost or ConnectionClosedError("this side closed the connection")
        return self.explain(reason)

    @property
    def code(self) -> int | None:
        """The code of the peer's close, 1006 where it ended without; None before the end."""
        if self.received is not None:
            return self.received.code
        return 1006 if self.failure is not None or self.no_more_comes else None


def shortened(reason: str) -> str:
    """Return as much of a reason as a close can have."""
    return reason.encode()[:MAX_REASON].decode(errors="ignore")
