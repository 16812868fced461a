"""Where a redirect leads, and what goes there."""

from __future__ import annotations

import pytest

from snowtrio.http._client._redirects import Asked, Redirects
from snowtrio.http._client._urls import locate
from snowtrio.http._errors import RedirectError, TooManyRedirectsError

FIELDS = (
    (b"authorization", b"a"),
    (b"cookie", b"c"),
    (b"proxy-authorization", b"p"),
    (b"host", b"h"),
    (b"content-type", b"text/plain"),
    (b"content-language", b"de"),
    (b"expect", b"100-continue"),
    (b"accept", b"*/*"),
)
OF_A_BODY = {b"content-type", b"content-language", b"expect"}
FOR_ONE_ORIGIN = {b"authorization", b"cookie", b"proxy-authorization", b"host"}


def ask(url: str = "http://h/a/b?q", method: str = "GET", body: bool | None = None) -> Asked:
    """Return a request; with body=False it has one that cannot be sent again."""
    return Asked(
        method=method,
        destination=locate(url),
        fields=FIELDS,
        has_body=body is not None,
        repeatable=body is not False,
    )


def follow(asked: Asked, location: str | bytes, status: int = 302, **rules: bool) -> Asked:
    raw = location.encode() if isinstance(location, str) else location
    following = Redirects(**rules).follow(asked, status, [(b"location", raw)])
    assert following is not None
    return following


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("c", "http://h/a/c"),
        ("/c", "http://h/c"),
        ("?z", "http://h/a/b?z"),
        ("../../../x", "http://h/x"),
        ("./", "http://h/a/"),
        ("//o/c", "http://o/c"),
        ("http://o", "http://o/"),
        ("https://o:1/c#f", "https://o:1/c#f"),
        ("HTTP://O/", "http://o/"),
        ("c d", "http://h/a/c%20d"),
        ("/ü", "http://h/%C3%BC"),
        (b"/\xfc", "http://h/%FC"),
        ("/%2F?x=%26", "http://h/%2F?x=%26"),
        ("//user:password@o/", "http://o/"),
        ("http://[::1]:80/", "http://[::1]/"),
    ],
)
def test_where_a_location_leads(location: str | bytes, url: str) -> None:
    """Z9: relative, absolute, of the same protocol, and with bytes that belong in none."""
    following = follow(ask(), location)
    destination, expected = following.destination, locate(url)
    assert (destination.origin, destination.target) == (expected.origin, expected.target)
    assert destination.url.raw_fragment == expected.url.raw_fragment
    assert destination.url.raw_user is None
    assert following.destination.authorization is None


@pytest.mark.parametrize(
    "location",
    [
        *("", "b?q", "#f", "/a/b?q", "//h/a/b?q", "http://", "//"),  # to where it came from
        *("javascript:alert(1)", "data:,x", "file:///etc/passwd", "ftp://h/", "mailto:a@b"),
        *("http://[", "http://h:99999/", "http://h:0/", "http://a..b/", "//h%00/", "//a\\b/"),
    ],
)
def test_locations_that_lead_nowhere(location: str) -> None:
    """Z9: the error has what the server said."""
    with pytest.raises(RedirectError) as caught:
        follow(ask(), location)
    assert (caught.value.status, caught.value.location) == (302, location)


@pytest.mark.parametrize("status", [200, 201, 204, 300, 304, 305, 306, 309, 400, 404])
def test_other_statuses_lead_nowhere(status: int) -> None:
    """Z9."""
    assert Redirects().follow(ask(), status, [(b"location", b"/x")]) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_without_a_location_it_is_the_response(status: int) -> None:
    """Z9."""
    assert Redirects().follow(ask(), status, [(b"server", b"x")]) is None


def test_of_several_locations_none_is_chosen() -> None:
    """Z9: unless they are one."""
    with pytest.raises(RedirectError, match="several"):
        Redirects().follow(ask(), 302, [(b"location", b"/x"), (b"location", b"/y")])
    following = Redirects().follow(ask(), 302, [(b"location", b"/x"), (b"location", b"/x")])
    assert following is not None


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("GET", 301, "GET"),
        ("GET", 302, "GET"),
        ("GET", 303, "GET"),
        ("GET", 307, "GET"),
        ("GET", 308, "GET"),
        ("HEAD", 301, "HEAD"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("PUT", 307, "PUT"),
        ("DELETE", 303, "GET"),
        ("QUERY", 302, "QUERY"),
        ("OPTIONS", 303, "GET"),
    ],
)
def test_methods(method: str, status: int, expected: str) -> None:
    """Z9: what becomes a GET has no body, and no fields that speak of one."""
    body = True if method in ("POST", "PUT", "QUERY") else None
    following = follow(ask(method=method, body=body), "/x", status)
    assert following.method == expected
    changed = method not in ("GET", "HEAD") and expected == "GET"
    assert following.has_body == (body is True and not changed)
    names = {name for name, _ in following.fields}
    assert names.isdisjoint(OF_A_BODY) if changed else names >= OF_A_BODY
    assert names >= {b"accept", b"host", b"authorization"}


