"""The verb: open a WebSocket."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TypedDict

from yarl import URL

from ..._transport import SocketOptions
from ...http import (
    HeadersToSend,
    HTTPClient,
    HTTPClientLimits,
    Origin,
    Proxy,
    ProxyChoice,
    Timeouts,
)
from ...http._client import Where
from .._socket import WebSocket
from .._wire import Deflate, WebSocketLimits
from ._asked import Asked
from ._opened import open_on

DEFAULT_TIMEOUT = 10.0
DEFAULT_MAX_REDIRECTS = 3


class OpenOptions(TypedDict, total=False):
    """What `open_websocket` and `open_reconnecting` take by name."""

    subprotocols: Sequence[str]
    headers: HeadersToSend
    origin: str | None
    compression: Deflate | None
    limits: WebSocketLimits | None
    timeout: float | Timeouts | None
    max_redirects: int
    ssl_context: ssl.SSLContext | None
    endpoint: Where | None
    proxy: str | URL | ProxyChoice | None
    options: SocketOptions | None
    client: HTTPClient | None


@asynccontextmanager
async def open_websocket(
    url: str | URL,
    *,
    subprotocols: Sequence[str] = (),
    headers: HeadersToSend = (),
    origin: str | None = None,
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    timeout: float | Timeouts | None = DEFAULT_TIMEOUT,
    max_redirects: int = DEFAULT_MAX_REDIRECTS,
    ssl_context: ssl.SSLContext | None = None,
    endpoint: Where | None = None,
    proxy: str | URL | ProxyChoice | None = None,
    options: SocketOptions | None = None,
    client: HTTPClient | None = None,
) -> AsyncGenerator[WebSocket, None]:
    """Open a WebSocket, and close it when the block is left.

    ::

        async with open_websocket("wss://example.org/chat") as websocket:
            await websocket.send("hello")
            async for message in websocket:
                print(message)

    When the block is left, the WebSocket is closed with 1000, and the server's answer waited for,
    ``close_timeout`` at most. If the block raises, it is closed with 1011, and the answer waited
    for no longer than a second; cancelled, it waits for nothing. What the block raises is raised as
    it is.

    Nothing ends the block when the connection ends: whoever receives, sends or waits for a pong is
    told.

    Parameters:
        url: ``ws://…``, or ``wss://…`` for TLS; a user and a password in it are sent as Basic
            credentials. No fragment.
        subprotocols: that we speak, the best first; ``websocket.subprotocol`` is the one that the
            server has chosen. None by default.
        headers: further fields of the request, such as ``Authorization``.
        origin: the ``Origin`` field, which browsers send and some servers want.
        compression: how messages are compressed if the server can; None, the default, is not.
        limits: the bounds.
        timeout: seconds for everything up to the server's answer: a place in the pool, name, TCP,
            proxy, TLS, redirects. 10 by default; None is what the client has. Or `Timeouts` with
            one for each. Their ``send``, 60 by default, goes on counting: a server that takes
            nothing of what we send for so long is taken for dead.
        max_redirects: followed at most, never from wss to ws; 3 by default. Credentials and
            cookies among `headers` do not follow to another host.
        ssl_context: for wss; by default one is made that trusts what the system trusts. One context
            is enough for any number of WebSockets.
        endpoint: where to connect rather than to the URL's host and port: a
            `snowtrio.UnixEndpoint`, say.
        proxy: the URL of a proxy, of HTTP or SOCKS5; a `snowtrio.http.Proxy`,
            `snowtrio.http.EnvironmentProxies`, or a function of an ``Origin``. It is asked for a
            tunnel. By default none, whatever the environment says.
        options: of the socket, set before it connects; an endpoint has its own.
        client: opens it through its pool, with its cookies, proxies, TLS and default headers; it
            takes one of the pool's places until it is closed. Excludes the four above. A plain
            HTTP proxy of such a client needs ``tunnel_all`` for ws. By default each WebSocket has a
            client of its own.

    Raises:
        InvalidURLError: the URL is none of a WebSocket. Nothing was sent.
        ConnectError: no connection could be opened: name, refused, unreachable.
        HandshakeError: TLS said no, for instance to a certificate.
        ProxyError: a proxy said no.
        FetchTimeoutError: `timeout` was over; its ``phase`` says what was waited for.
        UpgradeRefusedError: the server answered with another status than 101; the error has its
            ``status``, and as ``response`` the headers and the beginning of the body.
        RedirectError: a redirect is not followed.
        WebSocketHandshakeError: the server's 101 is not that of a WebSocket.
        BadResponseError: it is no response, or one for another protocol.
        NoResponseError: the connection ended before it.
        PoolBusyError: too many requests wait for a connection of the `client`.
        PoolClosedError: the `client` is closed.
        BadFieldError: a header cannot be sent. Nothing was sent, here and below.
        ValueError: a subprotocol cannot be sent, or the handshake itself says a header.
        TypeError: the arguments do not fit together.
    """
    asked = Asked(
        url=url,
        subprotocols=subprotocols,
        headers=headers,
        origin=origin,
        compression=compression,
        limits=limits,
        timeout=timeout,
        max_redirects=max_redirects,
    )
    asker = as_client(client, ssl_context, endpoint, proxy, options)
    async with asker as opener, open_on(opener, asked) as (websocket, _):
        yield websocket


def as_asked(url: str | URL, options: OpenOptions) -> Asked:
    """Return what is asked of a server; raises as `open_websocket`."""
    return Asked(
        url=url,
        subprotocols=options.get("subprotocols", ()),
        headers=options.get("headers", ()),
        origin=options.get("origin"),
        compression=options.get("compression"),
        limits=options.get("limits"),
        timeout=options.get("timeout", DEFAULT_TIMEOUT),
        max_redirects=options.get("max_redirects", DEFAULT_MAX_REDIRECTS),
    )


def as_client(
    client: HTTPClient | None = None,
    ssl_context: ssl.SSLContext | None = None,
    endpoint: Where | None = None,
    proxy: str | URL | ProxyChoice | None = None,
    options: SocketOptions | None = None,
) -> AbstractAsyncContextManager[HTTPClient]:
    """Return the client for a block: one of its own, unless one is given.

    Raises:
        TypeError: there is one, and something that it would have to be made with.
    """
    if client is None:
        limits = HTTPClientLimits(max_idle=0)
        choice = _as_tunnels(proxy)
        return HTTPClient(
            ssl_context=ssl_context,
            endpoint=endpoint,
            proxy=choice,
            options=options,
            limits=limits,
        )
    if (ssl_context, endpoint, proxy, options) != (None, None, None, None):
        raise TypeError("a client has an ssl_context, an endpoint, a proxy and options of its own")
    return nullcontext(client)


def _as_tunnels(proxy: str | URL | ProxyChoice | None) -> ProxyChoice | None:
    """Return a choice of proxies that are all asked for tunnels (RFC 6455, section 4.1)."""
    if proxy is None:
        return None
    choice = Proxy(proxy) if isinstance(proxy, str | URL) else proxy
    if isinstance(choice, Proxy):
        return choice.for_tunnels()

    def choose(origin: Origin) -> Proxy | None:
        chosen = choice(origin)
        return None if chosen is None else chosen.for_tunnels()

    return choose
