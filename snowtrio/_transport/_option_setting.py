"""Setting socket options, and reading what the kernel has made of them."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import trio

from .._errors import SocketOptionError, UnsupportedOptionError
from ._option_table import ROWS, Kind, Row, Setting, Stage, plan_settings
from ._options import KeepAlive, SocketOptions

# What a kernel answers that knows the constant and not the option, or not for this socket.
_UNSUPPORTED = frozenset({errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ENOSYS})

# Constants that Python does not have.
_NUMBERS: dict[str, int] = {"SO_LINGER_SEC": 0x1080} if sys.platform == "darwin" else {}

# Constants that Python has, of options that the system takes and does nothing about.
_IDLE: frozenset[str] = frozenset(("IP_TOS", "IPV6_TCLASS") if sys.platform == "win32" else ())

# Who may, where not everybody may.
_PRIVILEGES = {"mark": "CAP_NET_ADMIN", "bind_to_device": "CAP_NET_RAW"}

# Linux gives a connection all that its listener has; elsewhere it depends.
_INHERITED = sys.platform == "linux"


_IP = (socket.AF_INET, socket.AF_INET6)

AnySocket: TypeAlias = socket.socket | trio.socket.SocketType


class HasSocket(Protocol):
    """A connection, a listener, a stream or listener of Trio's."""

    @property
    def socket(self) -> AnySocket | None:
        """The socket below, None where there is none."""
        ...


def look_up(name: str) -> int | None:
    """Return the number of a constant, None where this platform has none."""
    number: int | None = None if name in _IDLE else getattr(socket, name, None)
    return _NUMBERS.get(name) if number is None else number


@lru_cache(maxsize=256)
def _plan(options: SocketOptions | None, kind: Kind, ipv6: bool) -> tuple[Setting, ...]:
    """Return the plan for this platform: the same one for every socket that is opened alike."""
    return tuple(plan_settings(options, kind, ipv6=ipv6, lookup=look_up))


def check_options(options: SocketOptions | None, kind: Kind) -> None:
    """Raise what can be known before a socket of this kind is opened.

    Raises:
        UnsupportedOptionError: an option is not for such sockets, or not on this platform.
    """
    if options is not None:
        _plan(options, kind, False)


def apply_options(
    options: SocketOptions | None,
    sock: AnySocket,
    kind: Kind,
    stages: Container[Stage] = (Stage.BIND, Stage.OPEN),
) -> None:
    """Set options, and the defaults of the kind, on a socket that was just made.

    Parameters:
        options: the user's.
        sock: not bound and not connected, for the stages that this is by default.
        kind: what it will be.
        stages: which of the options to set; ``Stage.LISTEN`` behind ``listen``.

    Raises:
        SocketOptionError: the system refuses one; the socket is to be closed.
    """
    plan = _plan(options, kind, _is_ipv6(sock))
    quiet = options is not None and options.unsupported == "ignore"
    make_settings((each for each in plan if each.stage in stages), sock, quiet=quiet)


def plan_accepted(options: SocketOptions | None, listener: AnySocket) -> Sequence[Setting]:
    """Return what has to be set on every connection that a listener accepts.

    Nothing where it inherits all, as it does with TCP on Linux, and the listener was opened here.
    """
    tcp = listener.family in _IP
    kind, accepted = (
        (Kind.TCP_LISTENER, Kind.TCP_CONNECTION)
        if tcp
        else (Kind.UNIX_LISTENER, Kind.UNIX_CONNECTION)
    )
    names = {row.name for row in ROWS if accepted in row.kinds and row.stage is Stage.OPEN}
    return [
        each
        for each in _plan(options, kind, _is_ipv6(listener))
        if each.name in names
        if not (tcp and _INHERITED and (each.said is not None or _has(listener, each)))
    ]


def _has(sock: AnySocket, setting: Setting) -> bool:
    with contextlib.suppress(OSError):
        return bool(sock.getsockopt(setting.level, setting.number) == setting.value)
    return False


def make_accepted(settings: Sequence[Setting], sock: socket.socket) -> None:
    """Make the settings of `plan_accepted` on a connection.

    The listener took them, so what fails here is a peer's that has left already.
    """
    for each in settings:
        with contextlib.suppress(OSError):
            sock.setsockopt(each.level, each.number, each.value)


def make_settings(settings: Iterable[Setting], sock: AnySocket, *, quiet: bool) -> None:
    """Make settings; what is `quiet` are those that the kernel does not know after all."""
    for each in settings:
        try:
            sock.setsockopt(each.level, each.number, each.value)
        except OSError as error:
            if each.said is not None and not (quiet and error.errno in _UNSUPPORTED):
                raise _explain(each, error) from error


