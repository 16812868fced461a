"""Sockets, streams, TLS, listening and connecting: where bytes come from and go to.

``_base`` is the small interface; ``_socket`` and ``_stream`` stand behind it, and ``_tls`` over any
of them, with ``_plaintext`` and ``_ciphertext`` for its directions. ``_notifier`` watches sockets.
``_buffered`` puts a receive buffer and the reader helpers on top; ``_listeners`` and ``_connect``
bring new ones (``_happy_eyeballs`` those of TCP), and ``_listen`` opens the listeners. ``_proxied``
and ``_proxying`` are the two ends of the PROXY protocol.

``_options`` is what users say about sockets, ``_option_table`` what that is to a kernel, and
``_option_setting`` sets and reads; ``_lingering`` closes.
"""

from ._base import Address, Interrupted, PlainSocket, Transport
from ._buffered import RECEIVE_SIZE, BufferedStream, serve_tls
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
from ._option_setting import (
    apply_options,
    check_options,
    read_socket_options,
    set_socket_options,
)
from ._option_table import Kind, Stage
from ._options import KeepAlive, SocketOptions
from ._proxied import behind_proxy
from ._proxying import ProxyingEndpoint
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
    "KeepAlive",
    "Kind",
    "Listener",
    "PlainSocket",
    "ProxyingEndpoint",
    "SocketListener",
    "SocketOptions",
    "SocketTransport",
    "Stage",
    "StreamEndpoint",
    "StreamListener",
    "StreamTransport",
    "TCPEndpoint",
    "Transport",
    "UnixEndpoint",
    "apply_options",
    "as_listener",
    "as_transport",
    "behind_proxy",
    "check_options",
    "close_at_once",
    "listener_from_socket",
    "merge_connect_errors",
    "open_tcp_listeners",
    "open_unix_listener",
    "read_socket_options",
    "serve_tls",
    "set_socket_options",
    "timed_out",
]
