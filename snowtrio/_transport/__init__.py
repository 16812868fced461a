"""Sockets, streams, TLS, listening and connecting: where bytes come from and go to.

``_base`` is the small interface; ``_socket`` and ``_stream`` stand behind it, and ``_tls`` over any
of them, with ``_plaintext`` and ``_ciphertext`` for its directions. ``_notifier`` watches sockets.
``_buffered`` puts a receive buffer and the reader helpers on top; ``_listeners`` and ``_connect``
bring new ones, and ``_listen`` opens the listeners.
"""

from ._base import Address, Interrupted, Transport
from ._buffered import RECEIVE_SIZE, BufferedStream
from ._closing import close_at_once
from ._connect import Endpoint, StreamEndpoint, TCPEndpoint, UnixEndpoint
from ._connect_errors import merge_connect_errors, timed_out
from ._guard import BusyGuard
from ._listen import BACKLOG, open_tcp_listeners, open_unix_listener
from ._listeners import (
    EXHAUSTED,
    Listener,
    SocketListener,
    StreamListener,
    as_listener,
    listener_from_socket,
)
from ._socket import SocketTransport
from ._stream import StreamTransport, as_transport

__all__ = [
    "BACKLOG",
    "EXHAUSTED",
    "RECEIVE_SIZE",
    "Address",
    "BufferedStream",
    "BusyGuard",
    "Endpoint",
    "Interrupted",
    "Listener",
    "SocketListener",
    "SocketTransport",
    "StreamEndpoint",
    "StreamListener",
    "StreamTransport",
    "TCPEndpoint",
    "Transport",
    "UnixEndpoint",
    "as_listener",
    "as_transport",
    "close_at_once",
    "listener_from_socket",
    "merge_connect_errors",
    "open_tcp_listeners",
    "open_unix_listener",
    "timed_out",
]
