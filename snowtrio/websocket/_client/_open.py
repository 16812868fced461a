"""The verb: open a WebSocket."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import trio
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..._transport import Endpoint
from ...http import ClientResponse, HeadersToSend, HTTPClient
from .._close import Close
from .._socket import Conversation, WebSocket
from .._wire import Agreed, Deflate, WebSocketCodec, WebSocketLimits, make_key
from ._opening import check_response, request_fields


@asynccontextmanager
async def open_websocket(
    url: str | URL,
    *,
    subprotocols: Sequence[str] = (),
    headers: HeadersToSend = (),
    origin: str | None = None,
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    timeout: float = 10.0,
    ssl_context: ssl.SSLContext | None = None,
    endpoint: Endpoint | None = None,
) -> AsyncGenerator[WebSocket, None]:
    """Open a WebSocket, and close it when the block is left."""
    key = make_key()
    bounds = limits if limits is not None else WebSocketLimits()
    conversation = Conversation(bounds)
    agreed = Agreed()
    answer: ClientResponse | None = None

    def make_codec(response: ClientResponse) -> WebSocketCodec:
        nonlocal agreed, answer
        agreed = check_response(response, key, subprotocols, compression)
        answer = response
        return WebSocketCodec(conversation, bounds, agreed.deflate)

    own = headers.items() if isinstance(headers, Mapping) else headers
    fields = CIMultiDict([*request_fields(key, subprotocols, compression), *own])
    if origin is not None:
        fields["Origin"] = origin
    async with (
        HTTPClient(ssl_context=ssl_context, endpoint=endpoint) as client,
        client.upgrade(
            as_http(url), "websocket", make_codec, headers=list(fields.items()), timeout=timeout
        ) as connection,
    ):
        conversation.attach(connection)
        assert answer is not None
        websocket = WebSocket(conversation, agreed, CIMultiDictProxy(fields), answer.headers)
        try:
            yield websocket
        except trio.Cancelled:
            conversation.begin_close(Close(1001))
            raise
        except BaseException:
            conversation.begin_close(Close(1011))
            raise
        await conversation.close(Close(1000))


def as_http(url: str | URL) -> URL:
    """Return where the request goes that opens a WebSocket.

    Raises:
        ValueError: the scheme is neither ws nor wss.
    """
    parsed = URL(url)
    schemes = {"ws": "http", "wss": "https"}
    if parsed.scheme not in schemes:
        raise ValueError(f"the URL of a WebSocket begins with ws: or wss:, not {parsed.scheme!r}")
    return parsed.with_scheme(schemes[parsed.scheme])
