"""What a URL means for a request: where it goes, and what its head says. Pure.

yarl parses (RFC 3986), percent-encodes and knows IDNA. What it mends in silence, such as a line
break in the middle, is refused here, since others would mend it in another way.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import attrs
from yarl import URL

from .._errors import InvalidURLError
from ._auth import basic_authorization

DEFAULT_PORTS = {"http": 80, "https": 443}
_ASKED_OVER = {"ws": "http", "wss": "https"}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What stands between the scheme and the path, where one program's "\\" is another one's "/".
_AUTHORITY = re.compile(r"(?:[^/?#]*:)?//(?:[^/?#]*@)?([^/?#]*)")
_PORT = re.compile(r"(?:\[[^\[\]]*:[^\[\]]*\]|[^\[\]:]*)(?::[0-9]*)?")
# The last label of what some read as an IPv4 address, be it octal, short or a single number.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LABEL = re.compile(r"[a-z0-9_\-]{1,63}")
_TARGET = re.compile(r"[\x21\x22\x24-\x7e]+")
_MAX_NAME = 253


@attrs.frozen
class Origin:
    """Whom a request is for (RFC 9110 section 4.3.1); requests with equal ones share connections.

    Parameters:
        scheme: "http" or "https".
        host: a name in lower case and ASCII, or an address; IPv6 without brackets.
        port: given or by default.
    """

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme == "https"

    @property
    def bracketed_host(self) -> str:
        """The host as it stands before a port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and port, as a ``CONNECT`` names them."""
        return f"{self.bracketed_host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_field}"

    @property
    def host_field(self) -> str:
        """The value of the ``Host`` field: the port only where it is not the scheme's own."""
        plain = self.port == DEFAULT_PORTS.get(self.scheme)
        return self.bracketed_host if plain else self.authority


@attrs.frozen
class Destination:
    """What a URL means for a request.

    Parameters:
        url: the URL without its user info, so that it can be shown.
        origin: whom to ask.
        target: for the request line: path and query.
        host: the value of the ``Host`` field.
        authorization: the value of an ``Authorization`` field, from user info; None without.
    """

    url: URL
    origin: Origin
    target: str
    host: str
    authorization: str | None

    @property
    def absolute_target(self) -> str:
        """The target as a proxy is asked for it (RFC 9112 section 3.2.2)."""
        return f"http://{self.host}{self.target}"


# The same few URLs are asked for again and again; a URL is hashed once.
@lru_cache(maxsize=1024)
def locate(url: str | URL) -> Destination:
    """Return what a URL means.

    Text is percent-encoded where it has to be, and international names become ASCII; a `yarl.URL`
    is taken as it is.

    Raises:
        InvalidURLError: it is not of http or https, has no host or one that cannot be, a port that
            cannot be, a control character, or white space around it.
    """
    parsed = parse_url(url)
    origin = _find_origin(parsed)
    target = parsed.raw_path_qs
    if not target.startswith("/") or _TARGET.fullmatch(target) is None:
        raise InvalidURLError(f"the path of {_show(parsed)!r} is not percent-encoded as it must be")
    authorization = None
    if parsed.raw_user is not None or parsed.raw_password is not None:
        try:
            authorization = basic_authorization(parsed.user or "", parsed.password or "")
        except ValueError as error:
            raise InvalidURLError(str(error)) from None
        parsed = parsed.with_user(None)
    return Destination(parsed, origin, target, origin.host_field, authorization)


def parse_url(url: str | URL) -> URL:
    """Return a URL as an object; text only if it means the same to everybody.

    Raises:
        InvalidURLError: it cannot be parsed, or only by mending it.
    """
    if isinstance(url, URL):
        return url
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a URL is a str or a yarl.URL, not {url!r}")
    if _CONTROL.search(url) or url != url.strip():
        raise InvalidURLError("a URL has no control characters, and no white space around it")
    authority = _AUTHORITY.match(url)
    if authority is not None:
        if "\\" in authority[0]:
            raise InvalidURLError("a URL has no backslash before its path")
        if _PORT.fullmatch(authority[1]) is None:
            raise InvalidURLError(f"{authority[1]!r} is not a host and a port")
    try:
        return URL(url)
    except ValueError as error:
        raise InvalidURLError(str(error)) from error


def as_http(url: str | URL) -> URL:
    """Return a URL as it is asked over HTTP where that is to go on as a WebSocket.

    Raises:
        InvalidURLError: as `parse_url`.
    """
    parsed = parse_url(url)
    scheme = _ASKED_OVER.get(parsed.scheme)
    # Without a host, yarl takes it for a path.
    return parsed if scheme is None or not parsed.raw_host else parsed.with_scheme(scheme)


def _find_origin(url: URL) -> Origin:
    if url.scheme not in DEFAULT_PORTS:
        raise InvalidURLError(f"{_show(url)!r} is neither of http nor of https")
    host = url.raw_host
    if not host:
        raise InvalidURLError(f"there is no host in {_show(url)!r}")
    _check_host(host)
    # Old releases of yarl give the default port for 0.
    if url.explicit_port == 0 or not url.port:
        raise InvalidURLError("there is no port 0")
    return Origin(url.scheme, host.lower(), url.port)


def _check_host(host: str) -> None:
    if ":" in host:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise InvalidURLError(f"{host!r} is no IPv6 address") from None
        if address.scope_id is not None:
            raise InvalidURLError("an address with a zone cannot stand in a URL here")
        return
    labels = host.lower().removesuffix(".").split(".")
    if len(host) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidURLError(f"{host!r} cannot be the name of a host")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            IPv4Address(host)
        except ValueError:
            raise InvalidURLError(f"{host!r} is neither a name nor an IPv4 address") from None


def _show(url: URL) -> str:
    """Return a URL as an error may show it, without a password."""
    return str(url.with_user(None)) if url.raw_host and url.scheme else str(url)
