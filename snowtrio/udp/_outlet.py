"""The way out: datagrams to the kernel, at once or when it has room again."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import trio

from .._errors import ConnectionClosedError, LocalProtocolError
from ._datagram import InternetAddress
from ._errors import EXHAUSTED, REPORTS
from ._ways import check_numeric, is_loopback

# Datagrams seldom have to wait for the kernel, so a task that only sends must give way by itself.
_IN_A_ROW = 64

# Checked addresses to remember; strangers choose them, so they are few.
_REMEMBERED = 1024

# What systems say to a datagram that would have to leave the machine from loopback.
_NO_WAY = frozenset({errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH})

# How long to wait where the system has no memory and does not say when it has some, in seconds.
_PAUSE = 0.001


class Outlet:
    """Sends datagrams.

    Parameters:
        sock: non-blocking.
        connected: whether the socket has a peer.
        report: told what the network says of earlier datagrams.
    """

    def __init__(
        self, sock: socket.socket, *, connected: bool, report: Callable[[OSError], None]
    ) -> None:
        self.sent = self.bytes_sent = self.waited = 0
        self._sock = sock
        self._connected = connected
        self._report = report
        self._checked: set[InternetAddress] = set()
        self._in_a_row = 0
        self._turn = trio.Lock()

    async def send(self, data: bytes, to: InternetAddress | None) -> None:
        """Hand one datagram to the kernel, and wait where it has no room.

        A checkpoint now and then, before anything is sent. Cancelled, nothing was sent.

        Raises:
            as `transmit`, but for what waiting helps against.
        """
        self._in_a_row += 1
        if self._in_a_row > _IN_A_ROW:
            self._in_a_row = 0
            await trio.lowlevel.checkpoint()
        if not self._turn.locked():
            try:
                self.transmit(data, to)
                return
            except OSError as error:
                if not passes(error):
                    raise
        self.waited += 1
        async with self._turn:
            await self._send_in_turn(data, to)

    async def _send_in_turn(self, data: bytes, to: InternetAddress | None) -> None:
        while True:
            try:
                self.transmit(data, to)
                return
            except BlockingIOError:
                try:
                    await trio.lowlevel.wait_writable(self._sock)
                except trio.ClosedResourceError:
                    raise ConnectionClosedError("this endpoint was closed") from None
            except OSError as error:
                if not passes(error):
                    raise
                await trio.sleep(_PAUSE)

    def transmit(self, data: bytes, to: InternetAddress | None) -> None:
        """Hand one datagram to the kernel now.

        Raises:
            OSError: the kernel has no room (see `passes`), or refuses to send it.
            LocalProtocolError: the datagram is larger than any can be, or than the way allows.
            ConnectionClosedError: the endpoint is closed.
        """
        try:
            if to is None:
                self._sock.send(data)
            else:
                if to not in self._checked:
                    self._check(to)
                self._sock.sendto(data, to)
        except BlockingIOError:
            raise
        except OSError as error:
            self._transmit_again(error, data, to)
        self.sent += 1
        self.bytes_sent += len(data)

    def _check(self, to: InternetAddress) -> None:
        if self._connected:
            raise TypeError("a connected endpoint sends to its peer: give no address")
        check_numeric(self._sock.family, to)
        if len(self._checked) >= _REMEMBERED:
            self._checked.clear()
        self._checked.add(to)

    def _transmit_again(self, error: OSError, data: bytes, to: InternetAddress | None) -> None:
        """Send what an earlier datagram's error kept from being sent.

        The kernel tells what the network reports of a connected socket's earlier datagrams to
        whoever asks it for anything, and has then not done what it was asked for.
        """
        if not self._connected or error.errno not in REPORTS:
            raise self._explain(error, data, to)
        # Another report may have come meanwhile. What stays the same is about this datagram.
        again: OSError = error
        for _ in range(3):
            try:
                self._sock.send(data)
            except OSError as latest:
                again = latest
                if latest.errno not in REPORTS:
                    break
            else:
                self._report(error)
                return
        if again.errno != error.errno:
            self._report(error)
        raise self._explain(again, data, to)

    def _explain(self, error: OSError, data: bytes, to: InternetAddress | None) -> Exception:
        """Return the error itself, or one that says more."""
        if self._sock.fileno() == -1:
            return ConnectionClosedError("this endpoint is closed")
        if to is None and not self._connected:
            return TypeError("an endpoint without a peer needs an address to send to")
        if error.errno == errno.EMSGSIZE:
            return LocalProtocolError(f"a datagram of {len(data)} bytes is more than can be sent")
        hint = None if to is None else self._find_hint(error, to)
        if hint is None:
            return error
        return OSError(error.errno, f"cannot send to {to}: {error.strerror}; {hint}")

    def _find_hint(self, error: OSError, to: InternetAddress) -> str | None:
        """Return what the system does not say: which of our own settings is in the way."""
        here: str = self._sock.getsockname()[0]
        if error.errno in _NO_WAY and is_loopback(here) and not is_loopback(to[0]):
            return f"bound to {here} it reaches nobody else, so open it with another host"
        broadcasts = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        if error.errno == errno.EACCES and not broadcasts:
            return "a broadcast address needs SocketOptions(broadcast=True)"
        return None


def passes(error: OSError) -> bool:
    """Whether the same datagram may be sent a moment later."""
    return isinstance(error, BlockingIOError) or error.errno in EXHAUSTED
