"""What a client is told that finds no place."""

from __future__ import annotations

from typing import Literal, TypeAlias

from .._wire import HeadLimits, ResponseHead, ServerCoder
from ._response import Response

WhenFull: TypeAlias = Literal["close", "wait"] | bytes | Response | None
"""What a client gets when all places are taken: closed, left waiting in the backlog, or told."""


def farewell(when_full: WhenFull, limits: HeadLimits) -> Literal["close", "wait"] | bytes:
    """Return what the core is to do, with a response as bytes.

    Parameters:
        when_full: as above; None is a plain 503.
        limits: of the heads.

    Raises:
        TypeError: the response has a body that is made while it is sent.
    """
    if when_full is None:
        when_full = Response("all places are taken\n", 503, {"Retry-After": "1"})
    if not isinstance(when_full, Response):
        return when_full
    if not isinstance(when_full.body, bytes):
        raise TypeError("a response for when it is full has its body as bytes or text")
    return ServerCoder(limits).encode(
        ResponseHead(
            status=when_full.status,
            fields=when_full.fields,
            body=when_full.body,
            keep_alive=False,
        )
    )
