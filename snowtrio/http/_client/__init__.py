"""The client.

``_client`` is what users have. A request (``_asking``, ``_bodies``, ``_urls``) goes its way through
attempts and redirects (``_fetching``, ``_retrying``, ``_redirects``); each attempt is an
``_exchange`` on a connection of the ``_pool``, whose origins are ``_site``s, reached in ``_ways``.
The ``_response`` is read in ``_reading``. ``_timing`` bounds it all with one scope.
"""

from ._bodies import BodyToSend
from ._client import HTTPClient, fetch
from ._limits import HTTPClientLimits, Timeouts
from ._pool import HTTPClientStatistics
from ._response import ClientResponse, ResponseStream
from ._retrying import RetryPolicy
from ._urls import Origin

__all__ = [
    "BodyToSend",
    "ClientResponse",
    "HTTPClient",
    "HTTPClientLimits",
    "HTTPClientStatistics",
    "Origin",
    "ResponseStream",
    "RetryPolicy",
    "Timeouts",
    "fetch",
]
