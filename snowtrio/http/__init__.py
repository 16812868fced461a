"""HTTP/1.1: a strict server and a pooled client on snowtrio's foundations.

::

    from snowtrio.http import Request, Response, serve_http

    async def hello(request: Request) -> Response:
        return Response.json({"path": request.path})

    trio.run(serve_http, hello, 8000)

Needs ``pip install snowtrio[http]``.
"""

from ._client import (
    BodyToSend,
    ClientResponse,
    HTTPClient,
    HTTPClientLimits,
    HTTPClientStatistics,
    Origin,
    ResponseStream,
    RetryPolicy,
    Timeouts,
    fetch,
)
from ._errors import (
    BadFieldError,
    BadMessageError,
    BadResponseError,
    BodyTimeoutError,
    BodyTooLargeError,
    ContentCodingError,
    FetchError,
    FetchTimeoutError,
    HTTPError,
    InvalidURLError,
    NoResponseError,
    RedirectError,
    ResponseJSONError,
    ResponseStatusError,
    ResponseTooLargeError,
    TooManyRedirectsError,
)
from ._headers import Headers, HeadersToSend
from ._server import (
    HTTPLimits,
    HTTPServer,
    HTTPStatistics,
    Request,
    Response,
    ResponseWriter,
    serve_http,
)

__all__ = [
    "BadFieldError",
    "BadMessageError",
    "BadResponseError",
    "BodyTimeoutError",
    "BodyToSend",
    "BodyTooLargeError",
    "ClientResponse",
    "ContentCodingError",
    "FetchError",
    "FetchTimeoutError",
    "HTTPClient",
    "HTTPClientLimits",
    "HTTPClientStatistics",
    "HTTPError",
    "HTTPLimits",
    "HTTPServer",
    "HTTPStatistics",
    "Headers",
    "HeadersToSend",
    "InvalidURLError",
    "NoResponseError",
    "Origin",
    "RedirectError",
    "Request",
    "Response",
    "ResponseJSONError",
    "ResponseStatusError",
    "ResponseStream",
    "ResponseTooLargeError",
    "ResponseWriter",
    "RetryPolicy",
    "Timeouts",
    "TooManyRedirectsError",
    "fetch",
    "serve_http",
]
