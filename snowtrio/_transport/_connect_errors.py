"""Which of several failures to connect is the one to act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from .._errors import ConnectError, ConnectRefusedError, ConnectTimeoutError, HostUnreachableError

_UNREACHABLE = {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
}

# A refusal is an answer and says the most; a timeout says that an address was worth waiting for; a
# host with an address of a family that this machine has no route for is the commonest noise.
_RANK: tuple[tuple[frozenset[int], type[ConnectError]], ...] = (
    (frozenset({errno.ECONNREFUSED}), ConnectRefusedError),
    (frozenset({errno.ETIMEDOUT}), ConnectTimeoutError),
    (frozenset(_UNREACHABLE), HostUnreachableError),
)


def as_connect_error(target: str, error: OSError) -> ConnectError:
    """Return the error that tells refused, unreachable and timed out apart (row P4)."""
    return merge_connect_errors(target, [error])


def merge_connect_errors(target: str, errors: Iterable[BaseException]) -> ConnectError:
    """Return one error for several failed attempts, with the decisive cause's errno."""
    causes = [leaf for error in errors for leaf in _leaves(error)]
    numbers = {cause.errno: cause for cause in reversed(causes) if isinstance(cause, OSError)}
    for kinds, error_type in _RANK:
        for cause in causes:
            if isinstance(cause, OSError) and cause.errno in kinds:
                return error_type(cause.errno or 0, _describe(target, cause), causes)
    decisive = causes[0]
    number = decisive.errno if isinstance(decisive, OSError) and numbers else 0
    return ConnectError(number or 0, _describe(target, decisive), causes)


def timed_out(target: str, seconds: float, errors: Iterable[BaseException]) -> ConnectTimeoutError:
    """Return the error of an attempt that its deadline ended."""
    causes = [leaf for error in errors for leaf in _leaves(error)]
    message = f"cannot connect to {target}: no answer within {seconds:g} seconds"
    if causes:
        message += f" (before that: {_reason(causes[-1])})"
    return ConnectTimeoutError(errno.ETIMEDOUT, message, causes)


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the failures under an error, without the wrapping that reports them."""
    if isinstance(error, ConnectError) and error.causes:
        return list(error.causes)
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    if isinstance(error, OSError) and error.errno is None and error.__cause__ is not None:
        return _leaves(error.__cause__)
    return [error]


def _reason(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)  # Shorter than a text that has the address in it again.
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or repr(cause)


def _describe(target: str, cause: BaseException) -> str:
    return f"cannot connect to {target}: {_reason(cause)}"
