"""The server: a handler called for each request.

``_serve`` has the verbs; ``_protocol`` is what the core serves; ``_session`` takes the requests of a
connection in turn and gives each to the handler as a `Request` (``_request``), whose body and
`Response` (``_response``) go through the ``_exchange``. ``_watch`` decides which clients are too slow.
"""

from ._exchange import Exchange
from ._limits import HTTPLimits
from ._request import Request, exchange_of
from ._response import Response
from ._serve import HTTPServer, HTTPStatistics, serve_http
from ._writer import ResponseWriter

__all__ = [
    "Exchange",
    "HTTPLimits",
    "HTTPServer",
    "HTTPStatistics",
    "Request",
    "Response",
    "ResponseWriter",
    "exchange_of",
    "serve_http",
]
