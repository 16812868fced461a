"""Which of several failures to connect is the one to act on."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from typing import cast

from .._errors import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HostUnreachableError,
    SocketOptionError,
)

_UNREACHABLE = {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
}

# A refusal is an answer and says the most; a timeout says that an address was worth waiting for; a
# host with an address of a family that this machine has no route for is the commonest noise.
_RANK: tuple[tuple[frozenset[int], type[ConnectError]], ...] = (
    (frozenset({errno.ECONNREFUSED}), ConnectRefusedError),
    (frozenset({errno.ETIMEDOUT}), ConnectTimeoutError),
    (frozenset(_UNREACHABLE), HostUnreachableError),
)


def as_connect_error(target: str, error: Exception) -> ConnectError:
    """Return the error that tells refused, unreachable and timed out apart (row P4)."""
    return merge_connect_errors(target, [error])


def merge_connect_errors(target: str, errors: Iterable[BaseException]) -> ConnectError:
    """Return one error for several failed attempts, with the decisive cause's errno."""
    causes = [leaf for error in errors for leaf in _leaves(error)]
    for cause in causes:
        if isinstance(cause, SocketOptionError):  # No network can mend that.
            return ConnectError(_number(cause), _describe(target, cause), causes)
    for kinds, error_type in _RANK:
        for cause in causes:
            # The numbers of name resolution are a set of their own.
            if not isinstance(cause, socket.gaierror) and _number(cause) in kinds:
                return error_type(_number(cause), _describe(target, cause), causes)
    decisive = next(filter(_number, causes), causes[0])
    return ConnectError(_number(decisive), _describe(target, decisive), causes)


def timed_out(target: str, seconds: float) -> ConnectTimeoutError:
    """Return the error of an attempt that its deadline ended."""
    cause = TimeoutError(errno.ETIMEDOUT, f"no answer within {seconds:.3g} seconds")
    message = f"cannot connect to {target}: {cause.strerror}"
    return ConnectTimeoutError(errno.ETIMEDOUT, message, [cause])


def _number(cause: BaseException) -> int:
    return (cause.errno or 0) if isinstance(cause, OSError) else 0


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the failures under an error, without the wrapping that reports them."""
    if isinstance(error, ConnectError) and error.causes:
        return list(error.causes)
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for inner in group.exceptions for leaf in _leaves(inner)]
    if isinstance(error, OSError) and error.errno is None and error.__cause__ is not None:
        return _leaves(error.__cause__)
    return [error]


def _reason(cause: BaseException) -> str:
    said = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or repr(cause)
    if isinstance(cause, SocketOptionError):
        return said
    # What is said around the usual text is mostly the address again.
    usual = os.strerror(_number(cause))
    return usual if usual in said else said


def _describe(target: str, cause: BaseException) -> str:
    return f"cannot connect to {target}: {_reason(cause)}"
