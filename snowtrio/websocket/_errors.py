"""What can go wrong with a WebSocket, and who must act.

::

    WebSocketClosedError      it is closed, in order: by the peer, or by us
                              (ConnectionClosedError, trio.EndOfChannel)
    AbnormalCloseError        the connection ended without a close (1006)  (ConnectionLostError)
    WebSocketProtocolError    the peer breaks the protocol; was told so    (RemoteProtocolError)
    └── WebSocketTooLargeError     a message above the limit               (ReceiveTooLargeError)
    WebSocketHandshakeError   the server's answer is no WebSocket's        (FetchError)
"""

from __future__ import annotations

import trio

from .._errors import (
    ConnectionClosedError,
    ConnectionLostError,
    ReceiveTooLargeError,
    RemoteProtocolError,
)
from ..http._errors import FetchError
from ._close import Close


class WebSocketClosedError(ConnectionClosedError, trio.EndOfChannel):
    """The WebSocket is closed, or is being closed; iterating ends instead of raising it.

    Parameters:
        received: what the peer said when it closed, None if it has not (yet).
        sent: what we said, likewise.
    """

    def __init__(self, received: Close | None, sent: Close | None) -> None:
        said = [f"the peer: {received}"] if received else []
        said += [f"this side: {sent}"] if sent else []
        super().__init__("the WebSocket is closed; " + "; ".join(said or ["nobody said why"]))
        self.received = received
        self.sent = sent

    def __reduce__(self) -> tuple[type[WebSocketClosedError], tuple[Close | None, Close | None]]:
        return type(self), (self.received, self.sent)

    @property
    def code(self) -> int:
        """The peer's code, else ours; 1005 where none was given."""
        said = self.received or self.sent
        return said.code if said is not None else 1005

    @property
    def reason(self) -> str:
        """The reason that stands beside `code`."""
        said = self.received or self.sent
        return said.reason if said is not None else ""


class AbnormalCloseError(ConnectionLostError):
    """The peer ended the connection without closing the WebSocket: code 1006 (RFC 6455, 7.1.5)."""

    code = 1006

    @property
    def reason(self) -> str:
        """What is known about it."""
        return str(self)


class WebSocketProtocolError(RemoteProtocolError):
    """What the peer sent breaks the protocol. It was told so before the connection ends.

    Parameters:
        message: what is wrong.
        code: of the close that was sent.
    """

    def __init__(self, message: str, code: int = 1002) -> None:
        super().__init__(message)
        self.code = code

    @property
    def reason(self) -> str:
        """What is wrong."""
        return str(self)

    def __reduce__(self) -> tuple[type[WebSocketProtocolError], tuple[object, ...]]:
        return type(self), (str(self), self.code)


class WebSocketTooLargeError(WebSocketProtocolError, ReceiveTooLargeError):
    """The peer sends a message above ``max_message_size``: code 1009.

    Parameters:
        size: bytes, as many as are known of.
        limit: ``max_message_size``, in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        ReceiveTooLargeError.__init__(self, size, limit)
        self.code = 1009

    def __reduce__(self) -> tuple[type[WebSocketTooLargeError], tuple[int, int]]:
        return type(self), (self.size, self.limit)


class WebSocketHandshakeError(FetchError):
    """The server agreed to the upgrade, but its answer is not that of a WebSocket (RFC 6455, 4.1).

    The connection is closed.

    Parameters:
        reason: what is wrong with it.
        response: its head, a `snowtrio.http.ClientResponse`.
    """

    def __init__(self, reason: str, response: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.response = response
