"""The WebSocket that is open, on either side.

``_websocket`` is what users see. ``_conversation`` does what goes on beside the messages, with the
decisions of ``_pings``, ``_pong_lane`` and ``_heartbeat``; one ``_keeper`` for all looks at clocks.
"""

from ._conversation import Conversation, WebSocketConnection
from ._websocket import WebSocket, conversation_of

__all__ = ["Conversation", "WebSocket", "WebSocketConnection", "conversation_of"]
