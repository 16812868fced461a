"""WebSockets (RFC 6455, RFC 7692): a strict server and client on snowtrio's foundations.

::

    from snowtrio.websocket import WebSocket, serve_websocket

    async def echo(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(message)

    trio.run(serve_websocket, echo, 8765)

Needs ``pip install snowtrio[websocket]``.
"""

from ._client import (
    OpenOptions,
    Reconnect,
    Reconnecting,
    is_temporary,
    open_reconnecting,
    open_websocket,
)
from ._close import Close, CloseCode
from ._errors import (
    AbnormalCloseError,
    WebSocketClosedError,
    WebSocketHandshakeError,
    WebSocketProtocolError,
    WebSocketTooLargeError,
)
from ._hub import Hub, HubStatistics, Membership
from ._server import (
    ChooseSubprotocol,
    MakeHeaders,
    ProcessRequest,
    ServeOptions,
    WebSocketHandler,
    WebSocketServer,
    WebSocketStatistics,
    accept_websocket,
    serve_websocket,
    serve_websocket_listeners,
    serve_websocket_unix,
)
from ._socket import MessageReader, MessageWriter, SocketStatistics, WebSocket, WebSocketCallbacks
from ._wire import Deflate, Message, Prepared, ToSend, WebSocketLimits

__all__ = [
    "AbnormalCloseError",
    "ChooseSubprotocol",
    "Close",
    "CloseCode",
    "Deflate",
    "Hub",
    "HubStatistics",
    "MakeHeaders",
    "Membership",
    "Message",
    "MessageReader",
    "MessageWriter",
    "OpenOptions",
    "Prepared",
    "ProcessRequest",
    "Reconnect",
    "Reconnecting",
    "ServeOptions",
    "SocketStatistics",
    "ToSend",
    "WebSocket",
    "WebSocketCallbacks",
    "WebSocketClosedError",
    "WebSocketHandler",
    "WebSocketHandshakeError",
    "WebSocketLimits",
    "WebSocketProtocolError",
    "WebSocketServer",
    "WebSocketStatistics",
    "WebSocketTooLargeError",
    "accept_websocket",
    "is_temporary",
    "open_reconnecting",
    "open_websocket",
    "serve_websocket",
    "serve_websocket_listeners",
    "serve_websocket_unix",
]

# What is exported here comes from here, as far as its users need to know.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith("snowtrio.websocket._"):
        globals()[_name].__module__ = __name__
