"""From a request to an open WebSocket, and to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import trio
from multidict import CIMultiDict, CIMultiDictProxy

from ...http import Request
from .._close import Close, CloseCode
from .._socket import Conversation, WebSocket
from .._wire import Deflate, WebSocketCodec, WebSocketLimits
from ._opening import ChooseSubprotocol, accept_fields, agree, check_origin, check_request
from ._terms import MakeHeaders, Terms


@asynccontextmanager
async def accept_websocket(
    request: Request,
    *,
    subprotocols: ChooseSubprotocol = (),
    origins: Sequence[str | None] | None = None,
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    headers: MakeHeaders = (),
) -> AsyncGenerator[WebSocket, None]:
    """Answer a request with a WebSocket, within a handler of an HTTP server (row W35).

    ::

        async def handle(request: Request) -> Response | None:
            if request.path == "/ws":
                async with accept_websocket(request) as websocket:
                    async for message in websocket:
                        await websocket.send(message)
                return None
            return Response("hello")

    When the block is left the WebSocket is closed: with 1000, or with 1011 if the block raised.
    When the server drains it is closed with 1001. Nothing else is sent on the connection then: the
    handler returns None.

    Parameters:
        request: the handler's, unanswered.
        subprotocols: that we speak, the best first; one that was offered is chosen, if there is
            one. Or a function that is given the offered ones and returns one of them, or None.
        origins: pages that may open it, such as ``https://example.org``; None among them stands for
            clients that are no browsers. By default everybody may.
        compression: how messages are compressed if the client can; None, the default, is not.
        limits: the bounds.
        headers: further fields of the response; or a function that makes them of the request.

    Raises:
        HTTPError: it is no request for a WebSocket, or is not allowed; raised on, it is the right
            response.
        ValueError: a subprotocol or a header cannot be; nothing has been answered.
    """
    terms = Terms(
        subprotocols=subprotocols,
        origins=origins,
        compression=compression,
        limits=limits if limits is not None else WebSocketLimits(),
        headers=headers,
    )
    websocket, conversation = await accept(request, terms)
    try:
        yield websocket
    except BaseException as error:
        conversation.begin_close(last_word(error))
        raise
    await conversation.close(Close(CloseCode.NORMAL))


async def accept(
    request: Request, terms: Terms, context: object = None
) -> tuple[WebSocket, Conversation]:
    """Answer a request with a WebSocket; whoever called closes it.

    Parameters:
        request: the handler's, unanswered.
        terms: on which it is opened.
        context: the application's own, for the WebSocket.

    Raises:
        HTTPError: it is refused.
    """
    key = check_request(request)
    check_origin(request, terms.origins)
    agreed, fields = agree(request, terms.subprotocols, terms.compression)
    conversation = Conversation(terms.limits)
    codec = WebSocketCodec(conversation, terms.limits, agreed.deflate)
    response = CIMultiDict([*accept_fields(key), *fields, *terms.make_headers(request)])
    connection = await request.upgrade(
        "websocket", codec, list(response.items()), goodbye=conversation.goodbye
    )
    conversation.attach(connection)
    websocket = WebSocket(
        conversation,
        agreed,
        request.headers,
        CIMultiDictProxy(response),
        target=_origin_form(request),
        context=context,
    )
    return websocket, conversation


def last_word(error: BaseException) -> Close:
    """Return what the peer is told when a handler ends with an error."""
    if isinstance(error, trio.Cancelled):
        return Close(CloseCode.GOING_AWAY)
    return Close(CloseCode.INTERNAL_ERROR)


def _origin_form(request: Request) -> str:
    """Return path and query, also of a target that names its host."""
    if request.target.startswith("/"):
        return request.target
    return f"{request.raw_path}?{request.query_string}".removesuffix("?")
