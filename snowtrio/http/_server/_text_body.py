"""A body as text."""

from __future__ import annotations

import codecs
from email.message import Message

from .._errors import HTTPError


def read_text(body: bytes, content_type: str) -> str:
    """Return a body as text, in the charset of its type, else in UTF-8.

    Parameters:
        body: the whole.
        content_type: as its field says.

    Raises:
        HTTPError: 400 where it is no such text, 415 where the charset is not known.
    """
    charset = _charset(content_type)
    try:
        return body.decode(charset)
    except UnicodeError as error:
        raise HTTPError(400, f"the body is no text in {charset}") from error


def _charset(content_type: str) -> str:
    if not content_type:
        return "utf-8"
    message = Message()
    message["content-type"] = content_type
    charset = message.get_content_charset("utf-8")
    try:
        known = codecs.lookup(charset)
        "".encode(charset)  # Some codecs are not of text.
    except (LookupError, ValueError) as error:
        raise HTTPError(415, "the charset of the body is not known") from error
    return known.name
