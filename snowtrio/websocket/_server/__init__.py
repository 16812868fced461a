"""Serving WebSockets.

``_serve`` has the verbs; ``_accepting`` makes a WebSocket of a request, within any HTTP server, by
the rules of ``_opening``.
"""

from ._accepting import accept_websocket
from ._opening import ChooseSubprotocol
from ._serve import Handler, serve_websocket

__all__ = ["ChooseSubprotocol", "Handler", "accept_websocket", "serve_websocket"]
