"""JSON, typed where a type is given (row Z13).

msgspec does it: it reads straight into dataclasses and attrs classes, names the path to what does
not fit, and is the fastest there is on both ways. What it is more generous about than JSON is
looked after here: it writes NaN as ``null``, and passes over bytes that are no UTF-8 in what nobody
asked for.

Of two members with one name the last one counts, as nearly everywhere.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import msgspec

_PATH = re.compile(r" - at `(\$[^`]*)`$")

_encode_strictly = json.JSONEncoder(allow_nan=False).encode


class JSONError(ValueError):
    """A text is not the JSON that was asked for.

    Parameters:
        reason: what is wrong, and where.
        malformed: whether it is no JSON at all; otherwise it does not fit the type.
    """

    def __init__(self, reason: str, *, malformed: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.malformed = malformed

    @property
    def path(self) -> str | None:
        """The place of what does not fit, as in ``$.authors[0].born``."""
        if self.malformed:
            return None
        found = _PATH.search(self.reason)
        return found[1] if found else "$"


def write_json(value: Any) -> bytes:
    """Return the JSON of a value.

    Raises:
        ValueError: there is a NaN or an infinity in it, or a lone surrogate.
        TypeError: there is something in it that JSON has no form for.
        RecursionError: it is nested too deeply, or contains itself.
    """
    text = _encode(value)
    if text.find(b"null") >= 0:  # `in` takes ten times as long with bytes
        # It may stand for None, or for a number that is none.
        _encode_strictly(msgspec.to_builtins(value, str_keys=True, enc_hook=_leave_out))
    return text


def _as_text(value: object) -> str:
    # The names of header fields are subclasses of str, which msgspec does not take.
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"JSON has no form for {type(value).__name__} objects")


_encode = msgspec.json.Encoder(enc_hook=_as_text).encode


def _leave_out(_: object) -> None:
    # Only what holds no number comes here: an msgspec.Raw, which is JSON already, and text.
    return None


def read_json(data: bytes, kind: Any) -> Any:
    """Return the value of a JSON text as an object of a type.

    Parameters:
        data: in UTF-8, without a byte order mark.
        kind: what msgspec takes for a type; `typing.Any` for whatever it is.

    Raises:
        JSONError: it is no JSON, or does not fit the type.
        TypeError: the type is none that JSON could be read into.
    """
    decoder = _decoder(kind)
    try:
        return decoder.decode(data.decode())
    except msgspec.ValidationError as error:
        raise JSONError(str(error), malformed=False) from error
    except msgspec.DecodeError as error:
        raise JSONError(_explain(data, error), malformed=True) from error
    except UnicodeDecodeError as error:
        raise JSONError(f"the text is not UTF-8 (byte {error.start})", malformed=True) from error
    except RecursionError as error:
        raise JSONError("the text is nested too deeply", malformed=True) from error


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _explain(data: bytes, error: msgspec.DecodeError) -> str:
    if not data or data.isspace():
        return "the text is empty"
    if data.startswith(b"\xef\xbb\xbf"):
        return "the text begins with a byte order mark"
    return str(error)
