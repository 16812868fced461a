"""The bytes of one publication, which members share."""

from __future__ import annotations

from typing import cast

from ..._connection import Droppable
from ..._errors import LocalProtocolError
from ..._side import Side
from .._socket import WebSocketConnection
from .._wire import Prepared, ToSend


class Frames:
    """Gives each connection the frame of a message.

    Parameters:
        message: what is published.

    Raises:
        LocalProtocolError: it is text that has no UTF-8.
        TypeError: it is no message.
    """

    __slots__ = ("_droppable", "_frame", "prepared")

    def __init__(self, message: ToSend) -> None:
        self.prepared = _prepare(message)
        self._frame = self._droppable = b""

    def make(self, connection: WebSocketConnection) -> bytes:
        """Return the frame for a connection.

        A server's is the same object for all that compress alike, by the same connection's or an
        earlier one's doing.
        """
        frame = connection.coder.encode(self.prepared)
        if connection.side is Side.CLIENT:
            return Droppable(frame)
        if frame is not self._frame:
            self._frame, self._droppable = frame, Droppable(frame)
        return self._droppable


def _prepare(message: ToSend) -> Prepared:
    """Return a message that no member's turn can find broken, or changed."""
    given = cast("object", message.message if isinstance(message, Prepared) else message)
    if isinstance(given, str):
        try:
            given.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"text that has no UTF-8: {error}") from None
    elif not isinstance(given, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message is a str or bytes, not {type(given).__name__}")
    if isinstance(message, Prepared):
        return message
    return Prepared(message)
