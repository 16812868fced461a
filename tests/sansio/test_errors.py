"""The error tree."""

from __future__ import annotations

import copy
import errno
import inspect
import pickle

import pytest
import trio

from snowtrio import _errors
from snowtrio._errors import (
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HandshakeError,
    HandshakeTimeoutError,
    HostUnreachableError,
    IncompleteFrameError,
    LocalProtocolError,
    MessageTooLargeError,
    PoolClosedError,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
    SkippedMessageError,
    SnowtrioError,
    StalledError,
    TruncatedError,
)

CLASSES = {
    name: value
    for name, value in vars(_errors).items()
    if inspect.isclass(value) and issubclass(value, SnowtrioError)
}
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "MessageTooLargeError": (11, 10),
    "SendTooLargeError": (11, 10),
    "ReceiveTooLargeError": (11, 10),
    "IncompleteFrameError": (b"hel",),
    "ConnectError": (errno.EIO, "no way", [OSError(errno.EIO, "broken")]),
    "ConnectRefusedError": (errno.ECONNREFUSED, "nobody there", [OSError("a"), OSError("b")]),
    "HostUnreachableError": (errno.EHOSTUNREACH, "no way"),
    "ConnectTimeoutError": (errno.ETIMEDOUT, "no answer"),
    "SocketOptionError": (errno.EPERM, "mark", "not allowed"),
    "UnsupportedOptionError": ("defer_accept", "this system has none"),
}


def draw_tree() -> dict[str, str]:
    """Return each class of the tree drawn in the module's docstring, with its parent."""
    parents: dict[str, str] = {}
    above = ["SnowtrioError"]
    assert _errors.__doc__
    for line in _errors.__doc__.splitlines():
        branch, mark, rest = line.partition("── ")
        if mark:
            # Each level is drawn four columns further to the right.
            depth = len(branch) // 4
            name = rest.split()[0]
            parents[name] = above[depth - 1]
            above[depth:] = [name]
    return parents


def make(name: str) -> SnowtrioError:
    made = CLASSES[name](*ARGUMENTS.get(name, ("something happened",)))
    assert isinstance(made, SnowtrioError)
    return made


def test_the_tree_is_as_drawn() -> None:
    parents = draw_tree()
    assert len(parents) > 15
    for name, parent in parents.items():
        assert issubclass(CLASSES[name], CLASSES[parent]), f"{name} is no {parent}"


def test_the_drawing_has_every_error() -> None:
    assert {*draw_tree(), "SnowtrioError", "MessageTooLargeError"} == CLASSES.keys()


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (SendTooLargeError, {MessageTooLargeError, LocalProtocolError}),
        (ReceiveTooLargeError, {MessageTooLargeError, RemoteProtocolError}),
        (ConnectionLostError, {trio.BrokenResourceError}),
        (ConnectionClosedError, {trio.ClosedResourceError}),
        (ConnectError, {OSError}),
        (ConnectRefusedError, {ConnectionRefusedError}),
        (ConnectTimeoutError, {TimeoutError}),
    ],
)
def test_an_error_is_also_what_it_resembles(
    error: type[SnowtrioError], parents: set[type[Exception]]
) -> None:
    for parent in parents:
        assert issubclass(error, parent)


@pytest.mark.parametrize(
    "error", [RemoteProtocolError, TruncatedError, StalledError, HandshakeError, PoolClosedError]
)
def test_what_ends_a_connection_is_caught_by_trios_except_clauses(
    error: type[SnowtrioError],
) -> None:
    with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
        raise error("over")


@pytest.mark.parametrize("error", [LocalProtocolError, SendTooLargeError, SkippedMessageError])
def test_what_leaves_the_connection_alive_is_no_trio_error(error: type[SnowtrioError]) -> None:
    """S6: a message that is refused does not pass for a broken connection."""
    assert not issubclass(error, (trio.BrokenResourceError, trio.ClosedResourceError, OSError))


def test_who_is_to_blame_is_told_apart() -> None:
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
    assert not issubclass(RemoteProtocolError, LocalProtocolError)
    assert not issubclass(HandshakeTimeoutError, RemoteProtocolError)


def test_a_message_too_large_says_how_large_and_what_was_allowed() -> None:
    """S3."""
    error = ReceiveTooLargeError(2**63, 1024)
    assert (error.size, error.limit) == (2**63, 1024)
    assert str(error) == (
        "message of 9223372036854775808 bytes is above max_message_size (1024 bytes)"
    )


def test_an_incomplete_frame_has_its_beginning() -> None:
    """S4."""
    error = IncompleteFrameError(b"hel")
    assert error.partial == b"hel"
    assert "3 bytes" in str(error)


def test_a_connect_error_has_the_errno_and_every_cause() -> None:
    """P4."""
    causes = [ConnectionRefusedError(errno.ECONNREFUSED, "no"), TimeoutError()]
    error = ConnectRefusedError(errno.ECONNREFUSED, "could not connect to [::1]:7", causes)
    assert error.errno == errno.ECONNREFUSED
    assert error.causes == tuple(causes)
    assert str(error) == "could not connect to [::1]:7"
    assert HostUnreachableError(errno.EHOSTUNREACH, "no way").causes == ()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_error_can_be_pickled_and_copied(name: str) -> None:
    error = make(name)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert other.args == error.args
        before, after = dict(vars(error)), dict(vars(other))
        # Exceptions are not equal by what they hold.
        before["causes"], after["causes"] = repr(before.get("causes")), repr(after.get("causes"))
        assert after == before
