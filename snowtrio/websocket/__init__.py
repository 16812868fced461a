"""WebSockets (RFC 6455, RFC 7692): a strict server and client on snowtrio's foundations.

::

    from snowtrio.websocket import WebSocket, serve_websocket

    async def echo(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(message)

    trio.run(serve_websocket, echo, 8765)

Needs ``pip install snowtrio[websocket]``.
"""

from ._client import open_websocket
from ._close import Close, CloseCode
from ._errors import (
    AbnormalCloseError,
    WebSocketClosedError,
    WebSocketHandshakeError,
    WebSocketProtocolError,
    WebSocketTooLargeError,
)
from ._server import (
    ChooseSubprotocol,
    Handler,
    MakeHeaders,
    ProcessRequest,
    ServeOptions,
    WebSocketServer,
    WebSocketStatistics,
    accept_websocket,
    serve_websocket,
    serve_websocket_listeners,
    serve_websocket_unix,
)
from ._socket import WebSocket
from ._wire import Deflate, Message, Prepared, ToSend, WebSocketLimits

__all__ = [
    "AbnormalCloseError",
    "ChooseSubprotocol",
    "Close",
    "CloseCode",
    "Deflate",
    "Handler",
    "MakeHeaders",
    "Message",
    "Prepared",
    "ProcessRequest",
    "ServeOptions",
    "ToSend",
    "WebSocket",
    "WebSocketClosedError",
    "WebSocketHandshakeError",
    "WebSocketLimits",
    "WebSocketProtocolError",
    "WebSocketServer",
    "WebSocketStatistics",
    "WebSocketTooLargeError",
    "accept_websocket",
    "open_websocket",
    "serve_websocket",
    "serve_websocket_listeners",
    "serve_websocket_unix",
]

# What is exported here comes from here, as far as its users need to know.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith("snowtrio.websocket._"):
        globals()[_name].__module__ = __name__
