"""Names of files: which are used, and what they tell of a content."""

from __future__ import annotations

import pytest

from snowtrio.http._files._folder import split_path
from snowtrio.http._files._media_types import guess_content_type


@pytest.mark.parametrize(
    "path",
    [
        *("", "..", ".", "a/..", "../a", "a/../b", "a//b", "/a", "a/", "a/./b"),
        *("a\\b", "..\\a", "c:a", "a:stream", "\\\\host\\share", "a\0", "a\nb", "a\x7f"),
        *("con", "CON", "nul.txt", "a/aux", "Com1", "lpt9.log", "com¹", "con .txt"),
        *("a.", "a ", "a. .", "a*", "a?", 'a"', "a<", "a|b", "..."),
        *(".git/config", "a/.env", ".htpasswd", ".well-known/.x"),
    ],
)
def test_names_that_are_not_used(path: str) -> None:
    """Z5."""
    assert split_path(path) is None


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a", ["a"]),
        ("a/b.c/d", ["a", "b.c", "d"]),
        ("..a", None),
        ("a..b", ["a..b"]),
        ("é/日本 x", ["é", "日本 x"]),
        ("console", ["console"]),
        ("com10", ["com10"]),
        (".well-known/acme", [".well-known", "acme"]),
    ],
)
def test_names_that_are(path: str, names: list[str] | None) -> None:
    """Z5."""
    assert split_path(path) == names


def test_hidden_names_are_used_where_that_is_wanted() -> None:
    """Z5."""
    assert split_path("a/.env", hidden=True) == ["a", ".env"]
    assert split_path("a/..", hidden=True) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a.tar.xz", "application/x-xz"),
        ("a", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_content_types(name: str, kind: str) -> None:
    """Z5: a compressed file is not what is in it."""
    assert guess_content_type(name) == kind
