"""What can go wrong with HTTP, and who must act on it.

::

    snowtrio.SnowtrioError
    ├── RemoteProtocolError
    │   └── BadMessageError         the peer's bytes are no message that we take; has a status
    ├── LocalProtocolError
    │   └── BadFieldError           a field of yours cannot stand in a head
    └── HTTPError                   raised in a handler, it is the response
        ├── BadJSONError            400 or 422: the body is not the JSON that was asked for
        ├── BodyTooLargeError       413: above ``max_body_size``
        └── BodyTimeoutError        408: the body comes too slowly
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from .._errors import LocalProtocolError, RemoteProtocolError, SnowtrioError


class BadMessageError(RemoteProtocolError):
    """The peer sent what is not a message, or is ambiguous, or above a limit.

    Parameters:
        status: what a server answers, such as 400 or 431.
        reason: what is wrong with it.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadMessageError], tuple[int, str]]:
        return type(self), (self.status, self.reason)


class BadFieldError(LocalProtocolError):
    """A header field that was to be sent has a name or a value that no head can hold."""


class HTTPError(SnowtrioError):
    """Raised in a handler, it becomes the response: ``raise HTTPError(404, "no such book")``.

    The body is ``application/problem+json`` (RFC 9457). What a client's own bytes bring about is
    raised as one of these too, so that a handler that does not care answers it rightly.

    Parameters:
        status: 400 to 599.
        detail: told to the client; by default the status's own words.
        headers: further fields of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"an error has a status from 400 to 599, not {status}")
        self.status = status
        self.title = _phrase(status)
        self.detail = detail
        self.headers = headers
        super().__init__(f"{status} {detail or self.title}")


class BodyTooLargeError(HTTPError):
    """A request's body is above ``max_body_size``.

    Parameters:
        limit: the bound in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body is larger than {limit} bytes")
        self.limit = limit


class BodyTimeoutError(HTTPError):
    """A request's body comes more slowly than ``body_timeout`` and ``min_body_rate`` allow."""

    def __init__(self) -> None:
        super().__init__(408, "the body came too slowly")


class BadJSONError(HTTPError):
    """A request's body is no JSON (400), or JSON that does not fit the type asked for (422).

    Parameters:
        status: 400 or 422.
        detail: what is wrong, and where.
        path: of what does not fit, as in ``$.authors[0].born``; None where it is no JSON.
    """

    def __init__(self, status: int, detail: str, *, path: str | None = None) -> None:
        super().__init__(status, detail)
        self.path = path


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