def _explain(setting: Setting, error: OSError) -> SocketOptionError:
    if error.errno in _UNSUPPORTED:
        return UnsupportedOptionError(setting.name, "the system does not have it for this socket")
    what = f"{setting.said!r} is refused: {error.strerror or error}"
    privilege = _PRIVILEGES.get(setting.name)
    if error.errno == errno.EPERM and privilege:
        what += f" (it needs {privilege})"
    return SocketOptionError(error.errno or 0, setting.name, what)


def find_kind(sock: AnySocket) -> Kind:
    """Return what a socket is; one that does not listen counts as a connection.

    So does one that listens on macOS, which does not tell.

    Raises:
        ValueError: it is of no kind that has options here.
    """
    ip = sock.family in _IP
    stream = sock.type == socket.SOCK_STREAM
    if ip and sock.type == socket.SOCK_DGRAM:
        return Kind.UDP
    if not stream or not (ip or sock.family == getattr(socket, "AF_UNIX", None)):
        raise ValueError(f"{sock!r} is no socket of TCP, UDP or Unix streams")
    if listens(sock):
        return Kind.TCP_LISTENER if ip else Kind.UNIX_LISTENER
    return Kind.TCP_CONNECTION if ip else Kind.UNIX_CONNECTION


def listens(sock: AnySocket) -> bool | None:
    """Return whether a socket listens, None where that is not told: macOS knows the option only."""
    with contextlib.suppress(OSError, AttributeError):
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return None


def _is_ipv6(sock: AnySocket) -> bool:
    return sock.family == socket.AF_INET6


def set_socket_options(target: AnySocket | HasSocket, options: SocketOptions) -> None:
    """Set options on a socket that is in use. No defaults are set with them.

    For one connection among others (in a handshake, say), or for listeners that somebody else has
    opened: what a listener is given holds for connections that are made from then on. On Linux, a
    Unix listener's does not.

    Parameters:
        target: a connection, a listener, a stream of Trio's, or a socket.
        options: those that it is to have.

    Raises:
        UnsupportedOptionError: one is not for such a socket, or not on this platform. None was set.
        SocketOptionError: the system refuses one, or it had to be set before the socket was
            bound. Those named before it in `SocketOptions` may have been set.
        ValueError: there is no socket below.
    """
    sock = _socket_of(target)
    plan = _plan(options, find_kind(sock), _is_ipv6(sock))
    asked = [each for each in plan if each.said is not None]
    for each in asked:
        if each.stage is Stage.BIND and sock.getsockname()[1]:
            raise SocketOptionError(
                errno.EISCONN, each.name, f"it has to be set {Stage.BIND.value}"
            )
    make_settings(asked, sock, quiet=options.unsupported == "ignore")


def read_socket_options(target: AnySocket | HasSocket) -> SocketOptions:
    """Return what the kernel says of a socket's options.

    None for what this platform, or this kind of socket, does not have. Some values come back
    otherwise than they were given: Linux reserves twice the buffer sizes that it is asked for, up
    to a bound of the system's (``net.core.rmem_max`` and ``wmem_max``), and tells that; and rounds
    ``defer_accept`` up. ``keep_alive`` is False, or a `KeepAlive` with all its times.

    Parameters:
        target: a connection, a listener, a stream of Trio's, or a socket.

    Raises:
        OSError: it is closed.
        ValueError: there is no socket below.
    """
    sock = _socket_of(target)
    kind, ipv6 = find_kind(sock), _is_ipv6(sock)
    values = {
        row.name: _read(row, sock)
        for row in ROWS
        if kind in row.kinds and row.ipv6 in (None, ipv6) and not row.beside
    }
    times = {name.partition(".")[2]: values.pop(name) for name in list(values) if "." in name}
    if values.get("keep_alive"):
        values["keep_alive"] = KeepAlive(**times)
    return SocketOptions(**values)


def _read(row: Row, sock: AnySocket) -> Any:
    found = row.find(look_up)
    if found is None:
        return None
    try:
        data = sock.getsockopt(*found, row.form.size) if row.form.size else sock.getsockopt(*found)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return row.form.decode(data)


def _socket_of(target: AnySocket | HasSocket) -> AnySocket:
    if isinstance(target, AnySocket):
        return target
    sock = target.socket
    if sock is None:
        raise ValueError(f"{target!r} has no socket")
    return sock
