"""The errors that tell of a connection's end, made fit to be raised to whoever asks."""

from __future__ import annotations

import copy

import trio

from .._errors import ConnectionClosedError, ConnectionLostError


def as_lost(error: Exception) -> Exception:
    """Return the transport's error as one of ours, which is still the Trio error that it was.

    TLS wraps what broke below it: a stall keeps its name through that.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ConnectionLostError):
            return inner
        inner = inner.__cause__
    if isinstance(error, trio.ClosedResourceError):
        closed = ConnectionClosedError(str(error) or "this side closed the connection")
        closed.__cause__ = error
        return closed
    lost = ConnectionLostError(str(error) or "connection lost")
    lost.__cause__ = error
    return lost


def again(error: Exception) -> Exception:
    """Return an error to raise for one more caller: a copy, so that tracebacks do not add up.

    One that cannot be copied is returned itself.
    """
    try:
        fresh = copy.copy(error)
    except Exception:  # a constructor that wants other arguments
        return error
    fresh.__cause__ = error.__cause__
    return fresh.with_traceback(error.__traceback__)


def nobody_is_told(*_: object) -> None:
    """Take the place of a callback at the end, so that a connection is no cycle of references.

    A cycle stays until the interpreter looks for cycles, and makes it look the more often.
    """
