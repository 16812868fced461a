"""Networking for Trio: framed connections, bounded pools, handshakes, graceful drains."""

from ._buffer import ReceiveBuffer as ReceiveBuffer
from ._codec import Codec as Codec
from ._connection import Connection
from ._protocol import Protocol
from ._server import Server, ServerLimits, serve_listeners, serve_tcp, serve_unix
from .codecs import LineCodec
