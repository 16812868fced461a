"""The opening handshake, from the server's side: what a request asks for, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...http import HTTPError, Request
from .._wire import (
    VERSION,
    Agreed,
    Deflate,
    accept_offer,
    accept_value,
    has_token,
    is_key,
    split_list,
)

ChooseSubprotocol: TypeAlias = Sequence[str] | Callable[[Sequence[str]], str | None]
"""Subprotocols that we speak, the best first; or a function that is given those that are offered,
and returns one of them, or None."""


def check_request(request: Request) -> str:
    """Return the key of a request that asks for a WebSocket (RFC 6455, section 4.2.1).

    Raises:
        HTTPError: it does not ask for one, 426 or 405; or not as it should, 400; or for a version
            that is not known here, 426.
    """
    headers = request.headers
    if "upgrade" not in headers and "sec-websocket-key" not in headers:
        _refuse_http(request)
    if request.method != "GET":
        raise HTTPError(400, "a WebSocket begins with GET")
    if request.http_version != "1.1":
        raise HTTPError(400, "a WebSocket begins with HTTP/1.1")
    if not has_token(headers.getall("upgrade", []), "websocket"):
        raise HTTPError(400, "the Upgrade field does not say websocket")
    if not has_token(headers.getall("connection", []), "upgrade"):
        raise HTTPError(400, "the Connection field does not say upgrade")
    if request.upgrade_offered is None:
        raise HTTPError(400, "a request for a WebSocket has no body")
    _check_version(headers.getall("sec-websocket-version", []))
    keys = headers.getall("sec-websocket-key", [])
    if len(keys) != 1 or not is_key(keys[0]):
        raise HTTPError(400, "Sec-WebSocket-Key has to be there once, the base64 of 16 bytes")
    return keys[0]


def _refuse_http(request: Request) -> None:
    """Tell a client that speaks nothing but HTTP what is spoken here."""
    if request.method not in ("GET", "HEAD"):
        raise HTTPError(405, "this is a WebSocket, which begins with GET", headers={"Allow": "GET"})
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    raise HTTPError(426, "this is a WebSocket", headers=upgrade)


def _check_version(versions: Sequence[str]) -> None:
    if len(versions) > 1:
        raise HTTPError(400, "there are two Sec-WebSocket-Version fields")
    if list(versions) != [VERSION]:
        known = {"Sec-WebSocket-Version": VERSION, "Upgrade": "websocket", "Connection": "Upgrade"}
        raise HTTPError(426, f"only version {VERSION} is known here", headers=known)


def check_origin(request: Request, origins: Sequence[str | None] | None) -> None:
    """Check where the page comes from that asks (RFC 6455, section 10.2).

    Parameters:
        request: with its ``Origin``, which browsers always send.
        origins: that may ask; None among them stands for no ``Origin``. None at all is everybody.

    Raises:
        HTTPError: 403.
    """
    if origins is None:
        return
    found = request.headers.getall("origin", [])
    if len(found) > 1 or (found[0].lower() if found else None) not in {
        None if each is None else each.lower() for each in origins
    }:
        raise HTTPError(403, "this origin may not open a WebSocket here")


def agree(
    request: Request, subprotocols: ChooseSubprotocol, compression: Deflate | None
) -> tuple[Agreed, list[tuple[str, str]]]:
    """Return what both sides can do, and the fields that say so.

    Raises:
        ValueError: a function has chosen a subprotocol that was not offered.
    """
    offered = split_list(request.headers.getall("sec-websocket-protocol", []))
    if callable(subprotocols):
        chosen = subprotocols(offered)
        if chosen is not None and chosen not in offered:
            raise ValueError(f"the subprotocol {chosen!r} was not offered")
    else:
        chosen = next((each for each in subprotocols if each in offered), None)
    fields = [("Sec-WebSocket-Protocol", chosen)] if chosen is not None else []
    try:
        taken = accept_offer(request.headers.getall("sec-websocket-extensions", []), compression)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None
    if taken is None:
        return Agreed(subprotocol=chosen), fields
    deflate, answer = taken
    fields.append(("Sec-WebSocket-Extensions", answer))
    return Agreed(subprotocol=chosen, deflate=deflate), fields


def accept_fields(key: str) -> list[tuple[str, str]]:
    """Return the fields of every answer that agrees."""
    return [("Sec-WebSocket-Accept", accept_value(key))]
