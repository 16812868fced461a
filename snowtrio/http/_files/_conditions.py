"""Conditional requests: what a client knows already, or wants not to be changed (RFC 9110, 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum
from functools import lru_cache

import attrs

from .._headers import Headers

# RFC 9110 section 8.8.3; a list of them is taken apart by finding one after the other.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_ETAGS = re.compile(rf"[ \t,]*(?:{_ETAG.pattern}[ \t]*(?:,[ \t,]*|$))*")


class Verdict(Enum):
    """What is to become of a conditional request."""

    PROCEED = "answer it as if it had no conditions"
    NOT_MODIFIED = "304: the client has it already"
    FAILED = "412: it is not what the client takes it for"


@attrs.frozen
class Validators:
    """What tells one state of a resource from another.

    Parameters:
        etag: an entity tag with its quotes, ``"abc"`` or ``W/"abc"``; None without.
        modified: seconds since the epoch, whole ones, when it was last changed; None where that
            is not known.

    Raises:
        ValueError: the tag is none.
    """

    etag: str | None = None
    modified: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.etag is not None and _ETAG.fullmatch(self.etag) is None:
            raise ValueError(f'an entity tag is quoted, as in "abc", not {self.etag!r}')

    def headers(self) -> list[tuple[str, str]]:
        """Return the fields that tell a client."""
        fields: list[tuple[str, str]] = []
        if self.etag is not None:
            fields.append(("etag", self.etag))
        if self.modified is not None:
            fields.append(("last-modified", _format_date(self.modified)))
        return fields


def judge(method: str, headers: Headers, current: Validators | None) -> Verdict:
    """Decide what becomes of a request, in the order of RFC 9110 section 13.2.2.

    Parameters:
        method: of the request.
        headers: of the request.
        current: of what would be sent or changed; None where there is nothing yet.
    """
    reads = method in ("GET", "HEAD")
    tags = headers.getall("If-Match", ())
    if tags:
        if not _matches(tags, current, strongly=True):
            return Verdict.FAILED
    elif (since := _date_of(headers, "If-Unmodified-Since")) is not None:
        changed = current is None or current.modified is None or current.modified > since
        if changed:
            return Verdict.FAILED
    tags = headers.getall("If-None-Match", ())
    if tags:
        if _matches(tags, current, strongly=False):
            return Verdict.NOT_MODIFIED if reads else Verdict.FAILED
    elif reads and current is not None and current.modified is not None:
        since = _date_of(headers, "If-Modified-Since")
        if since is not None and current.modified <= since:
            return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def range_is_wanted(headers: Headers, current: Validators, now: float) -> bool:
    """Say whether ``If-Range`` lets a part be sent; otherwise the whole is (section 13.1.5).

    Parameters:
        headers: of the request.
        current: of what is to be sent.
        now: seconds since the epoch. A file that was changed in this very second may be changed
            again in it, so its date is not good enough for putting parts together.
    """
    wanted = headers.getall("If-Range", ())
    if not wanted:
        return True
    if len(wanted) > 1:
        return False
    if _ETAG.fullmatch(wanted[0]):
        return wanted[0] == current.etag and not wanted[0].startswith("W/")
    modified = current.modified
    return modified is not None and modified == read_date(wanted[0]) and modified < int(now) - 1


def read_date(text: str) -> int | None:
    """Return a date of HTTP in seconds since the epoch; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return int(date.timestamp())
    except (ValueError, OverflowError):
        return None


def _date_of(headers: Headers, name: str) -> int | None:
    values = headers.getall(name, ())
    # One that is no date, or comes more than once, is as good as absent (section 13.1.3).
    return read_date(values[0]) if len(values) == 1 else None


def _matches(lists: Sequence[str], current: Validators | None, *, strongly: bool) -> bool:
    """Say whether one of the tags is the current one.

    A list that is none has nothing in it: then a change is refused, and a read gets the whole.
    """
    listed = ",".join(lists).strip(" \t")
    if listed == "*":
        return current is not None
    if current is None or current.etag is None or _ETAGS.fullmatch(listed) is None:
        return False
    tags = _ETAG.findall(listed)
    if strongly:
        return not current.etag.startswith("W/") and current.etag in tags
    bare = current.etag.removeprefix("W/")
    return any(tag.removeprefix("W/") == bare for tag in tags)


@lru_cache(maxsize=1024)
def _format_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
