"""The server: a handler called for each request.

``_serve`` has the verbs and ``_http_server`` what they run. ``_protocol`` is what the core serves,
``_service`` what all its connections share, ``_watch`` decides which clients are too slow.
``_session`` takes the requests of a connection in turn and gives each to the handler as a
`Request` (``_request``). A connection has an ``_exchange``, made of a ``_body_reader`` for what
comes in and a ``_responder`` by which a `Response` (``_response``) leaves; ``_failures`` says what
becomes of a request that could not be answered.
"""

from ._access_log import logger as access_logger
from ._access_log import note_answered
from ._body_reader import HTTPConnection
from ._exchange import Exchange
from ._failures import answer_failure, refuse, tells_of_own_end
from ._farewell import WhenFull
from ._file_body import FileBody, Plan
from ._http_server import ExchangeServer, HTTPServer
from ._limits import HTTPLimits
from ._request import Request
from ._response import Response
from ._serve import serve_http, serve_http_listeners, serve_http_unix
from ._service import Handler
from ._statistics import HTTPStatistics
from ._target import split_target
from ._writer import ResponseWriter

__all__ = [
    "Exchange",
    "ExchangeServer",
    "FileBody",
    "HTTPConnection",
    "HTTPLimits",
    "HTTPServer",
    "HTTPStatistics",
    "Handler",
    "Plan",
    "Request",
    "Response",
    "ResponseWriter",
    "WhenFull",
    "access_logger",
    "answer_failure",
    "note_answered",
    "refuse",
    "serve_http",
    "serve_http_listeners",
    "serve_http_unix",
    "split_target",
    "tells_of_own_end",
]
