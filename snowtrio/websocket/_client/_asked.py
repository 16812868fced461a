"""What is asked of a server when a WebSocket is opened. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
from attrs.validators import ge, instance_of, optional
from yarl import URL

from ...http import InvalidURLError, Timeouts
from ...http._client import as_http, locate
from ...http._headers import write_headers
from ...http._wire import write_fields
from .._wire import VERSION, Deflate, WebSocketLimits, as_fields, check_subprotocols, offer

_SCHEME = re.compile(r"wss?:", re.IGNORECASE)


def _check_url(_: object, __: object, url: str | URL) -> None:
    text = str(url)
    if _SCHEME.match(text) is None:
        scheme = text.partition(":")[0]
        raise InvalidURLError(f"the URL of a WebSocket begins with ws: or wss:, not {scheme!r}")
    if "#" in text:
        raise InvalidURLError("the URL of a WebSocket has no fragment; write %23 for a #")
    asked = as_http(url)
    if not asked.raw_host:
        raise InvalidURLError(f"there is no host in {text!r}")
    locate(asked)


def _check_subprotocols(_: object, __: object, names: Sequence[str]) -> None:
    check_subprotocols(names)
    if len(set(names)) < len(names):
        raise ValueError("a subprotocol is offered once")


def _as_limits(limits: WebSocketLimits | None) -> WebSocketLimits:
    return limits if limits is not None else WebSocketLimits()


def _as_timeouts(timeout: float | Timeouts | None) -> Timeouts | None:
    """Return one deadline over everything, for a number."""
    if timeout is None or isinstance(timeout, Timeouts):
        return timeout
    return Timeouts(total=timeout, waiting=None, connect=None, response=None)


@attrs.frozen(kw_only=True)
class Asked:
    """A WebSocket that is wanted; the fields are parameters of `open_websocket`.

    Raises:
        InvalidURLError: the URL is not one of a WebSocket.
        ValueError: a subprotocol is no token, or is there twice; a header is the handshake's own,
            or the origin is given twice.
        BadFieldError: a header or the origin cannot be sent.
        TypeError: an argument is not of its type; the subprotocols are one text.
    """

    url: str | URL = attrs.field(validator=_check_url)
    subprotocols: Sequence[str] = attrs.field(validator=_check_subprotocols)
    headers: Sequence[tuple[str, str]] = attrs.field(converter=as_fields)
    origin: str | None
    compression: Deflate | None = attrs.field(validator=optional(instance_of(Deflate)))
    limits: WebSocketLimits = attrs.field(
        converter=_as_limits, validator=instance_of(WebSocketLimits)
    )
    timeouts: Timeouts | None = attrs.field(alias="timeout", converter=_as_timeouts)
    max_redirects: int = attrs.field(validator=ge(0))

    def __attrs_post_init__(self) -> None:
        if self.origin is not None and any(name.lower() == "origin" for name, _ in self.headers):
            raise ValueError("the Origin is given twice")
        write_fields(write_headers(self.make_fields("")))

    @property
    def shown(self) -> str:
        """The URL without user info."""
        return str(URL(self.url).with_user(None))

    def make_fields(self, key: str) -> list[tuple[str, str]]:
        """Return the fields that ask for it (RFC 6455, section 4.1)."""
        fields = [("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", VERSION)]
        extension = offer(self.compression)
        if extension is not None:
            fields.append(("Sec-WebSocket-Extensions", extension))
        if self.subprotocols:
            fields.append(("Sec-WebSocket-Protocol", ", ".join(self.subprotocols)))
        if self.origin is not None:
            fields.append(("Origin", self.origin))
        return [*fields, *self.headers]
