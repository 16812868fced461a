"""HTTP/1.1: a strict server and a pooled client on snowtrio's foundations.

::

    from snowtrio.http import Request, Response, serve_http

    async def hello(request: Request) -> Response:
        return Response.json({"path": request.path})

    trio.run(serve_http, hello, 8000)

Needs ``pip install snowtrio[http]``.
"""

from ._errors import (
    BadFieldError,
    BadJSONError,
    BadMessageError,
    BodyTimeoutError,
    BodyTooLargeError,
    HTTPError,
)
from ._headers import Headers, HeadersToSend
from ._server import (
    Folder,
    HTTPLimits,
    HTTPServer,
    HTTPStatistics,
    Request,
    Response,
    ResponseWriter,
    Router,
    check_conditions,
    file_response,
    serve_http,
    serve_http_listeners,
    serve_http_unix,
)

__all__ = [
    "BadFieldError",
    "BadJSONError",
    "BadMessageError",
    "BodyTimeoutError",
    "BodyTooLargeError",
    "Folder",
    "HTTPError",
    "HTTPLimits",
    "HTTPServer",
    "HTTPStatistics",
    "Headers",
    "HeadersToSend",
    "Request",
    "Response",
    "ResponseWriter",
    "Router",
    "check_conditions",
    "file_response",
    "serve_http",
    "serve_http_listeners",
    "serve_http_unix",
]

# What is exported here comes from here, as far as its users need to know.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith("snowtrio.http._"):
        globals()[_name].__module__ = __name__
