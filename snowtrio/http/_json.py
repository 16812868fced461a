"""JSON, typed where a type is given (row Z13).

msgspec does it: it reads straight into dataclasses and attrs classes, names the path to what does
not fit, and is the fastest there is on both ways.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

write_json = msgspec.json.encode


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def read_json(data: bytes, kind: Any) -> Any:
    """Return the value of a JSON text as an object of a type."""
    return _decoder(kind).decode(data)
