"""One request, without a client to keep."""

from __future__ import annotations

import ssl
from typing import Any

import trio
from yarl import URL

from ..._transport import SocketOptions
from .._headers import HeadersToSend
from ._bodies import NOTHING, BodyToSend
from ._client import HTTPClient
from ._limits import HTTPClientLimits, Timeouts
from ._proxies import ProxyChoice
from ._redirects import DEFAULT_MAX_REDIRECTS
from ._response import ClientResponse
from ._sinks import Sink
from ._ways import Where


async def fetch(
    url: str | URL,
    *,
    method: str | None = None,
    headers: HeadersToSend = (),
    body: BodyToSend | None = None,
    json: Any = NOTHING,
    timeout: float | Timeouts | None = None,
    max_body_size: int | None = None,
    max_redirects: int = DEFAULT_MAX_REDIRECTS,
    sink: Sink | trio.abc.SendStream | None = None,
    ssl_context: ssl.SSLContext | None = None,
    endpoint: Where | None = None,
    proxy: str | URL | ProxyChoice | None = None,
    options: SocketOptions | None = None,
) -> ClientResponse:
    """Return the response to one request, on a connection of its own.

    ::

        response = await fetch("https://example.org/books", json={"title": "Emma"})

    For more than one, an `HTTPClient` keeps its connections.

    Parameters:
        url: as for `HTTPClient.fetch`, like all that follow but the last four.
        method: in any case; by default GET, or POST where there is a body.
        headers: fields of the request.
        body: what to send.
        json: a value whose JSON is sent.
        timeout: the total in seconds, or `Timeouts`.
        max_body_size: bytes of the response's body.
        max_redirects: followed at most.
        sink: where the body goes.
        ssl_context: as for `HTTPClient`.
        endpoint: as for `HTTPClient`.
        proxy: as for `HTTPClient`.
        options: as for `HTTPClient`.

    Raises as `HTTPClient.fetch`.
    """
    limits = HTTPClientLimits(max_idle=0)
    async with HTTPClient(
        limits=limits, ssl_context=ssl_context, endpoint=endpoint, proxy=proxy, options=options
    ) as client:
        return await client.fetch(
            url,
            method=method,
            headers=headers,
            body=body,
            json=json,
            timeout=timeout,
            sink=sink,
            max_body_size=max_body_size,
            max_redirects=max_redirects,
        )
