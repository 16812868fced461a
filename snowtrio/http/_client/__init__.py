"""The client.

``_client``, and ``_once`` for one request, are what users have. A request (``_asking``,
``_bodies``, ``_urls``) goes its way through attempts and redirects (``_fetching``, ``_retrying``,
``_redirects``); each attempt is an ``_exchange`` on a connection of the ``_pool``, whose origins
are ``_site``s, reached in ``_ways``. What one hop alone is told (``_cookies``, ``_proxies``) comes
from ``_hops``; through a ``_tunnel`` goes what a proxy must not see. The ``_response`` is read in
``_reading``, and goes to ``_sinks`` by ``_pouring``. ``_timing`` bounds it all.
"""

from ._auth import basic_authorization, bearer_authorization
from ._bodies import BodyToSend
from ._client import HTTPClient
from ._cookies import CookieJar
from ._limits import HTTPClientLimits, Timeouts
from ._once import fetch
from ._pool import HTTPClientStatistics
from ._proxies import EnvironmentProxies, Proxy, ProxyChoice
from ._response import ClientResponse, ResponseStream
from ._retrying import RetryPolicy
from ._sinks import BufferSink, DiscardSink, MemorySink, Sink, StreamSink
from ._urls import Origin, as_http, locate
from ._ways import Where

__all__ = [
    "BodyToSend",
    "BufferSink",
    "ClientResponse",
    "CookieJar",
    "DiscardSink",
    "EnvironmentProxies",
    "HTTPClient",
    "HTTPClientLimits",
    "HTTPClientStatistics",
    "MemorySink",
    "Origin",
    "Proxy",
    "ProxyChoice",
    "ResponseStream",
    "RetryPolicy",
    "Sink",
    "StreamSink",
    "Timeouts",
    "Where",
    "as_http",
    "basic_authorization",
    "bearer_authorization",
    "fetch",
    "locate",
]
