"""Conditional requests, in tables."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from snowtrio.http import Headers
from snowtrio.http._files._conditions import (
    Validators,
    Verdict,
    judge,
    range_is_wanted,
    read_date,
)

GO, SAME, NO = Verdict.PROCEED, Verdict.NOT_MODIFIED, Verdict.FAILED
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
THEN = "Sun, 06 Nov 1994 08:49:37 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
SECOND = 784111777
STRONG, WEAK = Validators('"a"', SECOND), Validators('W/"a"', SECOND)


def headers(*pairs: tuple[str, str]) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    ("method", "pairs", "current", "verdict"),
    [
        ("GET", [], STRONG, GO),
        # If-None-Match compares weakly.
        ("GET", [("If-None-Match", '"a"')], STRONG, SAME),
        ("HEAD", [("If-None-Match", '"a"')], STRONG, SAME),
        ("GET", [("If-None-Match", 'W/"a"')], STRONG, SAME),
        ("GET", [("If-None-Match", '"a"')], WEAK, SAME),
        ("GET", [("If-None-Match", '"b", "a"')], STRONG, SAME),
        ("GET", [("If-None-Match", '"b"'), ("If-None-Match", '"a"')], STRONG, SAME),
        ("GET", [("If-None-Match", '"b"')], STRONG, GO),
        ("GET", [("If-None-Match", '"b,\\"')], Validators('"b,\\"'), SAME),
        ("GET", [("If-None-Match", '"x, "a", "')], STRONG, GO),
        ("GET", [("If-None-Match", "a")], STRONG, GO),
        ("GET", [("If-None-Match", '"A"')], STRONG, GO),
        ("GET", [("If-None-Match", "*")], STRONG, SAME),
        ("GET", [("If-None-Match", "*")], None, GO),
        ("GET", [("If-None-Match", '"a"')], Validators(), GO),
        ("PUT", [("If-None-Match", "*")], STRONG, NO),
        ("PUT", [("If-None-Match", "*")], None, GO),
        ("PUT", [("If-None-Match", '"a"')], STRONG, NO),
        # If-Match compares strongly.
        ("PUT", [("If-Match", '"a"')], STRONG, GO),
        ("PUT", [("If-Match", 'W/"a"')], WEAK, NO),
        ("PUT", [("If-Match", '"a"')], WEAK, NO),
        ("PUT", [("If-Match", '"b"')], STRONG, NO),
        ("PUT", [("If-Match", "nonsense")], STRONG, NO),
        ("PUT", [("If-Match", "*")], Validators(), GO),
        ("PUT", [("If-Match", "*")], None, NO),
        ("GET", [("If-Match", '"b"')], STRONG, NO),
        # Dates.
        ("GET", [("If-Modified-Since", THEN)], STRONG, SAME),
        ("GET", [("If-Modified-Since", AFTER)], STRONG, SAME),
        ("GET", [("If-Modified-Since", BEFORE)], STRONG, GO),
        ("GET", [("If-Modified-Since", "yesterday")], STRONG, GO),
        ("GET", [("If-Modified-Since", THEN), ("If-Modified-Since", THEN)], STRONG, GO),
        ("GET", [("If-Modified-Since", THEN)], Validators('"a"'), GO),
        ("POST", [("If-Modified-Since", THEN)], STRONG, GO),
        ("PUT", [("If-Unmodified-Since", THEN)], STRONG, GO),
        ("PUT", [("If-Unmodified-Since", BEFORE)], STRONG, NO),
        ("PUT", [("If-Unmodified-Since", THEN)], None, NO),
        ("PUT", [("If-Unmodified-Since", "yesterday")], STRONG, GO),
        # A tag goes before a date, and what protects before what saves (section 13.2.2).
        ("GET", [("If-None-Match", '"b"'), ("If-Modified-Since", THEN)], STRONG, GO),
        ("GET", [("If-None-Match", '"a"'), ("If-Modified-Since", BEFORE)], STRONG, SAME),
        ("PUT", [("If-Match", '"a"'), ("If-Unmodified-Since", BEFORE)], STRONG, GO),
        ("GET", [("If-Match", '"b"'), ("If-None-Match", '"a"')], STRONG, NO),
        ("GET", [("If-Match", '"a"'), ("If-None-Match", '"a"')], STRONG, SAME),
        ("GET", [("If-Unmodified-Since", BEFORE), ("If-None-Match", '"a"')], STRONG, NO),
    ],
)
def test_conditions(
    method: str, pairs: list[tuple[str, str]], current: Validators | None, verdict: Verdict
) -> None:
    """Z5."""
    assert judge(method, headers(*pairs), current) is verdict


@pytest.mark.parametrize(
    ("value", "current", "now", "wanted"),
    [
        ('"a"', STRONG, SECOND, True),
        ('"b"', STRONG, SECOND, False),
        ('W/"a"', WEAK, SECOND, False),
        ('"a"', WEAK, SECOND, False),
        (THEN, STRONG, SECOND + 60, True),
        (THEN, STRONG, SECOND + 1, False),
        (AFTER, STRONG, SECOND + 60, False),
        (BEFORE, STRONG, SECOND + 60, False),
        (THEN, Validators('"a"'), SECOND + 60, False),
        ("nonsense", STRONG, SECOND + 60, False),
        ('"a", "b"', STRONG, SECOND, False),
    ],
)
def test_a_range_of_something_that_changed_is_not_wanted(
    value: str, current: Validators, now: float, wanted: bool
) -> None:
    """Z5: the parts would not fit together."""
    assert range_is_wanted(headers(("If-Range", value)), current, now) is wanted
    assert range_is_wanted(headers(), current, now)
    assert not range_is_wanted(headers(("If-Range", value), ("If-Range", value)), current, now)


@pytest.mark.parametrize(
    "text", [THEN, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_dates_come_in_three_forms(text: str) -> None:
    """Z5: RFC 9110 section 5.6.7."""
    assert read_date(text) == SECOND


@pytest.mark.parametrize("text", ["", "x", "0", "1994-11-06", "Sun, 06 Nov 99999 08:49:37 GMT"])
def test_what_is_no_date_is_none(text: str) -> None:
    """Z5."""
    assert read_date(text) is None


@pytest.mark.parametrize("tag", ["a", "", '"a', 'w/"a"', '"a"b"', '"a b"', '"a"\n'])
def test_a_tag_has_quotes(tag: str) -> None:
    """Z5."""
    with pytest.raises(ValueError, match="entity tag"):
        Validators(tag)


def test_a_client_is_told_both() -> None:
    """Z5."""
    assert STRONG.headers() == [("etag", '"a"'), ("last-modified", THEN)]
    assert Validators().headers() == []
