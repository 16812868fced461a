"""A body as text."""

from __future__ import annotations

from .._charsets import find_codec, name_charset
from .._errors import HTTPError


def read_text(body: bytes, content_type: str) -> str:
    """Return a body as text, in the charset of its type, else in UTF-8.

    Parameters:
        body: the whole.
        content_type: as its field says.

    Raises:
        HTTPError: 400 where it is no such text, 415 where the charset is not known.
    """
    charset = find_codec(name_charset(content_type) or "utf-8")
    if charset is None:
        raise HTTPError(415, "the charset of the body is not known")
    try:
        return body.decode(charset)
    except UnicodeError as error:
        raise HTTPError(400, f"the body is no text in {charset.replace('_', '-')}") from error
