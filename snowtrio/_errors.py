"""Every error of snowtrio, and who must act on it.

The tree, with the question that each branch answers::

    SnowtrioError
    ├── LocalProtocolError            your message cannot be sent; the connection lives
    │   └── SendTooLargeError         (also a MessageTooLargeError)
    ├── SkippedMessageError           the peer's message was thrown away; the connection lives
    ├── ConnectionLostError           the world ended the connection   (trio.BrokenResourceError)
    │   ├── RemoteProtocolError       the peer's bytes break the protocol
    │   │   ├── ReceiveTooLargeError  (also a MessageTooLargeError)
    │   │   └── IncompleteFrameError  the peer left in the middle of a frame
    │   ├── TruncatedError            TLS ended without its closing alert
    │   ├── StalledError              the peer took nothing for too long
    │   └── HandshakeError            the handshake failed; its cause is chained
    │       └── HandshakeTimeoutError
    ├── ConnectionClosedError         our side ended it   (trio.ClosedResourceError)
    │   └── PoolClosedError           the client was closed
    ├── RequestError                  a request has no reply
    │   ├── RequestNotSentError       nothing of it left this process: it can be repeated
    │   └── RequestInDoubtError       the peer may have executed it
    ├── PoolBusyError                 more senders wait for a place than allowed
    ├── SlowConsumerError             what a peer sent unasked is not taken fast enough
    ├── ServiceNotStartedError        a signal came before the servers had started
    ├── SocketOptionError             the system refuses a socket option   (OSError)
    │   └── UnsupportedOptionError    there is none such on this platform, or for this socket
    └── ConnectError                  no connection could be made   (OSError, with its errno)
        ├── ConnectRefusedError       (ConnectionRefusedError)
        ├── HostUnreachableError
        └── ConnectTimeoutError       (TimeoutError)

``MessageTooLargeError`` groups both directions. What ends a connection is also the Trio error that
says so: an ``except trio.BrokenResourceError`` written for a stream goes on working.
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import ENOPROTOOPT

import trio


class SnowtrioError(Exception):
    """The root of everything that snowtrio raises of its own."""


class MessageTooLargeError(SnowtrioError):
    """A message above the codec's limit, in either direction.

    Parameters:
        size: the message's size in bytes, or as much of it as was seen before giving up.
        limit: the codec's ``max_message_size`` in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"message of {size} bytes is above max_message_size ({limit} bytes)")
        self.size = size
        self.limit = limit

    def __reduce__(self) -> tuple[type[MessageTooLargeError], tuple[int, int]]:
        return type(self), (self.size, self.limit)


class LocalProtocolError(SnowtrioError):
    """The message given to ``send`` cannot be encoded.

    Raised to its author. Nothing of it was queued or sent, and the connection lives.
    """


class SendTooLargeError(MessageTooLargeError, LocalProtocolError):
    """The message given to ``send`` is above the codec's limit."""


class SkippedMessageError(SnowtrioError):
    """The decoder threw away something that the peer sent, and can go on.

    Raised once by ``receive``, at the place where the message would have been; the next
    ``receive`` gives what came after it. A codec raises it from ``decode`` when its buffer stands
    at a place from which it can continue (row S3).
    """


class ConnectionLostError(SnowtrioError, trio.BrokenResourceError):
    """The connection broke: reset, unreachable, or unusable."""


class RemoteProtocolError(ConnectionLostError):
    """What the peer sent breaks the protocol; the connection cannot go on."""


class ReceiveTooLargeError(MessageTooLargeError, RemoteProtocolError):
    """The peer sends a message above the codec's limit."""


class IncompleteFrameError(RemoteProtocolError):
    """The peer's end of input came inside a frame.

    Parameters:
        partial: the bytes of the frame that had come.
    """

    def __init__(self, partial: bytes) -> None:
        super().__init__(f"end of input after {len(partial)} bytes of an unfinished frame")
        self.partial = partial

    def __reduce__(self) -> tuple[type[IncompleteFrameError], tuple[bytes]]:
        return type(self), (self.partial,)


