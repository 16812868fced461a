"""What can go wrong with HTTP, and who must act on it.

::

    snowtrio.SnowtrioError
    ├── RemoteProtocolError
    │   └── BadMessageError         the peer's bytes are no message that we take; has a status
    ├── LocalProtocolError
    │   └── BadFieldError           a field of yours cannot stand in a head
    ├── HTTPError                   raised in a handler, it is the response
    │   ├── BadJSONError            400 or 422: the body is not the JSON that was asked for
    │   ├── BodyTooLargeError       413: above ``max_body_size``
    │   └── BodyTimeoutError        408: the body comes too slowly
    └── FetchError                  a client's request has no response that could be used
        ├── FetchTimeoutError       one of its timeouts is over                  (TimeoutError)
        ├── NoResponseError         the connection ended before the response was complete
        ├── BadResponseError        what the server sent is no response
        ├── ResponseStatusError     ``raise_for_status``: 400 or above
        ├── UpgradeRefusedError     a server refuses to speak another protocol
        ├── ResponseJSONError       a body is not the JSON that was wanted         (ValueError)
        ├── InvalidURLError         nothing was sent: the URL names nothing to ask   (ValueError)
        ├── RedirectError           a redirect leads nowhere, or where it must not
        │   └── TooManyRedirectsError
        ├── ContentCodingError      a body is not what its ``Content-Encoding`` says
        ├── ResponseTooLargeError   a body is above the bound
        │   └── SinkOverflowError   a body is larger than the buffer that it goes to
        └── ProxyError              a proxy does not let us through; has its status
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import cast

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

    def add_header(self, name: str, value: str) -> None:
        """Add a field to the response, besides those that there are; as `Response.add_header`."""
        given = self.headers
        pairs = cast("Mapping[str, str]", given).items() if isinstance(given, Mapping) else given
        self.headers = [*pairs, (name, value)]


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


class FetchError(SnowtrioError):
    """A request of a client has no response that could be used; the classes below say why."""


class FetchTimeoutError(FetchError, TimeoutError):
    """A request took longer than one of its timeouts. Its connection is closed.

    Parameters:
        reason: which one.
        phase: what was waited for: "waiting", "connect", "send", "source" (a piece of the caller's
            own body), "response", "piece", "sink" or "pause".
        in_doubt: whether the server may have got the request, and acted on it.
    """

    def __init__(self, reason: str, *, phase: str, in_doubt: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.phase = phase
        self.in_doubt = in_doubt


class NoResponseError(FetchError):
    """The connection ended before the response was complete.

    Parameters:
        reason: how.
        in_doubt: whether the server may have got the request, and acted on it; otherwise nothing of
            it was sent.
    """

    def __init__(self, reason: str, *, in_doubt: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.in_doubt = in_doubt


class BadResponseError(FetchError):
    """What the server sent is no response, or above a limit; ``__cause__`` says more.

    It may have acted on the request. The connection is closed.
    """


class ResponseStatusError(FetchError):
    """A response says that the request has failed: raised by ``raise_for_status`` alone.

    Parameters:
        status: 400 to 999.
        request: method and URL.
        response: what came.
    """

    def __init__(self, status: int, request: str, response: object = None) -> None:
        super().__init__(f"{status} {_phrase(status)}: {request}")
        self.status = status
        self.request = request
        self.response = response


class UpgradeRefusedError(FetchError):
    """A server answered a request to go on in another protocol with something else than 101.

    Parameters:
        status: of what it answered.
        protocol: what was asked for.
        response: what it answered: a `ClientResponse`, with the first bytes of its body.
    """

    def __init__(self, status: int, protocol: str, response: object = None) -> None:
        super().__init__(f"the server refuses to speak {protocol}: {status} {_phrase(status)}")
        self.status = status
        self.protocol = protocol
        self.response = response


class ResponseJSONError(FetchError, ValueError):
    """A body is no JSON, or is not what was wanted of it; the message names the path."""


class InvalidURLError(FetchError, ValueError):
    """A URL from which no request can be made. Nothing was sent."""


class RedirectError(FetchError):
    """A redirect that is not followed: it leads nowhere, in a circle, or where it must not.

    Nothing was sent to where it leads. The connection that it came on is as after any response.

    Parameters:
        reason: what is wrong with it.
        status: of the response that redirects.
        location: what that response says, as text.
    """

    def __init__(self, reason: str, status: int, location: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.location = location

    def __reduce__(self) -> tuple[type[RedirectError], tuple[str, int, str]]:
        return type(self), (self.reason, self.status, self.location)


class TooManyRedirectsError(RedirectError):
    """One redirect more than ``max_redirects``."""


class ContentCodingError(FetchError):
    """A body is not what its ``Content-Encoding`` says, or that is not known here."""


class ResponseTooLargeError(FetchError):
    """A response's body is above the bound that it was given.

    Parameters:
        size: bytes of the body, as far as it was seen or announced.
        limit: the bound in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the body has {size} bytes or more, and {limit} are allowed")
        self.size = size
        self.limit = limit

    def __reduce__(self) -> tuple[type[ResponseTooLargeError], tuple[int, int]]:
        return type(self), (self.size, self.limit)


class SinkOverflowError(ResponseTooLargeError):
    """A response's body is larger than the buffer that it goes to. It was filled, and no more."""


class ProxyError(FetchError):
    """A proxy does not let us through to a server.

    Parameters:
        reason: what it said.
        status: of its response, such as 407 where it wants to know who asks; None where what it
            sent was no response to be used.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status

    def __reduce__(self) -> tuple[type[ProxyError], tuple[str, int | None]]:
        return type(self), (self.reason, self.status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
