"""What llhttp lets through and nobody should believe: pure decisions about heads."""

from __future__ import annotations

import re

from .._errors import BadMessageError
from ._events import Fields

# Names, IPv4 addresses and IPv6 addresses in brackets, with a port perhaps (RFC 9110 section 4.2.3,
# RFC 3986 section 3.2.2). Not whether such a host can be: only that all who read it see the same.
_HOST = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(?:[/?].*)?", re.IGNORECASE)

# The reason may be left out together with the space before it: many do.
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) [0-9]{3}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")

# llhttp parses the methods of RTSP and of its own relatives as well.
METHODS = {
    method.encode(): method
    for method in (
        *("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"),
        *("COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND"),
        *("REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "M-SEARCH"),
        *("NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "MKCALENDAR", "LINK", "UNLINK"),
    )
}

# What decides over the message itself; the others are only carried.
_DECIDING = frozenset(
    (b"host", b"connection", b"transfer-encoding", b"content-length", b"expect", b"upgrade")
)
BESIDES_HOST = _DECIDING - {b"host"}
_SINGLE = frozenset((b"host", b"content-length", b"transfer-encoding"))


def check_request_line(raw: bytes, method: bytes, target: bytes) -> str:
    """Return the version, or refuse a request line of which llhttp has skipped something.

    It takes any number of spaces, and the names of other protocols.
    """
    if raw.startswith(method + b" " + target + b" HTTP/1.1\r\n"):
        return "1.1"
    if raw.startswith(b"%b %b HTTP/1.0\r\n" % (method, target)):
        return "1.0"
    if raw.startswith((b"%b %b HTTP/" % (method, target), b"%b %b\r\n" % (method, target))):
        raise BadMessageError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    raise BadMessageError(400, "the request line is not a method, a target and a version")


def check_status_line(raw: bytes, status: int) -> str:
    """Return the version, or refuse a status line of which llhttp has skipped something."""
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise BadMessageError(502, "the status line is not a version, a status and a reason")
    if status < 100:
        raise BadMessageError(502, f"there is no status {status}")
    return "1.0" if match[1] == b"0" else "1.1"


def look_up(fields: Fields) -> dict[bytes, bytes]:
    """Return fields by name, all of them or those that `find_deciding` returns, and as it does."""
    known = dict(fields)
    return known if len(known) == len(fields) else find_deciding(fields)


def find_deciding(fields: Fields) -> dict[bytes, bytes]:
    """Return the fields that decide over the message itself, or refuse two where one may be."""
    known: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in _DECIDING:
            if name not in known:
                known[name] = value
            elif name in _SINGLE:
                raise BadMessageError(400, f"there are two {name.decode()} fields")
            else:
                known[name] = b"%b, %b" % (known[name], value)
    return known


def check_host(host: bytes | None, version: str) -> bytes:
    """Return a good host, or refuse a request without one (RFC 9112 section 3.2)."""
    if host is None:
        if version != "1.0":
            raise BadMessageError(400, "there is no host field")
        return b""
    if _HOST.fullmatch(host) is None:
        raise BadMessageError(400, "the host field is no host")
    return host


def check_target(method: str, target: bytes, host: bytes | None) -> None:
    """Refuse a target whose form does not belong to the method (RFC 9112 section 3.2)."""
    if ord("#") in target:  # Looking for bytes in bytes takes ten times as long.
        raise BadMessageError(400, "the target has a fragment")
    if method == "CONNECT":
        if _AUTHORITY.fullmatch(target) is None:
            raise BadMessageError(400, "the target of CONNECT is not host:port")
    elif target.startswith(b"/"):
        return
    elif target != b"*" or method != "OPTIONS":
        _check_absolute(target, host)


def _check_absolute(target: bytes, host: bytes | None) -> None:
    match = _ABSOLUTE.fullmatch(target)
    if match is None or _HOST.fullmatch(match[1]) is None:
        raise BadMessageError(400, "the target has a form that does not belong here")
    if host is not None and match[1].lower() != host.lower():
        # Whoever routes by one and whoever routes by the other would disagree.
        raise BadMessageError(400, "the target and the host field name different hosts")


def check_coding(coding: bytes, version: str) -> None:
    """Refuse a transfer coding other than chunked, or any for HTTP/1.0 (RFC 9112 section 6.1)."""
    if version == "1.0":
        raise BadMessageError(400, "HTTP/1.0 has no transfer codings")
    if coding.lower() != b"chunked":
        raise BadMessageError(501, "the only transfer coding known here is chunked")


def keeps_alive(connection: bytes, version: str) -> bool:
    """Whether a ``Connection`` field lets another message follow (RFC 9112 section 9.3)."""
    if not connection:
        return version != "1.0"
    options = [option.strip().lower() for option in connection.split(b",")]
    if b"close" in options:
        return False
    return version != "1.0" or b"keep-alive" in options
