"""A request on its way out: what its head says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import attrs

from .._headers import HeadersToSend, write_field, write_headers
from .._wire import RequestHead, ResponseHead
from ._bodies import RequestBody
from ._redirects import Asked
from ._urls import Destination

Field = tuple[bytes, bytes]

# Larger ones leave piece by piece, so that a slow server shows.
WHOLE = 256 * 1024

_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC 9110 section 9.2.2.
IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"))


@attrs.define(eq=False, kw_only=True)
class Outgoing:
    """One request, up to its last attempt.

    Parameters:
        asked: method, URL and fields, as redirects see them.
        body: what is sent with it.
        defaults: fields that are sent unless the request has its own.
        expect_continue: whether to wait for ``100 Continue`` before the body.
        on_informational: told of responses before the response.
        absolute: whether a proxy is asked for it with the whole URL.
        upgrades: whether it asks to go on in another protocol.
        extra: fields made anew for each hop: cookies of a jar, credentials of a proxy.
    """

    asked: Asked
    body: RequestBody
    defaults: tuple[Field, ...]
    expect_continue: bool = False
    on_informational: Callable[[ResponseHead], object] | None = None
    absolute: bool = False
    upgrades: bool = False
    extra: tuple[Field, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether the body is sent piece by piece, by a task of its own."""
        data = self.body.data
        if self.expect_continue and self.body.given:
            return True
        return data is None or len(data) > WHOLE

    @property
    def repeatable(self) -> bool:
        """Whether it does no harm to send it twice, as far as the method says."""
        return self.asked.method in IDEMPOTENT and self.body.sendable

    def ask_upgrade(self, protocol: str) -> None:
        """Ask to go on in another protocol."""
        offer = [write_field("connection", "upgrade"), write_field("upgrade", protocol)]
        self.asked = attrs.evolve(self.asked, fields=[*offer, *self.asked.fields])
        self.upgrades = True

    def head(self) -> RequestHead:
        """Return the head, with the body where that goes along."""
        asked, body = self.asked, self.body
        destination = asked.destination
        fields = [*self._fields(destination), *self.extra]
        target = destination.absolute_target if self.absolute else destination.target
        if not self.streams:
            return RequestHead(method=asked.method, target=target, fields=fields, body=body.data)
        if self.expect_continue:
            fields.append((b"expect", b"100-continue"))
        length = body.length if body.data is None else len(body.data)
        return RequestHead(
            method=asked.method, target=target, fields=fields, body=None, content_length=length
        )

    def _fields(self, destination: Destination) -> Iterable[Field]:
        own = self.asked.fields
        host = write_field("host", destination.host)
        if not own:
            return (host, *self.defaults)
        names = {name for name, _ in own}
        defaults = [field for field in self.defaults if field[0] not in names]
        return (*defaults, *own) if b"host" in names else (host, *defaults, *own)


def make_asked(
    method: str | None,
    destination: Destination,
    headers: HeadersToSend,
    body: RequestBody,
) -> Asked:
    """Return a request for what a caller gives.

    Raises:
        ValueError: the method is none, or is CONNECT.
        BadFieldError: a header cannot be sent.
    """
    if method is None:
        method = "POST" if body.given else "GET"
    elif _METHOD.fullmatch(method) is None:
        raise ValueError(f"{method!r} is no method")
    else:
        # They are told apart by case, and nobody means another one by "get".
        method = method.upper()
        if method == "CONNECT":
            raise ValueError("a CONNECT has no response but a tunnel: give the client a proxy")
    fields = write_headers(headers) if headers else []
    if body.content_type is not None and not _has(fields, b"content-type"):
        fields.append(write_field("content-type", body.content_type))
    if destination.authorization is not None and not _has(fields, b"authorization"):
        fields.append(write_field("authorization", destination.authorization))
    return Asked(
        method=method,
        destination=destination,
        fields=fields,
        has_body=body.given,
        repeatable=body.repeatable,
    )


def _has(fields: Iterable[Field], name: bytes) -> bool:
    return any(found == name for found, _ in fields)
