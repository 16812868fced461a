"""What a handler answers."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, TypeAlias, cast

from .._headers import HeadersToSend, write_field, write_headers
from .._json import write_json

_JSON_TYPE = write_field("content-type", "application/json")

Body: TypeAlias = bytes | str | AsyncIterable[bytes | str]


class Response:
    r"""A status, header fields, and a body.

    ::

        Response("hello\n")
        Response(b"...", content_type="image/png")
        Response.json({"answer": 42}, status=201)
        Response(lines())                       # an async iterator: sent as it is made

    Parameters:
        body: bytes; text, sent in UTF-8; or an async iterable of either, each item of which leaves
            as it is made: in chunks, or, to clients of HTTP/1.0, up to the end of the connection.
            What has an ``aclose``, as async generators have, is closed when the response ends,
            however it ends; for a HEAD it is closed and not run.
        status: 200 to 999.
        headers: fields besides those that the server adds: ``Date``, ``Content-Length`` or
            ``Transfer-Encoding``, ``Connection``.
        content_type: by default that of the body: text, or plain bytes.
        content_length: bytes that an async iterable will give, where that is known. With no body
            it is what a HEAD is told.
        trailers: fields to send behind an async iterator's items.

    Raises:
        BadFieldError: a header is not in Latin-1. What has a line break or another control
            character in it is found out when it is sent, and answered with 500.
        ValueError: the status is none.
        TypeError: the body is none of these.
    """

    def __init__(
        self,
        body: Body = b"",
        status: int = 200,
        headers: HeadersToSend = (),
        *,
        content_type: str | None = None,
        content_length: int | None = None,
        trailers: HeadersToSend = (),
    ) -> None:
        self.status = status if status == 200 else check_status(status)
        """As given."""
        self.content_length = content_length
        """As given."""
        self.trailers = trailers
        """As given."""
        self.fields = write_headers(headers) if headers else []
        """Its fields so far, as they go out: names in lower case; see `add_header`."""
        if isinstance(body, bytes):
            self.body: bytes | AsyncIterable[bytes | str] = body
            if body:
                content_type = content_type or "application/octet-stream"
        elif isinstance(body, str):
            self.body = body.encode()
            content_type = content_type or "text/plain; charset=utf-8"
        else:
            self.body = _as_body(body)
            content_type = content_type or "application/octet-stream"
        if content_type is not None:
            if self.fields:
                self._add_type(content_type)
            else:
                self.fields.append(write_field("content-type", content_type))

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: HeadersToSend = ()) -> Response:
        """Return a response with the JSON of a value.

        Parameters:
            value: what JSON has a form for; dataclasses and attrs classes too.
            status: as above.
            headers: as above.
        """
        # Without keywords, which cost as much as the JSON.
        response = cls(b"", status, headers)
        response.body = write_json(value)
        if response.fields:
            response._add_type("application/json")
        else:
            response.fields.append(_JSON_TYPE)
        return response

    def add_header(self, name: str, value: str) -> None:
        """Add a field, besides those that there are: what wraps a handler does this.

        Raises:
            BadFieldError: it is not text that a field can hold.
        """
        self.fields.append(write_field(name, value))

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    def _add_type(self, content_type: str) -> None:
        for name, _ in self.fields:
            if name == b"content-type":
                return
        self.fields.append(write_field("content-type", content_type))


def check_status(status: int) -> int:
    """Return a status that a response can have.

    Raises:
        ValueError: it is none.
    """
    if not 200 <= status <= 999:
        raise ValueError(f"a response has a status from 200 to 999, not {status!r}")
    return status


def _as_body(body: object) -> bytes | AsyncIterable[bytes | str]:
    """Return what can be sent, for what is neither bytes nor text."""
    if isinstance(body, (bytearray, memoryview)):
        return bytes(cast("bytes", body))
    if not isinstance(body, AsyncIterable):
        raise TypeError(f"a body is bytes, text or an async iterable of them, not {body!r}")
    return cast("AsyncIterable[bytes | str]", body)
