"""What an application is told of a request: the ``http`` scope."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import attrs

from .._transport import Address
from ..http import Request
from ._types import Scope

SPEC_VERSION = "2.4"
"""Of ASGI's HTTP part; since this one ``send`` raises an ``OSError`` when the client has left."""


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


def make_scope(request: Request, around: Surroundings) -> Scope:
    """Return the scope of a request."""
    target, root, version = request.target, around.root_path, request.http_version
    if target.startswith("/"):
        raw_path, _, query = target.partition("?")  # As `Request` does it, in fewer steps.
    else:
        raw_path, query = request.raw_path, request.query_string
    path = unquote(raw_path) if "%" in raw_path else raw_path
    if root and raw_path != "*":
        path, raw_path = root + path, root + raw_path
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
        "http_version": version,
        "method": request.method,
        "scheme": around.scheme,
        "path": path,
        "raw_path": raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": root,
        "headers": request.fields,
        "client": _client(request.peer_address),
        "server": _server(request.local_address),
        "state": around.state.copy(),
        # A client of HTTP/1.0 knows neither.
        "extensions": {}
        if version == "1.0"
        else {"http.response.early_hint": {}, "http.response.trailers": {}},
    }


def _client(address: Address | None) -> tuple[str, int] | None:
    """Return the host and port of a client; the clients of a Unix socket have none."""
    return address[:2] if isinstance(address, tuple) else None


def _server(address: Address | None) -> tuple[str, int | None] | None:
    if isinstance(address, tuple):
        return address[:2]
    return (address, None) if address is not None else None
