"""A message that is sent part by part (row W21)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar, cast

from ..._connection import Control, SendInTurn
from .._close import Close, CloseCode
from .._wire import Outgoing, Part
from ._conversation import Conversation

MessageT = TypeVar("MessageT", str, bytes)


class MessageWriter(Generic[MessageT]):
    """Sends the parts of a message; `WebSocket.send_stream` makes one.

    Parameters:
        kind: of the message.
        send: sends in turn.
    """

    def __init__(self, kind: type[MessageT], send: SendInTurn[Outgoing]) -> None:
        self._kind: type[str] | type[bytes] = kind
        self._send = send
        self.begun = False
        """Whether a part was sent."""
        self.over = False
        """Whether nothing more can be sent."""

    async def send(self, part: MessageT) -> None:
        """Send a part; wait while the outbox is full. Cancelled, it has accepted nothing.

        Raises:
            TypeError: the part is not of the message's kind.
            RuntimeError: the block was left.
            WebSocketClosedError: the WebSocket was closed; as `WebSocket.send`.
        """
        if self.over:
            raise RuntimeError("the message is complete: its block was left")
        if not isinstance(cast("object", part), self._kind):
            raise TypeError(f"a part is {self._kind.__name__}, not {type(part).__name__}")
        if part:
            await self._send(Part(part))
            self.begun = True


@asynccontextmanager
async def send_message(
    conversation: Conversation, control: Control[Outgoing], kind: type[MessageT]
) -> AsyncGenerator[MessageWriter[MessageT], None]:
    """Send the parts of a message; see `WebSocket.send_stream`."""
    if kind not in (str, bytes):
        raise TypeError("a message is str or bytes")
    async with control.alone() as send:
        writer = MessageWriter(kind, send)
        try:
            yield writer
        except BaseException:
            if writer.begun:
                reason = "a message could not be completed"
                conversation.begin_close(Close(CloseCode.INTERNAL_ERROR, reason))
            raise
        finally:
            writer.over = True
        if conversation.ended or control.past_sending:
            raise conversation.why_ended()
        # Not in turn: complete it is, even if the outbox is full and nobody wants to wait.
        control.send_nowait(Part(kind(), last=True))
