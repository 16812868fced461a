"""What goes through a coder beside ``str`` and ``bytes``."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import attrs

from .._close import Close
from .._errors import WebSocketProtocolError

Message: TypeAlias = str | bytes
"""What is received: text as ``str``, binary as ``bytes``."""


@attrs.frozen
class Ping:
    """Asks for a pong.

    Parameters:
        payload: at most 125 bytes, which the pong repeats.
    """

    payload: bytes = b""


@attrs.frozen
class Pong:
    """Answers a ping.

    Parameters:
        payload: the ping's.
    """

    payload: bytes = b""


@attrs.frozen
class Part:
    """A part of a message that is sent fragment by fragment.

    Parameters:
        data: of the message's kind.
        last: whether it is the last one.
    """

    data: Message
    last: bool = False


@attrs.frozen
class Piece:
    """What has come of a message that is received piece by piece.

    Parameters:
        data: of the message's kind; a character is never cut in two.
        last: whether it is the last one.
    """

    data: Message
    last: bool


class Prepared:
    """A message that is framed once, for any number of connections (row W20).

    A server makes the bytes when the first connection sends it, and all others that compress alike
    send the same ones. Where messages look back at earlier ones (context takeover) it is compressed
    by itself all the same, and those after it look back at nothing before it. A client frames it
    each time, since each frame has a mask of its own.

    Parameters:
        message: to be sent; copied where it could be changed.
    """

    __slots__ = ("frames", "message")

    def __init__(self, message: Message | bytearray | memoryview) -> None:
        self.message = message if isinstance(message, (str, bytes)) else bytes(message)
        self.frames: dict[object, bytes] = {}
        """What it comes to, by how it is framed; None is without compression."""

    def __repr__(self) -> str:
        return f"<Prepared {self.message!r:.40}>"


ToSend: TypeAlias = str | bytes | bytearray | memoryview | Prepared
"""What can be sent as a message."""

Outgoing: TypeAlias = ToSend | Part | Ping | Pong | Close

Incoming: TypeAlias = str | bytes | Piece


class Listener(Protocol):
    """Is told, where frames are decoded, of what is no message.

    Called in the order of the frames, but before the messages that were decoded together with them
    are received. Must not raise.
    """

    unfinished: bool
    """Whether a message has begun whose end has not come; the decoder's to write."""

    def on_ping(self, payload: bytes) -> None:
        """A ping has come."""

    def on_pong(self, payload: bytes) -> None:
        """A pong has come."""

    def on_close(self, close: Close) -> None:
        """The peer has closed; nothing is decoded any more."""

    def on_violation(self, error: WebSocketProtocolError) -> None:
        """The peer has broken the protocol; nothing is decoded any more."""
