"""Header fields as programs see them: text, found by name in any case, with many values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast

from multidict import CIMultiDict, CIMultiDictProxy

from ._errors import BadFieldError
from ._wire import Fields

Headers: TypeAlias = CIMultiDictProxy[str]
"""What came: a read-only `multidict.CIMultiDictProxy`. ``headers["Accept"]`` is the first value of
a field, ``headers.getall("Accept", ())`` are all of them."""

HeadersToSend: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""What is to be sent: a mapping, or pairs where a field comes more than once."""


def read_headers(fields: Fields) -> Headers:
    """Return fields as programs see them. Bytes above ASCII are read as Latin-1."""
    return CIMultiDictProxy(
        CIMultiDict((_read_name(name), value.decode("latin-1")) for name, value in fields)
    )


# The same few names come with every message: kept once, however many requests are kept.
@lru_cache(maxsize=512)
def _read_name(name: bytes) -> str:
    return name.decode("latin-1")


def write_headers(headers: HeadersToSend) -> list[tuple[bytes, bytes]]:
    """Return fields as they stand on the wire.

    Raises:
        BadFieldError: one cannot be written in Latin-1, or is no text.
    """
    if isinstance(headers, Mapping):
        mapping = cast("Mapping[str, str]", headers)
        return [write_field(name, value) for name, value in mapping.items()]
    return [write_field(name, value) for name, value in headers]


# The same few fields are sent with every message.
@lru_cache(maxsize=512)
def write_field(name: str, value: str) -> tuple[bytes, bytes]:
    """Return one field as it stands on the wire; raises as `write_headers`."""
    try:
        return name.lower().encode("ascii"), value.strip(" \t").encode("latin-1")
    except (UnicodeEncodeError, AttributeError) as error:
        raise BadFieldError(f"the field {name!r} cannot hold {value!r}") from error


def read_cookies(headers: Headers) -> dict[str, str]:
    """Return the cookies of a request, values as they stand there (RFC 6265, section 5.4).

    Of two with one name the first counts, which belongs to the longer path.
    """
    cookies: dict[str, str] = {}
    for field in headers.getall("cookie", ()):
        for each in field.split(";"):
            name, _, value = each.partition("=")
            if name := name.strip():
                cookies.setdefault(name, value.strip())
    return cookies
