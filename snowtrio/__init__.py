"""Networking for Trio: framed connections, bounded pools, handshakes, graceful drains.

Codecs are in `snowtrio.codecs`, what tests need in `snowtrio.testing`, the way to and from anyio in
`snowtrio.interop`, requests from threads in `snowtrio.blocking`, and what makes a program a service
of systemd in `snowtrio.systemd`.
"""

from __future__ import annotations

from ._broadcast import BroadcastReport, WhenSlow, broadcast
from ._buffer import ReceiveBuffer
from ._client import (
    Client,
    ClientLimits,
    ClientStatistics,
    Received,
    open_connection,
    open_tcp_connection,
    open_unix_connection,
)
from ._codec import Codec
from ._connection import Cause, Connection, ConnectionLimits, ConnectionStatistics, Ending
from ._errors import (
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HandshakeError,
    HandshakeTimeoutError,
    HostUnreachableError,
    IncompleteFrameError,
    LocalProtocolError,
    MessageTooLargeError,
    PoolBusyError,
    PoolClosedError,
    ReceiveTooLargeError,
    RemoteProtocolError,
    RequestError,
    RequestInDoubtError,
    RequestNotSentError,
    SendTooLargeError,
    ServiceNotStartedError,
    SkippedMessageError,
    SlowConsumerError,
    SnowtrioError,
    StalledError,
    TruncatedError,
)
from ._protocol import Protocol
from ._replies import RequestHandler
from ._requests import (
    ById,
    Correlation,
    InOrder,
    LatencyHistogram,
    Outstanding,
    Pushes,
    Replies,
    RequestClient,
    RequestLimits,
    RequestStatistics,
    Session,
    WhenCancelled,
)
from ._selection import Load
from ._server import (
    Server,
    ServerLimits,
    ServerStatistics,
    serve_listeners,
    serve_tcp,
    serve_unix,
)
from ._service import ServiceReport, SignalReceiver, run_service
from ._side import Side
from ._subscriber import Gap, Subscriber, SubscriberLimits, SubscriberStatistics
from ._supervisor import (
    Drained,
    DrainReport,
    DrainTimeouts,
    Phase,
    PoolLimits,
    PoolStatistics,
    Refusal,
)
from ._threads import ThreadedFunction, Threads, ThreadsStatistics
from ._transport import (
    BufferedStream,
    Endpoint,
    Listener,
    StreamEndpoint,
    TCPEndpoint,
    Transport,
    UnixEndpoint,
    listener_from_socket,
    open_tcp_listeners,
    open_unix_listener,
)
from ._wakeup import WakeUp, WakeUpPoster
from .codecs import (
    DelimiterCodec,
    FixedSizeCodec,
    JSONLinesCodec,
    LengthPrefixCodec,
    LineCodec,
    NetstringCodec,
    RawCodec,
)

__version__ = "0.1.0"

__all__ = [
    "BroadcastReport",
    "BufferedStream",
    "ById",
    "Cause",
    "Client",
    "ClientLimits",
    "ClientStatistics",
    "Codec",
    "ConnectError",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "Connection",
    "ConnectionClosedError",
    "ConnectionLimits",
    "ConnectionLostError",
    "ConnectionStatistics",
    "Correlation",
    "DelimiterCodec",
    "DrainReport",
    "DrainTimeouts",
    "Drained",
    "Ending",
    "Endpoint",
    "FixedSizeCodec",
    "Gap",
    "HandshakeError",
    "HandshakeTimeoutError",
    "HostUnreachableError",
    "InOrder",
    "IncompleteFrameError",
    "JSONLinesCodec",
    "LatencyHistogram",
    "LengthPrefixCodec",
    "LineCodec",
    "Listener",
    "Load",
    "LocalProtocolError",
    "MessageTooLargeError",
    "NetstringCodec",
    "Outstanding",
    "Phase",
    "PoolBusyError",
    "PoolClosedError",
    "PoolLimits",
    "PoolStatistics",
    "Protocol",
    "Pushes",
    "RawCodec",
    "ReceiveBuffer",
    "ReceiveTooLargeError",
    "Received",
    "Refusal",
    "RemoteProtocolError",
    "Replies",
    "RequestClient",
    "RequestError",
    "RequestHandler",
    "RequestInDoubtError",
    "RequestLimits",
    "RequestNotSentError",
    "RequestStatistics",
    "SendTooLargeError",
    "Server",
    "ServerLimits",
    "ServerStatistics",
    "ServiceNotStartedError",
    "ServiceReport",
    "Session",
    "Side",
    "SignalReceiver",
    "SkippedMessageError",
    "SlowConsumerError",
    "SnowtrioError",
    "StalledError",
    "StreamEndpoint",
    "Subscriber",
    "SubscriberLimits",
    "SubscriberStatistics",
    "TCPEndpoint",
    "ThreadedFunction",
    "Threads",
    "ThreadsStatistics",
    "Transport",
    "TruncatedError",
    "UnixEndpoint",
    "WakeUp",
    "WakeUpPoster",
    "WhenCancelled",
    "WhenSlow",
    "broadcast",
    "listener_from_socket",
    "open_connection",
    "open_tcp_connection",
    "open_tcp_listeners",
    "open_unix_connection",
    "open_unix_listener",
    "run_service",
    "serve_listeners",
    "serve_tcp",
    "serve_unix",
]

# The private files are where things are written; this is where they are found. The codecs have been
# given theirs by `snowtrio.codecs`.
for _name in __all__:
    if globals()[_name].__module__.startswith("snowtrio._"):
        globals()[_name].__module__ = __name__
