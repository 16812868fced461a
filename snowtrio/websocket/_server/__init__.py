"""Serving WebSockets.

``_serve`` has the verbs and ``_websocket_server`` what they run; ``_handlers`` makes one kind of
handler of the three that there are. ``_accepting`` makes a WebSocket of a request, within any HTTP
server, on the ``_terms`` that it was given and by the rules of ``_opening``.
"""

from ._accepting import accept, accept_websocket
from ._handlers import WebSocketHandler
from ._opening import ChooseSubprotocol, check_request
from ._serve import ServeOptions, serve_websocket, serve_websocket_listeners, serve_websocket_unix
from ._statistics import WebSocketStatistics
from ._terms import MakeHeaders, Terms
from ._websocket_server import ProcessRequest, WebSocketServer

__all__ = [
    "ChooseSubprotocol",
    "MakeHeaders",
    "ProcessRequest",
    "ServeOptions",
    "Terms",
    "WebSocketHandler",
    "WebSocketServer",
    "WebSocketStatistics",
    "accept",
    "accept_websocket",
    "check_request",
    "serve_websocket",
    "serve_websocket_listeners",
    "serve_websocket_unix",
]
