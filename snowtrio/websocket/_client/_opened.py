"""A WebSocket on a client of HTTP, from the handshake to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from multidict import CIMultiDict, CIMultiDictProxy

from ...http import ClientResponse, HTTPClient
from .._close import Close, CloseCode
from .._socket import Conversation, WebSocket
from .._wire import Agreed, WebSocketCodec, make_key
from ._asked import Asked
from ._opening import check_response

# Whoever leaves with an error waits so long for the peer's answer to the close: without one, what
# the peer has sent meanwhile would turn the end of the connection into a reset, and the peer might
# never read why.
_PATIENCE = 1.0


@asynccontextmanager
async def open_on(
    client: HTTPClient, asked: Asked
) -> AsyncGenerator[tuple[WebSocket, Conversation], None]:
    """Open a WebSocket, and close it when the block is left.

    Parameters:
        client: is asked for the connection.
        asked: what is wanted.
    """
    key = make_key()
    fields = asked.make_fields(key)
    conversation = Conversation(asked.limits)
    agreed, answer = Agreed(), None

    def make_codec(response: ClientResponse) -> WebSocketCodec:
        nonlocal agreed, answer
        agreed, answer = check_response(response, key, asked), response
        return WebSocketCodec(conversation, asked.limits, agreed.deflate)

    async with client.upgrade(
        asked.url,
        "websocket",
        make_codec,
        headers=fields,
        timeout=asked.timeouts,
        max_redirects=asked.max_redirects,
        farewell=lambda: conversation.begin_close(Close(CloseCode.GOING_AWAY)),
    ) as connection:
        assert answer is not None
        conversation.attach(connection)
        websocket = WebSocket(
            conversation,
            agreed,
            CIMultiDictProxy(CIMultiDict(fields)),
            answer.headers,
            target=answer.url.raw_path_qs,
        )
        try:
            yield websocket, conversation
        except BaseException as error:
            await _leave(conversation, error)
            raise
        await conversation.close(Close(CloseCode.NORMAL))


async def _leave(conversation: Conversation, error: BaseException) -> None:
    """Close because of an error; the connection is cut after that."""
    if isinstance(error, Exception):
        with trio.move_on_after(_PATIENCE):
            await conversation.close(Close(CloseCode.INTERNAL_ERROR))
    else:
        conversation.begin_close(Close(CloseCode.GOING_AWAY))
