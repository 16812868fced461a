"""HTTP/1.1: a strict server and a pooled client on snowtrio's foundations.

::

    from snowtrio.http import Request, Response, serve_http

    async def hello(request: Request) -> Response:
        return Response.json({"path": request.path})

    trio.run(serve_http, hello, 8000)

Needs ``pip install snowtrio[http]``.
"""

from . import _needed as _needed
from ._client import (
    BodyToSend,
    BufferSink,
    ClientResponse,
    CookieJar,
    DiscardSink,
    EnvironmentProxies,
    HTTPClient,
    HTTPClientLimits,
    HTTPClientStatistics,
    MemorySink,
    Origin,
    Proxy,
    ProxyChoice,
    ResponseStream,
    RetryPolicy,
    Sink,
    StreamSink,
    Timeouts,
    basic_authorization,
    bearer_authorization,
    fetch,
)
from ._errors import (
    BadFieldError,
    BadJSONError,
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
    ProxyError,
    RedirectError,
    ResponseJSONError,
    ResponseStatusError,
    ResponseTooLargeError,
    SinkOverflowError,
    TooManyRedirectsError,
    UpgradeRefusedError,
)
from ._files import Folder, check_conditions, file_response
from ._headers import Headers, HeadersToSend
from ._routing import Router
from ._server import (
    Handler,
    HTTPLimits,
    HTTPServer,
    HTTPStatistics,
    Request,
    Response,
    ResponseWriter,
    serve_http,
    serve_http_listeners,
    serve_http_unix,
)

__all__ = [
    "BadFieldError",
    "BadJSONError",
    "BadMessageError",
    "BadResponseError",
    "BodyTimeoutError",
    "BodyToSend",
    "BodyTooLargeError",
    "BufferSink",
    "ClientResponse",
    "ContentCodingError",
    "CookieJar",
    "DiscardSink",
    "EnvironmentProxies",
    "FetchError",
    "FetchTimeoutError",
    "Folder",
    "HTTPClient",
    "HTTPClientLimits",
    "HTTPClientStatistics",
    "HTTPError",
    "HTTPLimits",
    "HTTPServer",
    "HTTPStatistics",
    "Handler",
    "Headers",
    "HeadersToSend",
    "InvalidURLError",
    "MemorySink",
    "NoResponseError",
    "Origin",
    "Proxy",
    "ProxyChoice",
    "ProxyError",
    "RedirectError",
    "Request",
    "Response",
    "ResponseJSONError",
    "ResponseStatusError",
    "ResponseStream",
    "ResponseTooLargeError",
    "ResponseWriter",
    "RetryPolicy",
    "Router",
    "Sink",
    "SinkOverflowError",
    "StreamSink",
    "Timeouts",
    "TooManyRedirectsError",
    "UpgradeRefusedError",
    "basic_authorization",
    "bearer_authorization",
    "check_conditions",
    "fetch",
    "file_response",
    "serve_http",
    "serve_http_listeners",
    "serve_http_unix",
]

# What is exported here comes from here, as far as its users need to know.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith("snowtrio.http._"):
        globals()[_name].__module__ = __name__
