"""What has come for one session and was not received yet."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import attrs
import trio

from .._connection import Cause, Slot
from .._errors import ConnectionClosedError
from ._limits import UDPServerLimits

ReceiveT = TypeVar("ReceiveT")


@attrs.define
class Held:
    """What all sessions of a server have come to."""

    bytes: int = 0
    """Those that wait."""
    dropped: int = 0
    """Datagrams that no handler got."""


class Mailbox(Generic[ReceiveT]):
    """Messages on their way from the server to the handler of one session.

    Parameters:
        limits: of the session.
        held: what all of them count together.
    """

    __slots__ = (
        *("_held", "_limits", "_messages", "_slot"),
        *("bytes", "cause", "closed", "dropped", "ended", "received", "undecodable"),
    )

    def __init__(self, limits: UDPServerLimits, held: Held) -> None:
        self.received = self.dropped = self.undecodable = self.bytes = 0
        self.ended = False
        """Whether nothing more comes in."""
        self.closed = False
        """Whether that was the handler's own doing."""
        self.cause: Cause | None = None
        """Why it ended, where that is not the handler's affair."""
        self._limits = limits
        self._held = held
        self._messages: deque[tuple[ReceiveT, int]] = deque()
        self._slot = Slot[None]()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: ReceiveT, size: int) -> None:
        """Keep a message for the handler, or count it as dropped where there is no room.

        Parameters:
            message: what has come.
            size: how many bytes of a datagram it was.
        """
        limits, held = self._limits, self._held
        if (
            self.ended
            or len(self._messages) >= limits.max_session_datagrams
            or self.bytes + size > limits.max_session_bytes
            or held.bytes + size > limits.memory_budget
        ):
            self.drop()
            return
        self._messages.append((message, size))
        self.received += 1
        self.bytes += size
        held.bytes += size
        if self._slot.waiting is not None:
            self._slot.put(None)

    async def wait(self) -> None:
        """Wait until there is a message.

        Raises:
            trio.EndOfChannel: there is none, and none will come.
            ConnectionClosedError: this side has closed the session.
            trio.BusyResourceError: another task waits.
        """
        # Another task may take what this one was woken for, and wait in its place.
        while not self._messages and not self.ended:
            if self._slot.waiting is not None:
                raise trio.BusyResourceError("another task is already receiving from this session")
            await self._slot.wait()
        if not self._messages:
            if self.closed:
                raise ConnectionClosedError("this session is closed")
            raise trio.EndOfChannel

    def take(self) -> ReceiveT:
        """Return the first message; there must be one."""
        message, size = self._messages.popleft()
        self.bytes -= size
        self._held.bytes -= size
        return message

    def take_all(self) -> list[ReceiveT]:
        """Return all messages."""
        batch = [message for message, _ in self._messages]
        self._clear()
        return batch

    def drop(self, number: int = 1) -> None:
        """Count what no handler gets."""
        self.dropped += number
        self._held.dropped += number

    def discard(self) -> None:
        """Throw away what waits."""
        self.drop(len(self._messages))
        self._clear()

    def _clear(self) -> None:
        self._messages.clear()
        self._held.bytes -= self.bytes
        self.bytes = 0

    def end(self, cause: Cause | None = None) -> None:
        """Let nothing more in; what waits can be received. The first cause counts."""
        self.ended = True
        if self.cause is None:
            self.cause = cause
        if self._slot.waiting is not None:
            self._slot.put(None)

    def close(self) -> None:
        """End it as the handler's own doing: what waits is thrown away."""
        self.closed = True
        self.discard()
        self.end(Cause.CLOSED)
