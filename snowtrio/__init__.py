"""Networking for Trio: framed connections, bounded pools, handshakes, graceful drains.

Codecs are in `snowtrio.codecs`, what tests need in `snowtrio.testing`, and the way to and from
anyio in `snowtrio.interop`.
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
    SendTooLargeError,
    SkippedMessageError,
    SnowtrioError,
    StalledError,
    TruncatedError,
)
from ._protocol import Protocol
from ._server import (
    Server,
    ServerLimits,
    ServerStatistics,
    serve_listeners,
    serve_tcp,
    serve_unix,
)
from ._side import Side
from ._supervisor import (
    Drained,
    DrainReport,
    DrainTimeouts,
    Phase,
    PoolLimits,
    PoolStatistics,
    Refusal,
)
from ._transport import (
    BufferedStream,
    Endpoint,
    Listener,
    StreamEndpoint,
    TCPEndpoint,
    Transport,
    UnixEndpoint,
    open_tcp_listeners,
    open_unix_listener,
)
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
    "DelimiterCodec",
    "DrainReport",
    "DrainTimeouts",
    "Drained",
    "Ending",
    "Endpoint",
    "FixedSizeCodec",
    "HandshakeError",
    "HandshakeTimeoutError",
    "HostUnreachableError",
    "IncompleteFrameError",
    "JSONLinesCodec",
    "LengthPrefixCodec",
    "LineCodec",
    "Listener",
    "LocalProtocolError",
    "MessageTooLargeError",
    "NetstringCodec",
    "Phase",
    "PoolBusyError",
    "PoolClosedError",
    "PoolLimits",
    "PoolStatistics",
    "Protocol",
    "RawCodec",
    "ReceiveBuffer",
    "ReceiveTooLargeError",
    "Received",
    "Refusal",
    "RemoteProtocolError",
    "SendTooLargeError",
    "Server",
    "ServerLimits",
    "ServerStatistics",
    "Side",
    "SkippedMessageError",
    "SnowtrioError",
    "StalledError",
    "StreamEndpoint",
    "TCPEndpoint",
    "Transport",
    "TruncatedError",
    "UnixEndpoint",
    "WhenSlow",
    "broadcast",
    "open_connection",
    "open_tcp_connection",
    "open_tcp_listeners",
    "open_unix_connection",
    "open_unix_listener",
    "serve_listeners",
    "serve_tcp",
    "serve_unix",
]

# The private files are where things are written; this is where they are found. The codecs have been
# given theirs by `snowtrio.codecs`.
for _name in __all__:
    if globals()[_name].__module__.startswith("snowtrio._"):
        globals()[_name].__module__ = __name__
