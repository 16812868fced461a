"""What a URL means for a request."""

from __future__ import annotations

import pytest
from yarl import URL

from snowtrio.http._client._auth import basic_authorization, bearer_authorization
from snowtrio.http._client._urls import Origin, locate
from snowtrio.http._errors import InvalidURLError


@pytest.mark.parametrize(
    ("url", "origin", "target", "host"),
    [
        ("http://h", Origin("http", "h", 80), "/", "h"),
        ("http://h/", Origin("http", "h", 80), "/", "h"),
        ("HTTP://Example.COM/A", Origin("http", "example.com", 80), "/A", "example.com"),
        ("http://h:80/x", Origin("http", "h", 80), "/x", "h"),
        ("http://h:443/x", Origin("http", "h", 443), "/x", "h:443"),
        ("https://h/x", Origin("https", "h", 443), "/x", "h"),
        ("https://h:8443/x", Origin("https", "h", 8443), "/x", "h:8443"),
        ("http://h:/x", Origin("http", "h", 80), "/x", "h"),
        ("http://h?a=b?c/d", Origin("http", "h", 80), "/?a=b?c/d", "h"),
        ("http://h#f", Origin("http", "h", 80), "/", "h"),
        ("http://h/a/../b/./c//d", Origin("http", "h", 80), "/b/c//d", "h"),
        ("http://h/a b?c d", Origin("http", "h", 80), "/a%20b?c+d", "h"),
        ("http://h/ü%2F?ü", Origin("http", "h", 80), "/%C3%BC%2F?%C3%BC", "h"),
        ("http://h/\\", Origin("http", "h", 80), "/%5C", "h"),
        ("http://münchen.de", Origin("http", "xn--mnchen-3ya.de", 80), "/", "xn--mnchen-3ya.de"),
        ("http://a_b.c-d./", Origin("http", "a_b.c-d.", 80), "/", "a_b.c-d."),
        ("http://127.0.0.1:8000/", Origin("http", "127.0.0.1", 8000), "/", "127.0.0.1:8000"),
        ("http://[::1]/", Origin("http", "::1", 80), "/", "[::1]"),
        ("https://[::1]:8/", Origin("https", "::1", 8), "/", "[::1]:8"),
    ],
)
def test_where_a_url_leads(url: str, origin: Origin, target: str, host: str) -> None:
    """Z7: the same for text and for an object."""
    for given in (url, URL(url)):
        destination = locate(given)
        assert destination.origin == origin
        assert (destination.target, destination.host) == (target, host)
        assert destination.absolute_target == f"http://{host}{target}"
        assert destination.authorization is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "h/x",
        "//h/x",
        "http:",
        "http:h",
        "http://",
        "http:///x",
        "http://:80/",
        "ftp://h/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://h:-1/",
        " http://h/",
        "http://h/ ",
        "http://h/\r\nX: y",
        "http://h/\tx",
        "http://h/\0",
        "ht\ntp://h/",
        "http://h\n/",
        "http://h/\x7f",
        "http://a b/",
        "http://h%2Fx/",
        "http://h%00/",
        "http://a..b/",
        "http://.a/",
        "http://[::1/",
        "http://[::g]/",
        "http://[fe80::1%25eth0]/",
        "http://[1.2.3.4]/",
        "http://evil.example\\@good.example/",
        "http://good.example\\.evil.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "aa/",
        "http://h!/",
        "http://a%3Ab@h/",
    ],
)
def test_what_is_no_url_to_ask(url: str) -> None:
    """Z7: refused before anything is sent, as a ValueError too."""
    with pytest.raises(InvalidURLError):
        locate(url)
    with pytest.raises(ValueError):  # noqa: PT011 - that it is one at all
        locate(url)


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/a#b", "/ü", "/a\0"])
def test_an_object_that_says_it_is_encoded_is_not_believed(path: str) -> None:
    """Z7."""
    with pytest.raises(InvalidURLError):
        locate(URL.build(scheme="http", host="h", path=path, encoded=True))


def test_what_is_no_url_at_all() -> None:
    """Z7."""
    with pytest.raises(TypeError):
        locate(b"http://h/")


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("http://u:p@h/", "u", "p"),
        ("http://u@h/", "u", ""),
        ("http://:p@h/", "", "p"),
        ("http://u%40x:p%3A%2F%0A@h/", "u@x", "p:/\n"),
        ("http://ü:ü@h/", "ü", "ü"),
    ],
)
def test_user_info_becomes_a_field_and_is_shown_no_more(url: str, user: str, password: str) -> None:
    """Z7."""
    destination = locate(url)
    assert destination.authorization == basic_authorization(user, password)
    assert str(destination.url) == "http://h/"
    assert destination.host == "h"


@pytest.mark.parametrize("url", ["ftp://u:secret@h/", "http://u:secret@h:0/"])
def test_an_error_shows_no_password(url: str) -> None:
    """Z7."""
    with pytest.raises(InvalidURLError) as caught:
        locate(url)
    assert "secret" not in str(caught.value)


def test_a_url_that_was_seen_is_known() -> None:
    """Z7: it is parsed once."""
    assert locate("http://seen.example/") is locate("http://seen.example/")


def test_origins_name_themselves() -> None:
    """Z15."""
    origin = Origin("https", "::1", 443)
    assert (origin.authority, str(origin), origin.secure) == ("[::1]:443", "https://[::1]", True)
    assert not Origin("http", "h", 80).secure


def test_authorization() -> None:
    """Z7: the examples of RFC 7617."""
    assert basic_authorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic_authorization("test", "123£") == "Basic dGVzdDoxMjPCow=="
    assert bearer_authorization("mF_9.B5f-4.1JqM") == "Bearer mF_9.B5f-4.1JqM"
    with pytest.raises(ValueError, match="colon"):
        basic_authorization("a:b", "c")
    for token in ("", "a b", "a\r\nX: y", "=a"):
        with pytest.raises(ValueError, match="bearer"):
            bearer_authorization(token)
