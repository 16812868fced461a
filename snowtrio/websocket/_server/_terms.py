"""What a server agrees to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import attrs
from attrs.validators import instance_of, optional

from ...http import HeadersToSend, Request
from .._wire import Deflate, WebSocketLimits
from ._opening import ChooseSubprotocol

MakeHeaders: TypeAlias = HeadersToSend | Callable[[Request], HeadersToSend]
"""Further fields of the 101 response, or a function that makes them of a request."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# What the handshake itself decides over, and what a 101 cannot have.
_RESERVED = frozenset(
    (
        *("connection", "upgrade", "content-length", "transfer-encoding", "trailer"),
        *("sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol"),
    )
)


def _check_subprotocols(_: object, __: object, value: ChooseSubprotocol) -> None:
    if callable(value):
        return
    if isinstance(value, str):
        raise TypeError("subprotocols are a sequence of names, not one name")
    for name in value:
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a subprotocol")


def _check_origins(_: object, __: object, value: Sequence[str | None] | None) -> None:
    if isinstance(value, str):
        raise TypeError("origins are a sequence, not one origin")


@attrs.frozen(kw_only=True)
class Terms:
    """On what terms WebSockets are opened; the fields are parameters of `accept_websocket`."""

    subprotocols: ChooseSubprotocol = attrs.field(default=(), validator=_check_subprotocols)
    origins: Sequence[str | None] | None = attrs.field(default=None, validator=_check_origins)
    compression: Deflate | None = attrs.field(
        default=None, validator=optional(instance_of(Deflate))
    )
    limits: WebSocketLimits = attrs.field(factory=WebSocketLimits)
    headers: MakeHeaders = ()

    def make_headers(self, request: Request) -> list[tuple[str, str]]:
        """Return the application's own fields of the response to a request.

        Raises:
            ValueError: one of them is the handshake's.
        """
        made = self.headers(request) if callable(self.headers) else self.headers
        if isinstance(made, Mapping):
            made = cast("Mapping[str, str]", made).items()
        fields = list(made)
        for name, _ in fields:
            if name.lower() in _RESERVED:
                raise ValueError(f"the field {name!r} is the handshake's own")
        return fields
