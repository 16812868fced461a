"""The WebSocket that is open, on either side.

``_websocket`` is what users see; ``_sending`` and ``_receiving`` do messages part by part, and
``_callbacks`` runs other kinds of handlers. ``_conversation`` does what goes on beside the
messages, with the decisions of ``_pings``, ``_pong_lane`` and ``_heartbeat``; ``_closing``, below
it, is how all ends. One ``_keeper`` for all looks at clocks.
"""

from ._callbacks import (
    FunctionHandler,
    ThreadedHandler,
    WebSocketCallbacks,
    answer_by_awaiting,
    run_callbacks,
)
from ._closing import WebSocketConnection
from ._conversation import Conversation
from ._receiving import MessageReader
from ._sending import MessageWriter
from ._statistics import SocketStatistics
from ._websocket import WebSocket, connection_of, conversation_of

__all__ = [
    "Conversation",
    "FunctionHandler",
    "MessageReader",
    "MessageWriter",
    "SocketStatistics",
    "ThreadedHandler",
    "WebSocket",
    "WebSocketCallbacks",
    "WebSocketConnection",
    "answer_by_awaiting",
    "connection_of",
    "conversation_of",
    "run_callbacks",
]
