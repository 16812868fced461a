"""Character sets as strangers name them."""

from __future__ import annotations

import encodings
import sys

import pytest

from snowtrio.http import HTTPError
from snowtrio.http._charsets import find_codec, name_charset
from snowtrio.http._server._text_body import read_text


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("", None),
        ("text/plain", None),
        ("text/plain; charset", None),
        ("text/plain; charset=", None),
        ("text/plain; charset=UTF-8", "utf-8"),
        ('text/plain;CharSet="Latin1" ; q=1', "latin1"),
        (r'text/plain; charset="utf\-8"', "utf-8"),
        ("text/plain; ; a=b;charset=koi8-r", "koi8-r"),
        ('text/plain; a="; charset=utf-16"; charset=ascii', "ascii"),
        (r'text/plain; a="\"; charset=utf-16; charset=ascii', None),
        ("text/plain; charset=a; charset=b", "a"),
        ("text/plain; charset*=utf-8''x", None),
    ],
)
def test_name(content_type: str, charset: str | None) -> None:
    """Z4: the parameter that is one, wherever it stands."""
    assert name_charset(content_type) == charset


@pytest.mark.parametrize(
    "name",
    ["utf-8", "UTF8", "us-ascii", "ISO-8859-1", "windows-1252", "Shift_JIS", "koi8-u", "gb18030"],
)
def test_known(name: str) -> None:
    """Z4: what pages are written in."""
    codec = find_codec(name)
    assert codec is not None
    assert b"abc".decode(codec) == "abc"


# The first of them take a minute for a body of a megabyte.
@pytest.mark.parametrize(
    "name", ["punycode", "idna", "unicode_escape", "undefined", "rot13", "zlib", "mbcs", "../x", ""]
)
def test_no_charset(name: str) -> None:
    """Z4: not all codecs of Python are character sets."""
    assert find_codec(name) is None
    if name:
        with pytest.raises(HTTPError) as caught:
            read_text(b"abc", f'text/plain; charset="{name}"')
        assert caught.value.status == 415


def test_unknown_names_are_not_remembered() -> None:
    """Z4: strangers can think of any number of names."""
    known = dict(vars(encodings)["_cache"])
    for number in range(50):
        with pytest.raises(HTTPError):
            read_text(b"", f"text/plain; charset=unknown-{number}")
    assert set(vars(encodings)["_cache"]) - set(known) == set()


@pytest.mark.parametrize(
    "parameters",
    [';x="' + ";" * 32_000, ";" * 32_000, ';x="' * 8_000, r';x="\"' * 5_000, "; x" * 10_000],
)
def test_no_field_takes_long(parameters: str) -> None:
    """Z4: the work grows with the length, not with its square."""
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        assert name_charset("text/plain" + parameters) is None
    finally:
        sys.setprofile(None)
    assert steps < 10 * len(parameters)
