"""What comes in where a server listens."""

from __future__ import annotations

import contextlib
import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import trio

from ._base import Address, PlainSocket, Transport
from ._option_setting import listens, make_accepted, plan_accepted
from ._options import SocketOptions
from ._socket import SocketTransport
from ._stream import as_transport

# Trouble of one peer, or of the network on the way to it: the next accept may well succeed.
# Linux passes pending network errors of the new connection through accept (see accept(2)).
_PEER_TROUBLE = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ENONET", "ENOPROTOOPT", "ENOSR", "EOPNOTSUPP", "EPERM", "EPROTO", "EPROTONOSUPPORT"),
        *("ESOCKTNOSUPPORT", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)

# Trouble of this process or machine: it passes when something is closed.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


# So many may come between two looks, however fast; who goes on connecting must not keep us.
LAST = 1024


class Listener(ABC):
    """A source of transports."""

    address: Address | None = None
    prefaced: bool = False
    """Whether what it accepts may have a `Transport.preface`."""

    @property
    def socket(self) -> PlainSocket | None:
        """The socket that listens, for its options and for looking at; None where there is none."""
        return None

    @abstractmethod
    async def accept_some(self, room: Callable[[], int]) -> list[Transport]:
        """Wait for connections and return them: none where there was no room for the first.

        Parameters:
            room: says how many may be accepted. It is asked when there is something to accept and
                not before, since several listeners share the room.

        Raises:
            OSError: with an errno in `EXHAUSTED`, out of descriptors or memory; any other is fatal.
        """

    def accept_waiting(self, limit: int) -> list[Transport]:
        """Return what waits to be accepted now, without waiting."""
        return []

    def close_nowait(self) -> list[Transport]:
        """Stop listening, where that takes no waiting, and return what waited until that moment.

        What connects between a last look and the close is reset, so they are as near to each other
        as can be. `aclose` does whatever else there is to do.
        """
        return []

    @abstractmethod
    async def aclose(self) -> None:
        """Stop listening."""


class SocketListener(Listener):
    """A listening TCP or Unix socket, many accepts a wake-up.

    Parameters:
        sock: bound and listening; owned from now on.
        unlink: the file of a Unix socket to remove when closed.
        options: what it was opened with, for connections to have what they do not inherit. Of one
            that somebody else has opened they inherit what there is, and have no delay.
        at_once: the most connections to take a wake-up.
    """

    def __init__(
        self,
        sock: PlainSocket,
        *,
        unlink: Path | None = None,
        options: SocketOptions | None = None,
        at_once: int | None = None,
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self.options = options
        self._at_once = at_once
        self._settings = plan_accepted(options, sock)
        self.address = sock.getsockname()
        self._unlink = unlink
        self._identity = _identity(unlink) if unlink is not None else None

    @property
    def socket(self) -> PlainSocket:
        """The socket that listens."""
        return self._socket

    async def wait_waiting(self) -> None:
        """Wait until something waits to be accepted; another process may take it first."""
        if self._socket.fileno() == -1:
            raise trio.ClosedResourceError("the listener was closed by this side")
        await trio.lowlevel.wait_readable(self._socket)

    async def accept_some(self, room: Callable[[], int]) -> list[Transport]:
        """Wait for the first, take what is there with it."""
        while True:
            await self.wait_waiting()
            limit = room() if self._at_once is None else min(room(), self._at_once)
            accepted = self.accept_waiting(limit)
            if accepted or limit < 1:
                return accepted

    def accept_waiting(self, limit: int) -> list[Transport]:
        """Take what is there."""
        accepted: list[Transport] = []
        # An accept that fails counts too: one that always fails must not keep the run loop.
        for _ in range(limit):
            try:
                sock, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno in _PEER_TROUBLE:
                    continue
                if accepted:
                    break  # The error will be there again next time; these are here now.
                raise
            if self._settings:
                make_accepted(self._settings, sock)
            accepted.append(SocketTransport(sock, peer))
        return accepted

    def close_nowait(self) -> list[Transport]:
        """Take what is there, and close the socket."""
        last: list[Transport] = []
        if self._socket.fileno() != -1:
            self._take_down()
            with contextlib.suppress(OSError):
                last = self.accept_waiting(LAST)
            self._socket.close()
        return last

    async def aclose(self) -> None:
        """Close the socket, and remove a Unix socket's file if it still is ours."""
        if self._socket.fileno() != -1:
            self._take_down()
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _take_down(self) -> None:
        trio.lowlevel.notify_closing(self._socket)
        # The file goes first: the moment the socket is closed, another server may take a file
        # that is still there for a stale one and put its own in its place.
        if self._unlink is not None and _identity(self._unlink) == self._identity:
            with contextlib.suppress(OSError):
                self._unlink.unlink()


class StreamListener(Listener):
    """Any Trio listener.

    Parameters:
        listener: owned from now on.
    """

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream]) -> None:
        self._listener = listener
        self.address = _address_of(listener)

    async def accept_some(self, room: Callable[[], int]) -> list[Transport]:
        """Accept one: a Trio listener gives no more at a time, and gives it unasked."""
        return [as_transport(await self._listener.accept())]

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


def listener_from_socket(sock: socket.socket, *, shared: bool = False) -> Listener:
    """Return a listener for a socket that was bound and listens already, here or elsewhere.

    Parameters:
        sock: a listening TCP or Unix socket, inherited perhaps; owned by the listener from now on,
            and made non-blocking. A Unix socket's file stays when the listener closes: whoever has
            bound it removes it.
        shared: other processes accept from it too. Then one connection is taken at a time, and
            others that wait go to whoever comes next, rather than many at once to the first that
            wakes up.

    Raises:
        ValueError: it is no stream socket, or does not listen; it stays the caller's.
    """
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"a listener needs a stream socket, not {sock!r}")
    if listens(sock) is False:
        raise ValueError(f"this socket does not listen: {sock!r}")
    return SocketListener(sock, at_once=1 if shared else None)


def as_listener(listener: Listener | trio.abc.Listener[trio.abc.Stream]) -> Listener:
    """Take any listener over: a Trio socket listener is driven directly."""
    if isinstance(listener, Listener):
        return listener
    if isinstance(listener, trio.SocketListener):
        sock = listener.socket
        family, kind, proto = sock.family, sock.type, sock.proto
        return SocketListener(socket.socket(family, kind, proto, fileno=sock.detach()))
    return StreamListener(listener)


def _address_of(listener: trio.abc.Listener[Any]) -> Address | None:
    if isinstance(listener, trio.SSLListener):
        # One type checker knows what it is a listener of, the other has to be told.
        below = cast("trio.SSLListener[Any]", listener)  # type: ignore[redundant-cast]
        return _address_of(below.transport_listener)
    if isinstance(listener, trio.SocketListener):
        address: Address = listener.socket.getsockname()
        return address
    return getattr(listener, "address", None)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
