"""Where a response sends its request next: a pure decision (row Z9).

The rules are those of RFC 9110 section 15.4 and of the Fetch standard, with the strict choice where
they leave one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote_from_bytes

import attrs

from .._errors import InvalidURLError, RedirectError, TooManyRedirectsError
from .._wire import Fields
from ._urls import Destination, Origin, as_http, locate, parse_url

DEFAULT_MAX_REDIRECTS = 3

_STATUSES = frozenset((301, 302, 303, 307, 308))
# Fields that say who asks, or whom: another origin gets none of them. What names a body goes with
# the body.
_FOR_ONE_ORIGIN = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"host"))
_OF_A_BODY = frozenset((b"expect", b"trailer", b"digest", b"repr-digest", b"transfer-encoding"))
_NOT_ASCII = re.compile(rb"[^\x21-\x7e]+")


@attrs.frozen(kw_only=True, eq=False)
class Asked:
    """A request, as far as a redirect is concerned with it.

    Parameters:
        method: as it was sent.
        destination: where it was sent.
        fields: those that the user or the client gave, user info of the URL included; names in
            lower case. Not what is made anew for each request: ``Host``, cookies of a jar, the
            credentials of a proxy.
        has_body: whether it had a body.
        repeatable: whether that body can be sent again: bytes can, an iterator cannot.
    """

    method: str
    destination: Destination
    fields: Fields = ()
    has_body: bool = False
    repeatable: bool = True


class Redirects:
    """The way of one request from URL to URL.

    Parameters:
        max_redirects: followed at most; 0 follows none, and gives the redirect as the response.
        allow_downgrade: whether a redirect may lead from https to http.
        allow_return: whether the same request may be sent twice, as it is rightly where the first
            response has set a cookie. Otherwise that is an error at once.
        upgrades: whether a redirect may lead to a URL of ws or wss, which is asked over HTTP.
    """

    def __init__(
        self,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        *,
        allow_downgrade: bool = False,
        allow_return: bool = False,
        upgrades: bool = False,
    ) -> None:
        self.followed = 0
        """Redirects so far."""
        self._max_redirects = max_redirects
        self._allow_downgrade = allow_downgrade
        self._allow_return = allow_return
        self._parse = as_http if upgrades else parse_url
        self._seen: set[tuple[str, Origin, str]] = set()

    def follow(self, asked: Asked, status: int, fields: Fields) -> Asked | None:
        """Return the request that a response asks for; None if the response is the last.

        Parameters:
            asked: the request that was answered.
            status: of the response.
            fields: of the response.

        Raises:
            RedirectError: the redirect cannot or must not be followed.
            TooManyRedirectsError: it is one more than `max_redirects`.
        """
        if status not in _STATUSES or not self._max_redirects:
            return None
        location = _find_location(status, fields)
        if location is None:
            return None
        if self.followed == self._max_redirects:
            raise TooManyRedirectsError(
                f"more than {self._max_redirects} redirects, the last to {location}",
                status,
                location,
            )
        destination = self._find_next(asked.destination, status, location)
        following = _change(asked, status, destination)
        if following.has_body and not following.repeatable:
            raise RedirectError(
                "the body would have to be sent again, and cannot be", status, location
            )
        self._note(asked, following, status, location)
        self.followed += 1
        return following

    def _find_next(self, current: Destination, status: int, location: str) -> Destination:
        """Return where a location leads."""
        try:
            url = current.url.join(self._parse(location))
            if not url.raw_fragment and current.url.raw_fragment:
                url = url.with_fragment(current.url.fragment)
            # Whoever redirects does not choose as whom we log in.
            destination = locate(url.with_user(None) if url.raw_host else url)
        except InvalidURLError as error:
            raise RedirectError(f"the redirect leads nowhere: {error}", status, location) from error
        except ValueError as error:
            raise RedirectError("the redirect leads nowhere", status, location) from error
        downgrade = current.origin.secure and not destination.origin.secure
        if downgrade and not self._allow_downgrade:
            raise RedirectError("the redirect leads from https to http", status, location)
        return destination

    def _note(self, asked: Asked, following: Asked, status: int, location: str) -> None:
        self._seen.add(_identity(asked))
        if _identity(following) in self._seen and not self._allow_return:
            raise RedirectError("the redirects lead in a circle", status, location)


def _identity(asked: Asked) -> tuple[str, Origin, str]:
    return asked.method, asked.destination.origin, asked.destination.target


def _find_location(status: int, fields: Fields) -> str | None:
    """Return the one ``Location`` as a URL or a part of one, in ASCII; None without."""
    found = {value for name, value in fields if name == b"location"}
    if not found:
        return None
    raw = found.pop()
    # Servers send other bytes as they are, and mean UTF-8; whatever they are, they stay the same.
    location = _NOT_ASCII.sub(lambda match: quote_from_bytes(match[0]).encode("ascii"), raw)
    text = location.decode("ascii")
    if found:
        raise RedirectError("there are several locations, and they differ", status, text)
    return text


def _change(asked: Asked, status: int, destination: Destination) -> Asked:
    """Return the request as it goes on to another place."""
    to_get = (status == 303 and asked.method not in ("GET", "HEAD")) or (
        status in (301, 302) and asked.method == "POST"
    )
    fields = [field for field in asked.fields if not (to_get and _names_a_body(field[0]))]
    if destination.origin != asked.destination.origin:
        fields = for_any_origin(fields)
    if not to_get:
        return attrs.evolve(asked, destination=destination, fields=fields)
    return Asked(method="GET", destination=destination, fields=fields)


def for_any_origin(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return those fields that a server may see to which another one has led."""
    return [field for field in fields if field[0] not in _FOR_ONE_ORIGIN]


def _names_a_body(name: bytes) -> bool:
    return name.startswith(b"content-") or name in _OF_A_BODY
