"""What all connections of a server share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, cast
from uuid import uuid4

from .._wire import RequestHead
from ._limits import HTTPLimits
from ._stamp import Stamp
from ._statistics import Tally

if TYPE_CHECKING:
    from ._request import Request
    from ._response import Response

# What a request's id may be that comes from outside: it stands in log lines.
_ID = re.compile(rb"[\x21-\x7e]{1,128}")

Handler: TypeAlias = Callable[["Request"], "Awaitable[Response | None] | Response | None"]
"""What answers requests: a coroutine function or a plain one, or an object that is called like one;
see `HTTPServer`."""


class Service:
    """The handler, the bounds and the counts.

    Parameters:
        handler: answers requests.
        limits: the bounds.
        server_name: for the ``Server`` field.
        request_id_header: the field from which a request's id is taken.
        propagate_errors: whether what a handler raises ends the server.
    """

    def __init__(
        self,
        handler: Handler,
        limits: HTTPLimits,
        *,
        server_name: str | None = None,
        request_id_header: str | None = None,
        propagate_errors: bool = False,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"a handler is a coroutine function or a plain function: {handler!r}")
        self.handler = handler
        self.coroutine_handler = cast("Callable[[Request], Awaitable[object]]", handler)
        """The same, where it is a coroutine function."""
        self.reads_first = not is_coroutine_function(handler)
        """Whether the handler gets its requests with their whole body."""
        self.limits = limits
        self.stamp = Stamp(server_name)
        self.tally = Tally()
        self.propagate_errors = propagate_errors
        self._id_field = request_id_header.lower().encode() if request_id_header else None

    def name(self, head: RequestHead) -> str:
        """Return an id for a request: one that it brings, where that is trusted, or a new one."""
        if self._id_field is not None:
            values = [value for name, value in head.fields if name == self._id_field]
            if len(values) == 1 and _ID.fullmatch(values[0]) is not None:
                return values[0].decode("ascii")
        return uuid4().hex


def is_coroutine_function(handler: object) -> bool:
    """Whether calling a handler gives something to await."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )
