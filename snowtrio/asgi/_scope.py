"""What an application is told of a request: the ``http`` and the ``websocket`` scope."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import attrs

from .._transport import Address
from ..http._server import HTTPConnection, split_target
from ..http._wire import RequestHead
from ._types import Scope

SPEC_VERSION = "2.4"
"""Of ASGI's HTTP part; since this one ``send`` raises an ``OSError`` when the client has left."""

_OLD_EXTENSIONS: dict[str, dict[str, object]] = {"http.response.pathsend": {}}
# A client of HTTP/1.0 knows neither of these two.
_EXTENSIONS: dict[str, dict[str, object]] = {
    "http.response.early_hint": {},
    "http.response.trailers": {},
    **_OLD_EXTENSIONS,
}


@attrs.frozen(kw_only=True)
class Surroundings:
    """What is the same for all requests of a server.

    Parameters:
        scheme: ``"http"`` or ``"https"``.
        root_path: what a proxy in front has taken off the path.
        state: what the application left at its startup; each request gets a copy.
    """

    scheme: str
    root_path: str
    state: dict[str, Any]


@attrs.frozen
class Ends:
    """What is the same for all requests of a connection.

    Parameters:
        client: host and port; clients of a Unix socket have none.
        server: host and port, or a path.
        scheme: ``"https"`` where the client spoke TLS with a proxy that says so.
        extensions: ``"snowtrio.proxy"`` where a proxy brought the connection.
    """

    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    scheme: str | None
    extensions: dict[str, dict[str, object]]

    @classmethod
    def of(cls, connection: HTTPConnection) -> Ends:
        """Return those of a connection."""
        client, server = _client(connection.peer_address), _server(connection.local_address)
        proxy = connection.proxy
        if proxy is None:
            return cls(client, server, None, {})
        scheme = "https" if proxy.header.tls is not None and proxy.header.tls.used else None
        return cls(client, server, scheme, {"snowtrio.proxy": {"info": proxy}})


def make_websocket_scope(
    head: RequestHead, around: Surroundings, ends: Ends, subprotocols: list[str]
) -> Scope:
    """Return the scope of a request for a WebSocket."""
    scope = make_scope(head, around, ends)
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = subprotocols
    scope["extensions"] = {"websocket.http.response": {}, **ends.extensions}
    return scope


def make_scope(head: RequestHead, around: Surroundings, ends: Ends) -> Scope:
    """Return the scope of a request."""
    target, root, version = head.target, around.root_path, head.http_version
    if target.startswith("/"):
        raw_path, _, query = target.partition("?")  # As below, in fewer steps.
    else:
        raw_path, query = split_target(target)
    path = unquote(raw_path) if "%" in raw_path else raw_path
    if root and raw_path != "*":
        path, raw_path = root + path, root + raw_path
    extensions = _EXTENSIONS if version == "1.1" else _OLD_EXTENSIONS
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
        "http_version": version,
        "method": head.method,
        "scheme": ends.scheme or around.scheme,
        "path": path,
        "raw_path": raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": root,
        "headers": list(head.fields),
        "client": ends.client,
        "server": ends.server,
        "state": around.state.copy(),
        "extensions": extensions | ends.extensions if ends.extensions else extensions.copy(),
    }


def _client(address: Address | None) -> tuple[str, int] | None:
    """Return the host and port of a client; the clients of a Unix socket have none."""
    return address[:2] if isinstance(address, tuple) else None


def _server(address: Address | None) -> tuple[str, int | None] | None:
    if isinstance(address, tuple):
        return address[:2]
    return (address, None) if address is not None else None
