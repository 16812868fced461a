"""JSON texts and what does not pass for one."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from snowtrio.http._json import JSONError, read_json, write_json


@attrs.frozen
class Author:
    """Who wrote it."""

    name: str
    born: int = attrs.field(validator=attrs.validators.gt(0))


@dataclass
class Book:
    """What is read."""

    title: str
    authors: list[Author]
    price: float | None = None


BOOK = b'{"title":"Emma","authors":[{"name":"Jane","born":1775}],"price":null}'


def problem_of(text: bytes, kind: Any = Any) -> JSONError:
    with pytest.raises(JSONError) as caught:
        read_json(text, kind)
    return caught.value


def test_dataclasses_and_attrs_classes_go_both_ways() -> None:
    """Z13."""
    book = Book("Emma", [Author("Jane", 1775)])
    assert read_json(BOOK, Book) == book
    assert json.loads(write_json(book)) == json.loads(BOOK)
    assert read_json(b"[" + BOOK + b"]", list[Book]) == [book]


def test_names_of_header_fields_are_text() -> None:
    """Z13: as keys and as values."""
    headers = CIMultiDictProxy(CIMultiDict([("accept", "*/*")]))
    assert write_json(dict(headers)) == b'{"accept":"*/*"}'
    assert write_json([*headers.items(), None]) == b'[["accept","*/*"],null]'


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        (b'{"title":"E","authors":[{"name":"J","born":"x"}]}', "$.authors[0].born", "`int`"),
        (b'{"title":"E","authors":[{"name":"J","born":-1}]}', "$.authors[0]", "must be > 0"),
        (b'{"title":"E"}', "$", "`authors`"),
        (b"[]", "$", "`object`"),
        (b'{"title":"E","authors":[],"price":1e999}', "$.price", "range"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(text: bytes, path: str, reason: str) -> None:
    """Z13."""
    problem = problem_of(text, Book)
    assert not problem.malformed
    assert problem.path == path
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a":', "truncated"),
        (b'{"a":1} x', "trailing"),
        (b"[1,]", "trailing comma"),
        (b"NaN", "invalid"),
        (b"[-Infinity]", "invalid"),
        (b'"\\ud800"', "truncated"),
        (b'["\xff"]', "UTF-8 (byte 2)"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'"a\nb"', "invalid"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 1_000_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_json_is_refused(text: bytes, reason: str) -> None:
    """Z13: a bomb of brackets is an error like any other."""
    problem = problem_of(text)
    assert problem.malformed
    assert problem.path is None
    assert reason in problem.reason


@pytest.mark.parametrize("text", [b"9" * 5000, b"1e999", b"-1e999"], ids=len)
def test_numbers_that_python_has_no_form_for_do_not_fit(text: bytes) -> None:
    """Z13: an integer of many digits would take its square in time."""
    assert "out of range" in problem_of(text).reason


def test_bytes_that_nobody_asked_for_are_looked_at_too() -> None:
    """Z13: msgspec skips over what a type does not know."""
    assert problem_of(b'{"title":"E","authors":[],"other":"\xff"}', Book).malformed


def test_large_integers_are_exact_and_the_last_of_two_members_counts() -> None:
    """Z13."""
    assert read_json(b'{"a":1,"a":100000000000000000000000000001}', Any) == {"a": 10**29 + 1}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: {"a": [None, x]}, lambda x: Book("", [], x)]
)
def test_numbers_that_are_none_are_not_written(number: float, wrap: type) -> None:
    """Z13: as the codec of JSON lines refuses them."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json([None, number] if wrap is list else {"a": Book("", [], number)})


def test_none_is_written_whatever_stands_beside_it() -> None:
    """Z13."""
    value = [None, date(2000, 1, 2), {1: None}, "null", msgspec.Raw(b"[null]"), 1.5]
    assert write_json(value) == b'[null,"2000-01-02",{"1":null},"null",[null],1.5]'


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, 1j, [None, object()]])
def test_what_has_no_form_is_a_type_error(value: object) -> None:
    """Z13."""
    with pytest.raises(TypeError):
        write_json(value)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@given(JSON_VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    """Z13."""
    assert read_json(write_json(value), Any) == value


@given(st.binary() | st.text('[]{}",:0123456789.eE+-truefalsn\\ ').map(str.encode))
def test_no_bytes_raise_anything_else(text: bytes) -> None:
    """Z13."""
    with contextlib.suppress(JSONError):
        read_json(text, Book | None)
