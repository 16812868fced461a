"""Cookies, by the standard library's ``http.cookiejar``.

That speaks the language of ``urllib.request``: its `urllib.request.Request` stands for a request
here, and a small class for a response.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from http.cookiejar import Cookie, DefaultCookiePolicy
from http.cookiejar import CookieJar as StandardJar
from typing import Any, cast
from urllib.request import Request

from yarl import URL

from .._wire import Fields

# RFC 6265 section 6.1 asks for 4096 bytes of a cookie, 50 of a domain and 3000 in all.
_MAX_FIELD = 8192
_MAX_OF_DOMAIN = 150
_MAX_COOKIES = 3000


class CookieJar:
    """Keeps the cookies that servers set, and says which go with a request.

    A client has none unless it is given one: ``HTTPClient(cookies=CookieJar())``. It may be shared
    between clients. Cookies of domains such as ``co.uk`` are refused by rule, not by the list of
    public suffixes, which the standard library does not have: a server below a suffix that it
    does not know (``github.io``) can set a cookie that its neighbours get. Where secrets are in
    cookies, use a jar for each site, or allow domains by name.

    Parameters:
        allowed_domains: set and sent for these alone, where given; a name with a dot before it
            allows what is below it.
        jar: one of the standard library's to keep them in, such as an
            `http.cookiejar.MozillaCookieJar`, which can be saved and loaded; its policy is its own.
    """

    def __init__(
        self,
        *,
        allowed_domains: tuple[str, ...] | None = None,
        jar: StandardJar | None = None,
    ) -> None:
        self._jar = jar if jar is not None else StandardJar(_make_policy(allowed_domains))

    def __iter__(self) -> Iterator[Cookie]:
        return iter(self._jar)

    def __len__(self) -> int:
        return len(self._jar)

    def clear(self) -> None:
        """Forget all cookies."""
        self._jar.clear()

    def value_for(self, url: URL) -> str | None:
        """Return the value of the ``Cookie`` field of a request, None where there is none."""
        request = Request(str(url))  # noqa: S310 - nothing is opened; http and https alone come here
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def take(self, url: URL, fields: Fields) -> None:
        """Keep what a response sets.

        Parameters:
            url: what was asked.
            fields: of the response.
        """
        found = [value for name, value in fields if name == b"set-cookie"]
        found = [value for value in found if len(value) <= _MAX_FIELD]
        if not found:
            return
        request = Request(str(url))  # noqa: S310 - as above
        # It wants of a response what `http.client.HTTPResponse` has of it: info().
        self._jar.extract_cookies(cast("Any", _Response(found)), request)
        self._keep_bound()

    def _keep_bound(self) -> None:
        """Forget the oldest of those that are too many, of each domain and in all."""
        if len(self._jar) <= _MAX_OF_DOMAIN:
            return
        self._jar.clear_expired_cookies()
        kept: dict[str, int] = {}
        for number, cookie in enumerate(reversed(list(self._jar))):
            of_domain = kept[cookie.domain] = kept.get(cookie.domain, 0) + 1
            if of_domain > _MAX_OF_DOMAIN or number >= _MAX_COOKIES:
                self._jar.clear(cookie.domain, cookie.path, cookie.name)


class _Response:
    """A response as the standard library's jar asks it."""

    def __init__(self, cookies: list[bytes]) -> None:
        self._message = Message()
        for cookie in cookies:
            self._message["Set-Cookie"] = cookie.decode("latin-1")

    def info(self) -> Message:
        """Return the fields."""
        return self._message


def _make_policy(allowed_domains: tuple[str, ...] | None) -> DefaultCookiePolicy:
    return DefaultCookiePolicy(
        allowed_domains=allowed_domains,
        strict_domain=True,
        strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain,
        strict_ns_set_initial_dollar=True,
        secure_protocols=("https", "wss"),
    )
