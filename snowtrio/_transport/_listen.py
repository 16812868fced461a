"""Beginning to listen: on TCP, on a Unix socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import trio

from .._errors import SocketOptionError
from ._listeners import Listener, SocketListener
from ._option_setting import apply_options, check_options
from ._option_table import Kind, Stage
from ._options import SocketOptions

# What listen() takes is capped by the system, and asking for the most is what avoids refused or
# stalled connects in a burst.
BACKLOG = 65535

# What binding says to an address of a family that this machine does not have.
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

# A port of the system's choosing, free on the first address, may be in use on the second.
_PORT_ATTEMPTS = 16


async def open_tcp_listeners(
    port: int,
    *,
    host: str | None = "127.0.0.1",
    backlog: int = BACKLOG,
    options: SocketOptions | None = None,
) -> list[Listener]:
    """Listen on every address that `host` has, all on the same port.

    Parameters:
        port: the TCP port; 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6.
        backlog: connections that may wait to be accepted; the system caps it.
        options: of the listening sockets, and so of the connections that they accept.

    Raises:
        OSError: the port is in use, or the host unknown; nothing is left open.
        SocketOptionError: an option is not for TCP listeners, not on this platform, or refused;
            nothing is left open.
    """
    check_options(options, Kind.TCP_LISTENER)
    try:
        found = await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        reason = f"cannot listen on {host}: {error.strerror}"
        raise socket.gaierror(error.errno, reason) from error
    targets = [
        _Target(family, kind, proto, address)
        for family, kind, proto, _, address in dict.fromkeys(found)
    ]
    attempts = _PORT_ATTEMPTS if port == 0 else 1
    while True:
        attempts -= 1
        try:
            return list(_listen_on_all(targets, port, backlog, options))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not attempts:
                raise


class _Target(NamedTuple):
    family: int
    kind: int
    proto: int
    address: tuple[Any, ...]

    def listen(self, port: int, backlog: int, options: SocketOptions | None) -> SocketListener:
        """Listen there, on `port`."""
        host, _, *rest = self.address
        sock = socket.socket(self.family, self.kind, self.proto)
        try:
            apply_options(options, sock, Kind.TCP_LISTENER)
            sock.bind((host, port, *rest))
            sock.listen(backlog)
            apply_options(options, sock, Kind.TCP_LISTENER, (Stage.LISTEN,))
            return SocketListener(sock, options=options)
        except BaseException as error:
            sock.close()
            if isinstance(error, SocketOptionError) or not isinstance(error, OSError):
                raise
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            reason = f"cannot listen on {where}: {error.strerror or error}"
            raise OSError(error.errno, reason) from error


def _listen_on_all(
    targets: Sequence[_Target], port: int, backlog: int, options: SocketOptions | None
) -> list[SocketListener]:
    listeners: list[SocketListener] = []
    try:
        for target in targets:
            try:
                listener = target.listen(port, backlog, options)
            except OSError as error:
                if error.errno in _NO_SUCH_FAMILY and len(targets) > 1:
                    continue
                raise
            listeners.append(listener)
            port = listener.socket.getsockname()[1]
        if not listeners:
            raise OSError(errno.EADDRNOTAVAIL, "this machine has none of the host's addresses")
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


async def open_unix_listener(
    path: str | os.PathLike[str],
    *,
    mode: int = 0o600,
    backlog: int = BACKLOG,
    options: SocketOptions | None = None,
) -> Listener:
    """Listen on a Unix socket.

    A socket file that no server listens on any more is removed first; a live one is not.

    Parameters:
        path: the socket's file; removed again when the listener closes.
        mode: the file's permissions; by default only this user can connect.
        backlog: connections that may wait to be accepted; the system caps it.
        options: of the connections that it accepts.

    Raises:
        OSError: a server listens there already, something else stands at `path`, or the directory
            is not there. No file of ours is left.
        SocketOptionError: an option is not for Unix sockets, not on this platform, or refused.
    """
    check_options(options, Kind.UNIX_LISTENER)
    await trio.lowlevel.checkpoint()
    try:
        _remove_stale(Path(path))
        return _listen_unix(Path(path), mode, backlog, options)
    except SocketOptionError:
        raise
    except OSError as error:
        reason = f"cannot listen on {os.fspath(path)}: {error.strerror or error}"
        raise OSError(error.errno, reason) from error


def _listen_unix(
    path: Path, mode: int, backlog: int, options: SocketOptions | None
) -> SocketListener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        apply_options(options, sock, Kind.UNIX_LISTENER)
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    try:
        # Nobody can connect before `listen`, so nobody does with other permissions.
        path.chmod(mode)
        sock.listen(backlog)
        return SocketListener(sock, unlink=path, options=options)
    except BaseException:
        path.unlink()
        sock.close()
        raise


def _remove_stale(path: Path) -> None:
    """Remove a socket's file that nobody listens on.

    Raises:
        OSError: somebody does, or the file is no socket.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(errno.EEXIST, "a file that is no socket is there")
        if _is_live(path):
            raise OSError(errno.EADDRINUSE, "another server listens there")
        path.unlink()


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            pass  # A full backlog is a live server.
    return True
