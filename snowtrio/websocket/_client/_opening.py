"""The opening handshake, from the client's side: what a server may answer. Pure."""

from __future__ import annotations

from ...http import ClientResponse
from .._errors import WebSocketHandshakeError
from .._wire import Agreed, accept_value, check_answer, has_token
from ._asked import Asked


def check_response(response: ClientResponse, key: str, asked: Asked) -> Agreed:
    """Return what a server has agreed to, with a 101 that names the protocol.

    Raises:
        WebSocketHandshakeError: its answer is not that of a WebSocket.
    """
    try:
        return _check(response, key, asked)
    except ValueError as error:
        raise WebSocketHandshakeError(str(error), response) from None


def _check(response: ClientResponse, key: str, asked: Asked) -> Agreed:
    headers = response.headers
    if response.http_version != "1.1":
        raise ValueError(f"a WebSocket begins with HTTP/1.1, not with {response.http_version}")
    if not has_token(headers.getall("connection", []), "upgrade"):
        raise ValueError("the server's Connection field does not say Upgrade")
    if headers.getall("sec-websocket-accept", []) != [accept_value(key)]:
        raise ValueError("the server's Sec-WebSocket-Accept does not fit the key")
    chosen = headers.getall("sec-websocket-protocol", [])
    if len(chosen) > 1 or not set(chosen) <= set(asked.subprotocols):
        names = ", ".join(map(repr, chosen))
        raise ValueError(f"the server chose the subprotocol {names}, which was not offered")
    deflate = check_answer(headers.getall("sec-websocket-extensions", []), asked.compression)
    return Agreed(subprotocol=chosen[0] if chosen else None, deflate=deflate)