@pytest.mark.parametrize(
    ("status", "method"), [(307, "POST"), (308, "POST"), (301, "PUT"), (302, "PUT")]
)
def test_a_body_that_is_gone_is_not_sent_again(status: int, method: str) -> None:
    """Z9: an iterator is read once."""
    with pytest.raises(RedirectError, match="again"):
        follow(ask(method=method, body=False), "/x", status)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_body_that_is_not_needed_any_more_may_be_gone(status: int) -> None:
    """Z9."""
    assert not follow(ask(method="POST", body=False), "/x", status).has_body


@pytest.mark.parametrize(
    ("location", "same"),
    [
        ("/x", True),
        ("http://h:80/x", True),
        ("http://H/x", True),
        ("http://h:81/x", False),
        ("https://h/x", False),
        ("http://h.evil.example/x", False),
        ("http://sub.h/x", False),
        ("http://h./x", False),
        ("//o/x", False),
    ],
)
def test_credentials_stay_with_their_origin(location: str, same: bool) -> None:
    """Z9: scheme, host and port must be the same."""
    names = {name for name, _ in follow(ask(), location).fields}
    assert names & FOR_ONE_ORIGIN == (FOR_ONE_ORIGIN if same else set())
    assert b"accept" in names


def test_credentials_do_not_come_back() -> None:
    """Z9: by way of another origin."""
    redirects = Redirects()
    away = redirects.follow(ask(), 302, [(b"location", b"//o/")])
    assert away is not None
    back = redirects.follow(away, 302, [(b"location", b"http://h/x")])
    assert back is not None
    assert not {name for name, _ in back.fields} & FOR_ONE_ORIGIN


def test_no_way_back_from_tls() -> None:
    """Z9: unless it is allowed."""
    with pytest.raises(RedirectError, match="https to http"):
        follow(ask("https://h/"), "http://h/x")
    plain = follow(ask("https://h/"), "http://h/x", allow_downgrade=True)
    assert not plain.destination.origin.secure
    assert follow(ask("https://h/"), "//o/x").destination.origin.secure


def test_a_fragment_is_inherited() -> None:
    """Z9: by a location that has none."""
    assert follow(ask("http://h/#f%20g"), "/x").destination.url.raw_fragment == "f%20g"
    assert follow(ask("http://h/#f"), "/x#y").destination.url.raw_fragment == "y"


def test_three_and_no_more() -> None:
    """Z9."""
    redirects, asked = Redirects(), ask()
    for number in range(3):
        following = redirects.follow(asked, 302, [(b"location", b"/%d" % number)])
        assert following is not None
        asked = following
    assert redirects.followed == 3
    with pytest.raises(TooManyRedirectsError) as caught:
        redirects.follow(asked, 301, [(b"location", b"/4")])
    assert (caught.value.status, caught.value.location) == (301, "/4")
    assert redirects.follow(asked, 200, []) is None


def test_none_is_followed_where_none_is_wanted() -> None:
    """Z9: the redirect is the response."""
    assert Redirects(0).follow(ask(), 302, [(b"location", b"/x")]) is None


def test_circles() -> None:
    """Z9: an error, long before the bound; cookies may make it none."""
    redirects = Redirects(100)
    there = redirects.follow(ask("http://h/1"), 302, [(b"location", b"/2")])
    assert there is not None
    with pytest.raises(RedirectError, match="circle"):
        redirects.follow(there, 302, [(b"location", b"/1#other")])
    again = follow(ask("http://h/1"), "/1", allow_return=True)
    assert again.destination.target == "/1"


def test_another_method_is_another_request() -> None:
    """Z9: a form that leads back to its own page."""
    assert follow(ask("http://h/form", "POST", body=True), "/form", 303).method == "GET"
