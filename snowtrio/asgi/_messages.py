"""What an application sends, checked and made fit for the wire."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from .._errors import LocalProtocolError
from ..http import HTTPError, Response
from ..http._files import whole_file
from ..http._opened import open_file
from ._types import Message

# What the connection's own framing says; an application's word on it is heard, not passed on.
_FRAMING = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade")
)

_HANDSHAKE = frozenset(name.decode() for name in _FRAMING)


class Awaited(Enum):
    """What an application has to send next."""

    START = "http.response.start"
    FIRST_BODY = "the first http.response.body"
    BODY = "http.response.body"
    TRAILERS = "http.response.trailers"
    NOTHING = "nothing: the response is complete"


class Start(NamedTuple):
    """A response's beginning, kept until its first body.

    Parameters:
        status: 200 to 999.
        fields: without those that the framing decides.
        content_length: as the application says, None where it does not.
        closes: whether the application wants the connection closed afterwards.
        trailers: whether trailers follow the body.
    """

    status: int
    fields: list[tuple[bytes, bytes]]
    content_length: int | None
    closes: bool
    trailers: bool


def read_start(message: Message) -> Start:
    """Return what a ``http.response.start`` says.

    Raises:
        LocalProtocolError: it makes no sense.
    """
    status = message["status"]
    if not (isinstance(status, int) and 200 <= status <= 999):
        raise LocalProtocolError(f"a response has a status of 200 to 999, not {status!r}")
    length, closes = None, False
    fields: list[tuple[bytes, bytes]] = []
    for name, value in message.get("headers", ()):
        if type(name) is not bytes or type(value) is not bytes:
            name, value = _as_bytes(name), _as_bytes(value)
        name = name.lower()
        if name not in _FRAMING:
            fields.append((name, value))
        elif name == b"content-length":
            length = _read_length(value, length)
        elif name == b"connection":
            closes = b"close" in value.lower()
    return Start(status, fields, length, closes, bool(message.get("trailers", False)))


def read_body(message: Message) -> bytes:
    """Return the body of a message.

    Raises:
        LocalProtocolError: it is no bytes.
    """
    body = message.get("body", b"")
    return body if type(body) is bytes else _as_bytes(body)


def read_file(message: Message, start: Start, *, with_body: bool) -> Response:
    """Return the response whose body is the file of a ``http.response.pathsend``.

    Raises:
        LocalProtocolError: there is no such regular file, or it has another length than was
            announced; or trailers were, which only chunks can have.
    """
    path = message["path"]
    if not (isinstance(path, str) and os.path.isabs(path)):  # noqa: PTH117 - as it came
        raise LocalProtocolError(f"ASGI has an absolute path there, not {path!r}")
    if start.trailers:
        raise LocalProtocolError("trailers were announced, and a file has none")
    try:
        file = open_file(path)
    except (HTTPError, OSError) as error:
        raise LocalProtocolError(f"{path!r} cannot be sent: {error}") from error
    if start.content_length not in (None, file.size):
        size = file.size
        file.close()
        raise LocalProtocolError(
            f"{path!r} has {size} bytes, announced were {start.content_length}"
        )
    return whole_file(start.status, start.fields, file, with_body=with_body)


def read_links(message: Message) -> list[tuple[str, str]]:
    """Return the fields of early hints."""
    return [("link", _as_bytes(link).decode("latin-1")) for link in message.get("links", ())]


def read_trailers(message: Message) -> list[tuple[str, str]]:
    """Return the fields of trailers."""
    headers: Iterable[tuple[Any, Any]] = message.get("headers", ())
    return [
        (_as_bytes(name).decode("latin-1"), _as_bytes(value).decode("latin-1"))
        for name, value in headers
    ]


def read_accept(
    message: Message, offered: Sequence[str]
) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the subprotocol and the fields of a ``websocket.accept``.

    Raises:
        LocalProtocolError: the client has not offered that, or ASGI has no such field there.
    """
    subprotocol: object = message.get("subprotocol")
    if subprotocol is not None and subprotocol not in offered:
        raise LocalProtocolError(f"the client has not offered the subprotocol {subprotocol!r}")
    fields: list[tuple[str, str]] = []
    for name, value in message.get("headers", ()):
        decoded = _as_bytes(name).decode("latin-1")
        if decoded.lower() not in _HANDSHAKE:
            fields.append((decoded, _as_bytes(value).decode("latin-1")))
    return (subprotocol if isinstance(subprotocol, str) else None), fields


def read_message(message: Message) -> str | bytes:
    """Return what a ``websocket.send`` sends.

    Raises:
        LocalProtocolError: it is neither text nor bytes, or both.
    """
    text: object = message.get("text")
    data: object = message.get("bytes")
    if isinstance(text, str) and data is None:
        return text
    if text is not None or data is None:
        raise LocalProtocolError("ASGI has either text or bytes in a websocket.send")
    return data if type(data) is bytes else _as_bytes(data)


def misplaced(kind: object, awaited: Awaited) -> LocalProtocolError:
    """Return the error for a message that has no place there."""
    return LocalProtocolError(f"the application sent {kind!r} in the place of {awaited.value}")


def _read_length(value: bytes, known: int | None) -> int:
    try:
        length = int(value) if value.isdigit() else -1
    except ValueError:  # longer than Python reads
        length = -1
    if length < 0 or (known is not None and known != length):
        raise LocalProtocolError(f"{value!r} is no content-length, or the second one")
    return length


def _as_bytes(data: object) -> bytes:
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, memoryview):
        return data.tobytes()
    raise LocalProtocolError(f"ASGI has bytes there, not {data!r}")
