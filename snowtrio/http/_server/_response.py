"""What a handler answers."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, TypeAlias

from .._headers import HeadersToSend, write_field, write_headers
from .._json import write_json

Body: TypeAlias = bytes | str | AsyncIterable[bytes | str]


class Response:
    r"""A status, header fields, and a body.

    ::

        Response("hello\\n")
        Response(b"...", content_type="image/png")
        Response.json({"answer": 42}, status=201)
        Response(lines())                       # an async iterator: sent as it is made

    Parameters:
        body: bytes; text, sent in UTF-8; or an async iterator of either, each item of which leaves
            as it is made: in chunks, or, to clients of HTTP/1.0, up to the end of the connection.
            An async generator is closed when the response ends, however it ends.
        status: 200 to 999.
        headers: fields besides those that the server adds: ``Date``, ``Content-Length`` or
            ``Transfer-Encoding``, ``Connection``.
        content_type: by default that of the body: text, or plain bytes.
        content_length: bytes that an async iterator will give, where that is known.
        trailers: fields to send behind an async iterator's items.

    Raises:
        BadFieldError: a header cannot be sent.
    """

    __slots__ = ("body", "content_length", "fields", "status", "trailers")

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
        self.status = status
        self.fields = write_headers(headers)
        self.content_length = content_length
        self.trailers = trailers
        if isinstance(body, str):
            self.body: bytes | AsyncIterable[bytes | str] = body.encode()
            self._add_type(content_type or "text/plain; charset=utf-8")
        else:
            self.body = body
            if body or content_type:
                self._add_type(content_type or "application/octet-stream")

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: HeadersToSend = ()) -> Response:
        """Return a response with the JSON of a value.

        Parameters:
            value: what JSON has a form for; dataclasses and attrs classes too.
            status: as above.
            headers: as above.
        """
        return cls(write_json(value), status, headers, content_type="application/json")

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    def _add_type(self, content_type: str) -> None:
        if not any(name == b"content-type" for name, _ in self.fields):
            self.fields.append(write_field("content-type", content_type))
