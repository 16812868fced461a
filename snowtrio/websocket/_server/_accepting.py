"""From a request to an open WebSocket, and to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import trio
from multidict import CIMultiDict, CIMultiDictProxy

from ...http import HeadersToSend, Request
from .._close import Close
from .._socket import Conversation, WebSocket
from .._wire import Deflate, WebSocketCodec, WebSocketLimits
from ._opening import ChooseSubprotocol, accept_fields, agree, check_origin, check_request


@asynccontextmanager
async def accept_websocket(
    request: Request,
    *,
    subprotocols: ChooseSubprotocol = (),
    origins: Sequence[str | None] | None = None,
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    headers: HeadersToSend = (),
) -> AsyncGenerator[WebSocket, None]:
    """Answer a request with a WebSocket, within a handler of an HTTP server (row W35).

    ::

        async def handle(request: Request) -> Response | None:
            if request.path == "/ws":
                async with accept_websocket(request) as websocket:
                    async for message in websocket:
                        await websocket.send(message)
                return None
            return Response.text("hello")

    When the block is left the WebSocket is closed: with 1000, or with 1011 if the block raised.
    When the server drains it is closed with 1001.

    Parameters:
        request: the handler's, unanswered.
        subprotocols: that we speak; one that was offered is chosen, if there is one.
        origins: pages that may open it, such as ``https://example.org``; None among them stands for
            clients that are no browsers. By default everybody may.
        compression: how messages are compressed if the client can; None, the default, is not.
        limits: the bounds.
        headers: further fields of the response.

    Raises:
        HTTPError: it is no request for a WebSocket, or is not allowed; raised on, it is the right
            response.
    """
    key = check_request(request)
    check_origin(request, origins)
    agreed, fields = agree(request, subprotocols, compression)
    bounds = limits if limits is not None else WebSocketLimits()
    conversation = Conversation(bounds)
    codec = WebSocketCodec(conversation, bounds, agreed.deflate)
    own = headers.items() if isinstance(headers, Mapping) else headers
    response = CIMultiDict([*accept_fields(key), *fields, *own])
    connection = await request.upgrade(
        "websocket", codec, list(response.items()), goodbye=conversation.goodbye
    )
    conversation.attach(connection)
    websocket = WebSocket(conversation, agreed, request.headers, CIMultiDictProxy(response))
    try:
        yield websocket
    except trio.Cancelled:
        conversation.begin_close(Close(1001))
        raise
    except BaseException:
        conversation.begin_close(Close(1011))
        raise
    await conversation.close(Close(1000))
