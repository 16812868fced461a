"""One error out of many failures to connect (row P4)."""

from __future__ import annotations

import errno
import os
import pickle
import socket

import pytest

from snowtrio import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HandshakeError,
    HostUnreachableError,
    SnowtrioError,
)
from snowtrio._transport import merge_connect_errors, timed_out


def failure(number: int) -> OSError:
    return OSError(number, f"Error connecting to ('192.0.2.1', 9): {os.strerror(number)}")


REFUSED = failure(errno.ECONNREFUSED)
TIMED_OUT = failure(errno.ETIMEDOUT)
NO_ROUTE = failure(errno.ENETUNREACH)
RESET = failure(errno.ECONNRESET)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, ConnectRefusedError),
        (errno.ETIMEDOUT, ConnectTimeoutError),
        (errno.EHOSTUNREACH, HostUnreachableError),
        (errno.ENETUNREACH, HostUnreachableError),
        (errno.EHOSTDOWN, HostUnreachableError),
        (errno.ENETDOWN, HostUnreachableError),
        (errno.EADDRNOTAVAIL, HostUnreachableError),
        (errno.EAFNOSUPPORT, HostUnreachableError),
        (errno.ENOENT, ConnectError),
        (errno.EACCES, ConnectError),
    ],
)
def test_each_kind(number: int, kind: type[ConnectError]) -> None:
    """P4: refused, unreachable and timed out are types; the rest has its errno."""
    cause = failure(number)
    error = merge_connect_errors("example:9", [cause])
    assert type(error) is kind
    assert error.errno == number
    assert error.causes == (cause,)
    assert str(error) == f"cannot connect to example:9: {os.strerror(number)}"


@pytest.mark.parametrize(
    ("causes", "decisive"),
    [
        ([NO_ROUTE, REFUSED], REFUSED),
        ([TIMED_OUT, REFUSED, NO_ROUTE], REFUSED),
        ([NO_ROUTE, TIMED_OUT], TIMED_OUT),
        ([RESET, NO_ROUTE], NO_ROUTE),
        ([RESET, failure(errno.EACCES)], RESET),
        ([HandshakeError("no"), RESET], RESET),
    ],
)
def test_the_cause_to_look_at_first(causes: list[Exception], decisive: OSError) -> None:
    """P4: an answer says more than silence, and silence more than a missing route."""
    error = merge_connect_errors("example:9", causes)
    assert error.errno == decisive.errno
    assert error.causes == tuple(causes)


def test_wrapping_is_taken_off() -> None:
    """P4: groups, Trio's summary of attempts and our own errors give up what is in them."""
    summary = OSError("all attempts to connect to example:9 failed")
    summary.__cause__ = ExceptionGroup("attempts", [NO_ROUTE, ExceptionGroup("", [REFUSED])])
    ours = merge_connect_errors("other:9", [TIMED_OUT])
    error = merge_connect_errors("example:9", [summary, ours])
    assert error.causes == (NO_ROUTE, REFUSED, TIMED_OUT)
    assert type(error) is ConnectRefusedError


def test_errors_are_of_pythons_kinds_too() -> None:
    """P4: an ``except`` written for sockets goes on working."""
    for kind in (OSError, SnowtrioError, ConnectionRefusedError):
        assert isinstance(merge_connect_errors("a", [REFUSED]), kind)
    assert isinstance(merge_connect_errors("a", [TIMED_OUT]), TimeoutError)


def test_a_name_that_does_not_exist() -> None:
    """P4: the numbers of name resolution are not those of connecting."""
    cause = socket.gaierror(errno.ECONNREFUSED, "Name or service not known")
    error = merge_connect_errors("nowhere:9", [cause])
    assert type(error) is ConnectError
    assert str(error) == "cannot connect to nowhere:9: Name or service not known"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (OSError("no common family"), "no common family"),
        (OSError(), "OSError()"),
        (ValueError("odd"), "odd"),
        (EOFError(), "EOFError()"),
    ],
)
def test_causes_without_a_number(cause: Exception, reason: str) -> None:
    """P4: errno is 0 where there is none, and the message still says something."""
    error = merge_connect_errors("example:9", [cause])
    assert error.errno == 0
    assert str(error) == f"cannot connect to example:9: {reason}"


def test_a_deadline() -> None:
    """P4: our own timeout has the kernel's number."""
    error = timed_out("example:9", 2.5)
    assert type(error) is ConnectTimeoutError
    assert error.errno == errno.ETIMEDOUT
    assert str(error) == "cannot connect to example:9: no answer within 2.5 seconds"
    [cause] = merge_connect_errors("example:9", [error]).causes
    assert isinstance(cause, TimeoutError)


def test_errors_can_be_sent_elsewhere() -> None:
    """P4: pickled, an error keeps its number, text and causes."""
    copy = pickle.loads(pickle.dumps(merge_connect_errors("example:9", [NO_ROUTE, REFUSED])))
    assert type(copy) is ConnectRefusedError
    assert copy.errno == errno.ECONNREFUSED
    assert str(copy) == "cannot connect to example:9: Connection refused"
    assert list(map(str, copy.causes)) == list(map(str, [NO_ROUTE, REFUSED]))
