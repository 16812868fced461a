"""One line for each request that was answered, where anybody wants to read it."""

from __future__ import annotations

import logging

import trio

from ._exchange import Exchange
from ._request import Request

logger = logging.getLogger("snowtrio.http.access")


def note_answered(exchange: Exchange, request: Request, began: float) -> None:
    """Log what was answered: who asked for what, the status, bytes, seconds, the request's id.

    Parameters:
        exchange: where it was.
        request: what was asked.
        began: when, in Trio's time.
    """
    logger.info(
        '%s "%s %s HTTP/%s" %d %d %.3f %s',
        name_of(exchange.connection.peer_address),
        request.method,
        request.target,
        request.http_version,
        exchange.status,
        exchange.sent,
        trio.current_time() - began,
        request.id,
    )


def name_of(address: object) -> object:
    """Return what stands for a peer in a line: its host, ``-`` where it has none."""
    if isinstance(address, tuple) and address:
        return address[0]  # pyright: ignore[reportUnknownVariableType]
    return "-"
