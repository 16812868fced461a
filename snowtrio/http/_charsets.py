"""Character sets as strangers name them."""

from __future__ import annotations

import re
from encodings import normalize_encoding
from encodings.aliases import aliases

# RFC 9110 section 5.6.6, one parameter after the other: no way back, so that no field takes long.
_PARAMETER = re.compile(
    r"[ \t]*;[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:\"((?:[^\"\\]|\\.)*+)\"|([^;\" \t]*)))?+"
)
_ESCAPED = re.compile(r"\\(.)")

# Python has codecs under such names that are not of text, depend on the machine, or, as those of
# host names, take a time that grows with the square of what they are given. It also remembers for
# ever each name that it was asked for in vain. So it is asked only for what is here.
_NO_CHARSETS = frozenset(
    (
        *("base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec"),
        *("zlib_codec", "mbcs", "oem", "idna", "punycode"),
    )
)
_CODECS = {codec: codec for codec in {*aliases.values(), "koi8_u", "utf_8_sig"} - _NO_CHARSETS}
_CODECS.update((alias, codec) for alias, codec in aliases.items() if codec in _CODECS)


def name_charset(content_type: str) -> str | None:
    """Return the ``charset`` of a ``Content-Type``, in lower case; None where there is none."""
    at = content_type.find(";")
    while at >= 0 and (match := _PARAMETER.match(content_type, at)) is not None:
        name, quoted, plain = match.groups()
        if name is not None and name.lower() == "charset":
            value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
            return value.lower() or None
        at = match.end()
    return None


def find_codec(charset: str) -> str | None:
    """Return the name of Python's codec for a character set, None where it is not known."""
    if len(charset) > 40 or not charset.isascii():
        return None
    return _CODECS.get(normalize_encoding(charset.lower()))
