"""The opening handshake, from the client's side."""

from __future__ import annotations

from collections.abc import Sequence

from ...http import ClientResponse
from .._errors import WebSocketHandshakeError
from .._wire import VERSION, Agreed, Deflate, accept_value, check_answer, offer


def request_fields(
    key: str, subprotocols: Sequence[str], compression: Deflate | None
) -> list[tuple[str, str]]:
    """Return the fields that ask for a WebSocket (RFC 6455, section 4.1)."""
    fields = [("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", VERSION)]
    extension = offer(compression)
    if extension is not None:
        fields.append(("Sec-WebSocket-Extensions", extension))
    if subprotocols:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    return fields


def check_response(
    response: ClientResponse, key: str, subprotocols: Sequence[str], compression: Deflate | None
) -> Agreed:
    """Return what a server has agreed to.

    Raises:
        WebSocketHandshakeError: its answer is not that of a WebSocket.
    """
    headers = response.headers
    if headers.getall("sec-websocket-accept", []) != [accept_value(key)]:
        raise WebSocketHandshakeError("the server's Sec-WebSocket-Accept is wrong")
    chosen = headers.getall("sec-websocket-protocol", [])
    if len(chosen) > 1 or (chosen and chosen[0] not in subprotocols):
        raise WebSocketHandshakeError(f"the server chose {chosen}, which was not offered")
    try:
        deflate = check_answer(headers.getall("sec-websocket-extensions", []), compression)
    except ValueError as error:
        raise WebSocketHandshakeError(str(error)) from None
    return Agreed(subprotocol=chosen[0] if chosen else None, deflate=deflate)
