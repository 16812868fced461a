"""Cookies, where a client is given a jar."""

from __future__ import annotations

from http.cookiejar import CookieJar as StandardJar

import pytest
from yarl import URL

from snowtrio.http._client._cookies import CookieJar


def take(jar: CookieJar, url: str, *cookies: bytes) -> None:
    jar.take(URL(url), [(b"set-cookie", cookie) for cookie in cookies])


@pytest.mark.parametrize(
    ("url", "cookie", "asked", "sent"),
    [
        ("http://h/", b"a=1", "http://h/x?y", "a=1"),
        ("http://h/", b"a=1", "http://o/", None),
        ("http://h:1/", b"a=1", "http://h:2/", "a=1"),  # cookies know no ports
        ("http://h/x/y", b"a=1", "http://h/x/z", "a=1"),
        ("http://h/", b"a=1; Path=/x", "http://h/x/y", "a=1"),
        ("http://h/", b"a=1; Path=/x", "http://h/", None),
        ("http://w.e.example/", b"a=1", "http://e.example/", None),
        ("http://w.e.example/", b"a=1", "http://x.w.e.example/", None),
        ("http://w.e.example/", b"a=1; Domain=e.example", "http://v.e.example/", "a=1"),
        ("http://w.e.example/", b"a=1; Domain=f.example", "http://f.example/", None),
        ("http://e.com/", b"a=1; Domain=com", "http://f.com/", None),
        ("http://e.co.uk/", b"a=1; Domain=co.uk", "http://f.co.uk/", None),
        ("https://h/", b"a=1; Secure", "https://h/", "a=1"),
        ("https://h/", b"a=1; Secure", "http://h/", None),
        ("http://h/", b"a=1; HttpOnly; SameSite=Lax", "http://h/", "a=1"),
        ("http://h/", b"a=1; Max-Age=60", "http://h/", "a=1"),
        ("http://h/", b"a=1; Max-Age=0", "http://h/", None),
        ("http://h/", b"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://h/", None),
        ("http://127.0.0.1/", b"a=1", "http://127.0.0.1/", "a=1"),
        ("http://127.0.0.1/", b"a=1", "http://127.0.0.2/", None),
        ("http://[::1]:8/", b"a=1", "http://[::1]:8/", "a=1"),
        ("http://h/", b"", "http://h/", None),
        ("http://h/", b";;;=", "http://h/", None),
        ("http://h/", b"a=" + bytes(9000), "http://h/", None),
    ],
)
def test_what_is_kept_and_for_whom(url: str, cookie: bytes, asked: str, sent: str | None) -> None:
    """Z9: host, domain, path, TLS and age decide."""
    jar = CookieJar()
    take(jar, url, cookie)
    assert jar.value_for(URL(asked)) == sent


def test_several_cookies_go_in_one_field() -> None:
    """Z9: and a new value takes the place of the old one."""
    jar = CookieJar()
    take(jar, "http://h/", b"a=1", b"b=2; Path=/x", b'c="3 4"')
    take(jar, "http://h/", b"a=5")
    assert jar.value_for(URL("http://h/x")) == 'b=2; a=5; c="3 4"'
    assert {cookie.name for cookie in jar} == {"a", "b", "c"}
    assert len(jar) == 3
    jar.clear()
    assert jar.value_for(URL("http://h/x")) is None


def test_no_field_no_cookie() -> None:
    """Z9."""
    jar = CookieJar()
    jar.take(URL("http://h/"), [(b"x-set-cookie", b"a=1")])
    assert not len(jar)


def test_a_server_cannot_fill_the_memory() -> None:
    """Z9: the oldest go; those of others stay."""
    jar = CookieJar()
    take(jar, "http://other.example/", b"mine=1")
    for start in range(0, 500, 100):
        take(jar, "http://h/", *(b"n%d=1" % number for number in range(start, start + 100)))
    names = {cookie.name for cookie in jar}
    assert len(jar) == 151
    assert names >= {"mine", "n499"}


def test_many_servers_cannot_either() -> None:
    """Z9."""
    jar = CookieJar()
    for server in range(25):
        cookies = (b"n%d=1" % number for number in range(140))
        take(jar, f"http://{server}.example/", *cookies)
    assert len(jar) == 3000
    assert jar.value_for(URL("http://24.example/"))
    assert not jar.value_for(URL("http://0.example/"))


def test_domains_can_be_named() -> None:
    """Z9."""
    jar = CookieJar(allowed_domains=("good.example",))
    take(jar, "http://good.example/", b"a=1")
    take(jar, "http://other.example/", b"b=2")
    assert [cookie.name for cookie in jar] == ["a"]


def test_a_jar_of_the_standard_library() -> None:
    """Z9: for instance one that can be saved."""
    standard = StandardJar()
    take(CookieJar(jar=standard), "http://h/", b"a=1")
    assert [cookie.name for cookie in standard] == ["a"]
    assert CookieJar(jar=standard).value_for(URL("http://h/")) == "a=1"