class TruncatedError(ConnectionLostError):
    """The TLS connection ended without a closing alert: somebody may have cut it short."""


class StalledError(ConnectionLostError):
    """The peer took none of our bytes for ``stall_timeout`` seconds."""


class HandshakeError(ConnectionLostError):
    """The handshake failed; ``__cause__`` says why. The socket is closed and the place free.

    A handshake of your own raises it, or a class of yours below it, to refuse a peer.
    """


class HandshakeTimeoutError(HandshakeError):
    """The handshake took longer than ``handshake_timeout``."""


class ConnectionClosedError(SnowtrioError, trio.ClosedResourceError):
    """Our side closed the connection before or during the call."""


class PoolClosedError(ConnectionClosedError):
    """The client was closed before or during the call."""


class PoolBusyError(SnowtrioError):
    """As many senders as ``max_waiting`` already wait for a connection, or for a place on one."""


class RequestError(SnowtrioError):
    """A request has no reply; ``__cause__`` says why.

    Parameters:
        message: what happened.
        outcomes: of a batch, the reply to each request or its own `RequestError`, in order.
    """

    def __init__(self, message: str, outcomes: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.outcomes = tuple(outcomes)


class RequestNotSentError(RequestError):
    """Nothing of the request left this process, and nothing will: it can be repeated."""


class RequestInDoubtError(RequestError):
    """The request, or a part of it, was handed to the kernel or still may be, and no reply came.

    The peer may have executed it. Every other error of a request means that it has not.
    """


class SlowConsumerError(SnowtrioError):
    """As many messages wait for their consumer as are kept, and more came."""


class ServiceNotStartedError(SnowtrioError):
    """A signal stopped the service before its servers had started.

    Raised by ``nursery.start(run_service, …)`` alone, which has no server to return.
    """


class SocketOptionError(SnowtrioError, OSError):
    """The system refuses a socket option; whoever gave it must act.

    Parameters:
        errno: what the system said.
        option: the option's name among `SocketOptions`, such as ``"keep_alive.idle"``.
        reason: what is wrong with it.
    """

    def __init__(self, errno: int, option: str, reason: str) -> None:
        super().__init__(errno, f"socket option {option}: {reason}")
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        return str(self.strerror)

    def __reduce__(self) -> tuple[type[SocketOptionError], tuple[int | str, ...]]:
        return type(self), (self.errno or 0, self.option, self.reason)


class UnsupportedOptionError(SocketOptionError):
    """This platform, or this kind of socket, does not have a socket option.

    ``SocketOptions(unsupported="ignore")`` does without it.

    Parameters:
        option: the option's name among `SocketOptions`.
        reason: what does not have it.
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(ENOPROTOOPT, option, reason)

    def __reduce__(self) -> tuple[type[SocketOptionError], tuple[int | str, ...]]:
        return type(self), (self.option, self.reason)


class ConnectError(SnowtrioError, OSError):
    """No connection could be made to any of the addresses.

    Has the ``errno`` of the decisive cause, the one that a person should look at first.

    Parameters:
        errno: of the decisive cause; 0 where it had none.
        message: what was tried and what came of it.
        causes: every failure, in the order of the attempts.
    """

    def __init__(self, errno: int, message: str, causes: Sequence[BaseException] = ()) -> None:
        super().__init__(errno, message)
        self.causes = tuple(causes)

    def __str__(self) -> str:
        return str(self.strerror)


class ConnectRefusedError(ConnectError, ConnectionRefusedError):
    """The host answered that nothing listens there."""


class HostUnreachableError(ConnectError):
    """There is no way to the host or its network."""


class ConnectTimeoutError(ConnectError, TimeoutError):
    """No answer within the time allowed."""
