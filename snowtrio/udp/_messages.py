"""One datagram, one message: a codec without a stream."""

from __future__ import annotations

from typing import Any, TypeVar

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import RemoteProtocolError
from .._side import Side

ReceiveT = TypeVar("ReceiveT")


def start(codec: Codec[Any, Any] | None, side: Side) -> Codec[Any, Any] | None:
    """Return what codes the datagrams of one endpoint or server."""
    return codec.start(side, None) if codec is not None else None


def decode(codec: Codec[Any, ReceiveT], data: bytes) -> ReceiveT:
    """Return the message that a datagram is.

    Raises:
        RemoteProtocolError: it is none, or several.
        SkippedMessageError: the codec threw it away.
    """
    buffer = ReceiveBuffer(data)
    messages = list(codec.decode(buffer))
    messages += codec.decode_eof(buffer)
    if len(messages) != 1:
        raise RemoteProtocolError(f"{len(messages)} messages in a datagram, in place of one")
    return messages[0]
