"""What becomes of a request that could not be answered as it was meant to be."""

from __future__ import annotations

import logging
import math
from typing import cast

import trio

from ..._errors import LocalProtocolError, RemoteProtocolError
from ..._protocol import is_departure
from .._errors import BadMessageError, BodyTimeoutError, BodyTooLargeError, HTTPError
from .._json import write_json
from .._wire import RequestHead
from ._exchange import Exchange
from ._request import Request
from ._response import Response

logger = logging.getLogger("snowtrio.http")


async def refuse(exchange: Exchange, error: RemoteProtocolError | HTTPError) -> None:
    """Answer what was no request, as the last thing on the connection."""
    told = _as_told(error)
    exchange.service.tally.refuse(told.status)
    exchange.head = RequestHead(method="GET", target="/", keep_alive=False)
    exchange.responding, exchange.body_ended = False, True
    await exchange.respond(error_response(told))


async def answer_failure(exchange: Exchange, request: Request, failure: Exception) -> bool:
    """Answer a request whose handler raised; say whether another one may follow.

    Raises:
        Exception: the failure itself, where the connection's own end is what it tells of, or where
            failures propagate.
    """
    if exchange.upgraded:
        raise failure  # What the other protocol's errors mean is the core's to say.
    error = only_one(failure)
    ours = error is exchange.failure
    if ours or isinstance(error, (BodyTooLargeError, BodyTimeoutError)):
        told, level = _as_told(error), logging.DEBUG  # Strangers cause these at will.
        exchange.service.tally.refuse(told.status)
        exchange.ending = exchange.ending or ours
    elif isinstance(error, HTTPError):
        told, level = error, logging.DEBUG if not exchange.responding else logging.ERROR
    elif tells_of_own_end(error):
        raise failure
    else:
        told, level = HTTPError(500), logging.ERROR
    if level == logging.ERROR:
        note_failure(request, failure)
    goes_on = await _tell(exchange, request, told)
    if told is not error and not ours and exchange.service.propagate_errors:
        raise failure
    return goes_on


def tells_of_own_end(error: BaseException) -> bool:
    """Whether what a handler has raised says that its own connection has ended, not another one.

    Called where it was raised: the handler's scope is cancelled for that.
    """
    return is_departure(error) and trio.current_effective_deadline() == -math.inf


def note_failure(request: Request, failure: Exception) -> None:
    """Log what a handler raised."""
    logger.error(
        "a handler failed: %s %s (%s)", request.method, request.target, request.id, exc_info=failure
    )


async def _tell(exchange: Exchange, request: Request, error: HTTPError) -> bool:
    """Answer with an error if no response has begun; otherwise the client has to see a cut."""
    if not exchange.responding:
        try:
            await exchange.respond(error_response(error))
        except (LocalProtocolError, ValueError) as mistake:  # in its fields, or its words
            note_failure(request, mistake)
            await exchange.respond(error_response(HTTPError(500)))
    elif exchange.body_open:
        await exchange.cut()
        return False
    return await exchange.finish()


def _as_told(error: BaseException) -> HTTPError:
    if isinstance(error, HTTPError):
        return error
    if isinstance(error, BadMessageError):
        return HTTPError(error.status, error.reason)
    return HTTPError(400, "the input ended inside the request")


def only_one(error: BaseException) -> BaseException:
    """Return the error that a group consists of, as that of a handler's nursery often does."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return only_one(inner[0]) if len(inner) == 1 else cast("BaseException", error)
    return error


def error_response(error: HTTPError) -> Response:
    """Return the response that tells a client of an error (RFC 9457)."""
    problem: dict[str, object] = {"status": error.status, "title": error.title}
    if error.detail:
        problem["detail"] = error.detail
    return Response(
        write_json(problem), error.status, error.headers, content_type="application/problem+json"
    )
