"""What a client gets: a response with its body, or one whose body comes as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self, TypeVar, overload

import trio
from yarl import URL

from .._charsets import find_codec, name_charset
from .._errors import FetchTimeoutError, ResponseJSONError, ResponseStatusError
from .._headers import Headers, read_headers
from .._json import JSONError, read_json
from .._wire import Fields, ResponseHead
from ._reading import Incoming

KindT = TypeVar("KindT")


class ResponseHeader:
    """What the head of a response says."""

    __slots__ = ("_fields", "_headers", "_url", "history", "http_version", "method", "status")

    def __init__(self, head: ResponseHead, url: URL, history: tuple[ClientResponse, ...]) -> None:
        """Begin with a head that came.

        Parameters:
            head: as it came.
            url: what was asked, after all redirects.
            history: the responses that redirected, in order.
        """
        self.status = head.status
        """200 to 999."""
        self.method = head.method
        """Of the request that was answered."""
        self.http_version = head.http_version
        """The server's: "1.1" or "1.0"."""
        self.history = history
        """The responses that redirected here, in order; without their bodies."""
        self._url = url
        self._fields = head.fields
        self._headers: Headers | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.method} {self._url}>"

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def url(self) -> URL:
        """What was asked, after all redirects; without user info."""
        return self._url

    @property
    def headers(self) -> Headers:
        """The header fields: by name in any case; ``headers.getall(name)`` for many values."""
        if self._headers is None:
            self._headers = read_headers(self._fields)
        return self._headers

    def raise_for_status(self) -> Self:
        """Return the response itself, if its status is below 400.

        Raises:
            ResponseStatusError: it is not.
        """
        if self.status >= 400:
            raise ResponseStatusError(self.status, f"{self.method} {self._url}", self)
        return self

    @property
    def charset(self) -> str:
        """The character set that ``Content-Type`` names; UTF-8 by default."""
        return _charset(self._fields)


class ClientResponse(ResponseHeader):
    """A response, whole: what `HTTPClient.fetch` returns."""

    __slots__ = ("_trailers", "body")

    def __init__(
        self,
        head: ResponseHead,
        url: URL,
        history: tuple[ClientResponse, ...] = (),
        body: bytes = b"",
        trailers: Fields = (),
    ) -> None:
        """Begin with what came.

        Parameters:
            head: as it came.
            url: what was asked.
            history: the responses that redirected.
            body: all of it, decoded.
            trailers: fields behind the body.
        """
        super().__init__(head, url, history)
        self.body = body
        """The bytes of the body; empty where a sink has taken them."""
        self._trailers = trailers

    @property
    def trailers(self) -> Headers:
        """Fields that came behind the body."""
        return read_headers(self._trailers)

    def text(self, encoding: str | None = None) -> str:
        """Return the body as text; what cannot be decoded becomes U+FFFD.

        Parameters:
            encoding: by default what ``Content-Type`` says, or UTF-8.
        """
        return _decode(self.body, encoding or find_codec(self.charset) or "utf-8")

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, kind: type[KindT]) -> KindT: ...
    @overload
    def json(self, kind: Any) -> Any: ...
    def json(self, kind: Any = Any) -> Any:
        """Return the value of a JSON body (row Z13).

        Parameters:
            kind: what it is to be: a dataclass, an attrs class, ``list[int]``; anything by default.

        Raises:
            ResponseJSONError: it is no JSON, or does not fit: the message names the path.
        """
        try:
            return read_json(self.body, kind)
        except JSONError as error:
            raise ResponseJSONError(f"the JSON of {self._url} does not fit: {error}") from error


class ResponseStream(ResponseHeader):
    """A response whose body comes as it is read: ``async for piece in response``.

    What `HTTPClient.stream` gives. While nobody asks for more, the server is not read.
    """

    __slots__ = ("_pieces", "_timeout")

    def __init__(
        self,
        head: ResponseHead,
        url: URL,
        history: tuple[ClientResponse, ...],
        pieces: Incoming,
        timeout: float | None,
    ) -> None:
        """Begin with what came.

        Parameters:
            head: as it came.
            url: what was asked.
            history: the responses that redirected.
            pieces: gives the body.
            timeout: seconds to wait for a piece.
        """
        super().__init__(head, url, history)
        self._pieces = pieces
        self._timeout = timeout

    @property
    def trailers(self) -> Headers:
        """Fields that came behind the body, once its end was seen."""
        return read_headers(self._pieces.trailers)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.receive()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def receive(self) -> bytes:
        """Return the next piece of the body; empty at its end. Cancelled, it loses nothing.

        Raises:
            FetchTimeoutError: no piece came in time.
            NoResponseError: the connection ended in the middle of the body.
            BadResponseError: the server broke the protocol.
            ContentCodingError: the body is not what its coding says.
            RuntimeError: the block that gave the response has been left.
        """
        self._pieces.check()
        if self._timeout is None:
            return await self._pieces.receive()
        with trio.move_on_after(self._timeout):
            return await self._pieces.receive()
        raise FetchTimeoutError(
            "waited too long for the response's body", phase="piece", in_doubt=True
        )

    async def read(self, max_size: int | None = None) -> bytes:
        """Return the rest of the body.

        Parameters:
            max_size: bytes of it; by default the client's ``max_body_size``.

        Raises:
            ResponseTooLargeError: it is larger.
            FetchError: as `receive`.
        """
        self._pieces.check()
        return await self._pieces.read(self.receive, max_size)


def _charset(fields: Fields) -> str:
    for name, value in fields:
        if name == b"content-type":
            return name_charset(value.decode("latin-1")) or "utf-8"
    return "utf-8"


def _decode(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding, "replace")
    except (LookupError, UnicodeError):  # There are codecs that replace nothing.
        return body.decode("utf-8", "replace")
