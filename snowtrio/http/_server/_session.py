"""One connection: its requests are taken, answered, and brought to their end, in order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from ..._errors import ConnectionLostError
from .._errors import BadMessageError, HTTPError
from .._headers import HeadersToSend
from .._json import write_json
from .._wire import RequestHead
from ._exchange import Exchange
from ._request import Request
from ._response import Response

Handler: TypeAlias = Callable[[Request], "Awaitable[Response | None] | Response | None"]

logger = logging.getLogger("snowtrio.http")


async def serve_requests(exchange: Exchange, handler: Handler) -> None:
    """Answer the requests of a connection until it ends."""
    connection = exchange.connection
    while True:
        try:
            head = exchange.take_early() or await connection.receive()
        except trio.EndOfChannel:
            if exchange.expired:
                await _refuse(exchange, HTTPError(408, "the request came too slowly"))
            return
        except BadMessageError as error:
            await _refuse(exchange, HTTPError(error.status, error.reason))
            return
        assert isinstance(head, RequestHead)
        exchange.begin(head)
        if not await _answer(exchange, head, handler):
            return


async def _answer(exchange: Exchange, head: RequestHead, handler: Handler) -> bool:
    """Answer one request; say whether another one may follow."""
    request = Request(exchange, head)
    try:
        made = handler(request)
        response = made if isinstance(made, Response) or made is None else await made
        if response is not None:
            await exchange.respond(response)
        elif not exchange.responding:
            raise TypeError(f"a handler returned no Response to {request!r}")
        return await exchange.finish()
    except HTTPError as error:
        return await _fail(exchange, error)
    except BadMessageError as error:
        exchange.ending = True
        return await _fail(exchange, HTTPError(error.status, error.reason))
    except ConnectionLostError:
        raise
    except Exception:
        logger.exception("a handler failed: %s %s", head.method, head.target)
        return await _fail(exchange, HTTPError(500))


async def _fail(exchange: Exchange, error: HTTPError) -> bool:
    """Answer with an error if no response has begun; otherwise the client has to see a cut."""
    if exchange.upgraded:
        return False
    if exchange.responding:
        exchange.connection.drop()
        return False
    await exchange.respond(error_response(error))
    try:
        return await exchange.finish()
    except (HTTPError, ConnectionLostError):
        return False


async def _refuse(exchange: Exchange, error: HTTPError) -> None:
    """Answer what was no request, as the last thing on the connection."""
    exchange.begin(RequestHead(method="GET", target="/", keep_alive=False))
    await exchange.respond(error_response(error))


def error_response(error: HTTPError) -> Response:
    """Return the response that tells a client of an error (RFC 9457)."""
    problem: dict[str, object] = {"status": error.status, "title": error.title}
    if error.detail:
        problem["detail"] = error.detail
    headers: HeadersToSend = error.headers
    return Response(
        write_json(problem),
        error.status,
        headers,
        content_type="application/problem+json",
    )
