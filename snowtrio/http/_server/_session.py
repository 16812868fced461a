"""One connection: its requests are taken, answered, and brought to their end, in order."""

from __future__ import annotations

import inspect
import logging

import trio

from ..._errors import RemoteProtocolError
from .._errors import HTTPError
from .._wire import RequestHead
from ._access_log import logger as access_logger
from ._access_log import note_answered
from ._exchange import Exchange
from ._failures import answer_failure, refuse
from ._request import Request
from ._response import Response


async def serve_requests(exchange: Exchange) -> None:
    """Answer the requests of a connection until it ends."""
    connection = exchange.connection
    while True:
        try:
            head = await connection.receive() if exchange.early is None else exchange.take_early()
        except trio.EndOfChannel:
            if exchange.expired:
                await refuse(exchange, HTTPError(408, "the request came too slowly"))
            return
        except RemoteProtocolError as error:
            await refuse(exchange, error)
            return
        assert isinstance(head, RequestHead)
        exchange.begin(head)
        request = Request(exchange, head)
        if access_logger.isEnabledFor(logging.INFO):
            goes_on = await _answer_and_log(exchange, request)
        else:
            goes_on = await _answer(exchange, request)
        exchange.head = None
        if not goes_on:
            return


async def _answer_and_log(exchange: Exchange, request: Request) -> bool:
    began = trio.current_time()
    try:
        return await _answer(exchange, request)
    finally:
        if exchange.responding:
            note_answered(exchange, request, began)


async def _answer(exchange: Exchange, request: Request) -> bool:
    """Answer one request; say whether another one may follow."""
    service = exchange.service
    try:
        response: object
        if not service.reads_first:
            response = await service.coroutine_handler(request)
        else:
            if request.content != b"":
                await request.body()
            response = service.handler(request)
            if not isinstance(response, Response) and inspect.isawaitable(response):
                response = await response
        if isinstance(response, Response):
            if not exchange.respond_nowait(response):
                await exchange.respond(response)
        elif response is not None or not exchange.responding:
            raise TypeError(f"a handler has to return a Response, not {response!r}")
        return exchange.settled or await exchange.finish()
    except Exception as error:
        return await answer_failure(exchange, request, error)
