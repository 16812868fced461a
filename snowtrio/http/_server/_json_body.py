"""JSON in the bodies of requests: what becomes of one that is not what a handler wants."""

from __future__ import annotations

from typing import Any

from .._errors import BadJSONError, HTTPError
from .._json import JSONError, read_json
from .._wire import Fields


def read_json_body(body: bytes, kind: Any) -> Any:
    """Return a body's JSON as an object of a type.

    Raises:
        BadJSONError: 400 where it is none, 422 where it does not fit.
    """
    try:
        return read_json(body, kind)
    except JSONError as problem:
        status = 400 if problem.malformed else 422
        raise BadJSONError(status, problem.reason, path=problem.path) from problem


def check_json_type(fields: Fields) -> None:
    """Refuse a body that is not said to be JSON.

    A page of any site may have a browser send whatever it likes to us, as long as it is called
    plain text, a form or nothing. To call it JSON it has to be allowed to, by us (CORS).

    Raises:
        HTTPError: 415.
    """
    for name, value in fields:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            if kind == b"application/json" or kind.endswith(b"+json"):
                return
            break
    raise HTTPError(415, "the body has to be JSON, and its Content-Type application/json")
