"""Where a server listens, and what comes in there."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from abc import ABC, abstractmethod
from collections.abc import Sequence

import trio

from ._base import Address, Transport
from ._socket import SocketTransport
from ._stream import as_transport

# What listen() takes is capped by the system, and asking for the most is what avoids refused or
# stalled connects in a burst.
BACKLOG = 65535

# Trouble of one peer, or of the network on the way to it: the next accept may well succeed.
# Linux passes pending network errors of the new connection through accept (see accept(2)).
_PEER_TROUBLE = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED EPERM EPROTO ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP "
        "ENETUNREACH ENOSR ESOCKTNOSUPPORT EPROTONOSUPPORT ETIMEDOUT ECONNRESET"
    ).split()
    if hasattr(errno, name)
)

# Trouble of this process or machine: it passes when something is closed.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener(ABC):
    """A source of transports."""

    address: Address | None = None

    @abstractmethod
    async def accept_some(self, limit: int) -> list[Transport]:
        """Wait for connections and return at least one, at most `limit` of them.

        Raises:
            OSError: with an errno in `EXHAUSTED`, out of descriptors or memory; any other is fatal.
        """

    def accept_waiting(self, limit: int) -> list[Transport]:
        """Return what waits to be accepted now, without waiting."""
        return []

    @abstractmethod
    async def aclose(self) -> None:
        """Stop listening."""


class SocketListener(Listener):
    """A listening TCP or Unix socket, many accepts a wake-up.

    Parameters:
        sock: bound and listening; owned from now on.
        unlink: the file of a Unix socket to remove when closed.
    """

    def __init__(
        self, sock: socket.socket, *, unlink: os.PathLike[str] | str | None = None
    ) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.address = sock.getsockname()
        self._unlink = unlink
        self._identity = _identity(unlink) if unlink is not None else None

    async def accept_some(self, limit: int) -> list[Transport]:
        """Wait for the first, take what is there with it."""
        while True:
            if self.socket.fileno() == -1:
                raise trio.ClosedResourceError("the listener was closed by this side")
            await trio.lowlevel.wait_readable(self.socket)
            if accepted := self.accept_waiting(limit):
                return accepted

    def accept_waiting(self, limit: int) -> list[Transport]:
        """Take what is there."""
        accepted: list[Transport] = []
        while len(accepted) < limit:
            try:
                sock, _ = self.socket.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno in _PEER_TROUBLE:
                    continue
                if accepted:
                    break  # The error will be there again next time; these are here now.
                raise
            accepted.append(SocketTransport(sock))
        return accepted

    async def aclose(self) -> None:
        """Close the socket, and remove a Unix socket's file if it still is ours."""
        if self.socket.fileno() != -1:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
            if self._unlink is not None and _identity(self._unlink) == self._identity:
                with contextlib.suppress(OSError):
                    os.unlink(self._unlink)
        await trio.lowlevel.checkpoint()


class StreamListener(Listener):
    """Any Trio listener.

    Parameters:
        listener: owned from now on.
    """

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream]) -> None:
        self._listener = listener

    async def accept_some(self, limit: int) -> list[Transport]:
        """Accept one: a Trio listener gives no more at a time."""
        return [as_transport(await self._listener.accept())]

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


def as_listener(listener: Listener | trio.abc.Listener[trio.abc.Stream]) -> Listener:
    """Take any listener over: a Trio socket listener is driven directly."""
    if isinstance(listener, Listener):
        return listener
    if isinstance(listener, trio.SocketListener):
        sock = listener.socket
        family, kind, proto = sock.family, sock.type, sock.proto
        return SocketListener(socket.socket(family, kind, proto, fileno=sock.detach()))
    return StreamListener(listener)


async def open_tcp_listeners(
    port: int, *, host: str | None = "127.0.0.1", backlog: int = BACKLOG
) -> list[Listener]:
    """Listen on every address that `host` has, all on the same port.

    Parameters:
        port: the TCP port; 0 takes a free one.
        host: an address or name; None is all addresses, IPv4 and IPv6.
        backlog: connections that may wait to be accepted; the system caps it.

    Raises:
        OSError: the port is in use, or the host unknown; nothing is left open.
    """
    found = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[Listener] = []
    try:
        for family, kind, proto, _, address in dict.fromkeys(found):
            taken = address if port == 0 and not listeners else (address[0], port, *address[2:])
            try:
                sock = _bind_tcp(socket.socket(family, kind, proto), taken, backlog)
            except OSError as error:
                if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and len(found) > 1:
                    continue  # A family that this machine does not have.
                raise
            listeners.append(SocketListener(sock))
            port = sock.getsockname()[1]
    except BaseException:
        for listener in listeners:
            await trio.aclose_forcefully(listener)  # type: ignore[arg-type]
        raise
    if not listeners:
        raise OSError(errno.EADDRNOTAVAIL, f"no address of {host!r} can be listened on")
    return listeners


def _bind_tcp(sock: socket.socket, address: Sequence[object], backlog: int) -> socket.socket:
    try:
        if os.name != "nt":  # There it would let a second server steal the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(tuple(address))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise OSError(
            error.errno, f"cannot listen on {address[0]}:{address[1]}: {error.strerror}"
        ) from error
    return sock


async def open_unix_listener(
    path: str | os.PathLike[str], *, mode: int = 0o600, backlog: int = BACKLOG
) -> Listener:
    """Listen on a Unix socket.

    A socket file that no server listens on any more is removed first; a live one is not.

    Parameters:
        path: the socket's file; removed again when the listener closes.
        mode: the file's permissions; by default only this user can connect.
        backlog: connections that may wait to be accepted; the system caps it.

    Raises:
        OSError: a server listens there already, or something else stands at `path`.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(os.fspath(path))
        os.chmod(path, mode)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {path}: {error.strerror}") from error
    await trio.lowlevel.checkpoint()
    return SocketListener(sock, unlink=path)


def _remove_stale(path: str | os.PathLike[str]) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(
                errno.EEXIST, f"cannot listen on {path}: a file that is no socket is there"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # A full backlog is a live server.
    raise OSError(errno.EADDRINUSE, f"cannot listen on {path}: another server listens there")


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
