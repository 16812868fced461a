"""What a server agrees to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs
from attrs.validators import instance_of, optional

from ...http import HeadersToSend, Request
from .._wire import Deflate, WebSocketLimits, as_fields, check_subprotocols
from ._opening import ChooseSubprotocol

MakeHeaders: TypeAlias = HeadersToSend | Callable[[Request], HeadersToSend]
"""Further fields of the 101 response, or a function that makes them of a request."""


def _check_subprotocols(_: object, __: object, value: ChooseSubprotocol) -> None:
    if not callable(value):
        check_subprotocols(value)


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
        return as_fields(self.headers(request) if callable(self.headers) else self.headers)
