"""A plain stream socket, TCP or Unix, driven directly.

Trio's own ``SocketStream`` would do, but its ``send_all`` cannot say how far it came and has no
attempt without waiting. The bytes of a message that the kernel took, and those it did not, are
what a connection's promises are made of.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import trio

from .._errors import StalledError
from .._proxy_protocol import ProxyInfo
from ._base import Address, Interrupted, PlainSocket, Transport
from ._lingering import close_socket
from ._notifier import Notifier, current_notifier
from ._option_table import RESET


class SocketTransport(Transport):
    """Owns a connected stream socket from the moment it is given one.

    Parameters:
        sock: a connected stream socket; it is made non-blocking. Its options are left
            to whoever has opened it.
        peer: its peer's address, as the system gave it; asked for if not given.
    """

    __slots__ = (
        "_interruptions",
        "_known_to_trio",
        "_local_address",
        "_notifier",
        "_on_readable",
        "_socket",
    )

    can_send_eof = True
    sends_nowait = True
    receives_nowait = True
    interruptible = True
    sends_files = hasattr(os, "sendfile")

    def __init__(self, sock: PlainSocket, peer: Address | bytes | None = None) -> None:
        sock.setblocking(False)
        super().__init__(_name(sock.getpeername) if peer is None else _text(peer))
        self._socket = sock
        self._local_address: Address | None = None
        self._notifier: Notifier | None = None
        self._on_readable: Callable[[bool], None] | None = None
        self._known_to_trio = False
        """Whether Trio was ever asked to wait for it, and so has to be told that it closes."""
        self._interruptions = 0

    @property
    def socket(self) -> PlainSocket:
        """The socket."""
        return self._socket

    @property
    def local_address(self) -> Address | None:
        """Our address: asked for when somebody wants to know, and at the latest when it closes."""
        if self._local_address is None:
            self._local_address = _name(self._socket.getsockname)
        return self._local_address

    def stand_for_client(self, proxy: ProxyInfo) -> None:
        """Show the addresses that a proxy tells of its client."""
        super().stand_for_client(proxy)
        if proxy.header.destination is not None:
            self._local_address = proxy.header.destination

    async def receive_some(self, max_bytes: int) -> bytes:
        """Wait for the socket first: it is the checkpoint, and an idle socket is the usual case."""
        self._known_to_trio = True
        interruptions = self._interruptions
        while interruptions == self._interruptions:
            self._check_open()
            try:
                await trio.lowlevel.wait_readable(self._socket)
            except trio.ClosedResourceError:
                self._check_open()
                break
            data = self.receive_nowait(max_bytes)
            if data is not None:
                return data
        raise Interrupted

    def interrupt_receive(self) -> None:
        """Say that the socket closes, which wakes whoever waits for it, and leave it open."""
        self._interruptions += 1
        if self._known_to_trio and self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)

    def watch(self, function: Callable[[bool], None]) -> bool:
        """Have the notifier watch the socket, if there are enough of them."""
        self._check_open()
        if self._notifier is None:
            self._notifier = current_notifier()
            if self._notifier is None:
                return False
            self._notifier.join()
        if not self._notifier.pays:
            return False
        if not self._notifier.watch(self._socket, function):
            return False
        self._on_readable = function
        return True

    def unwatch(self) -> None:
        """Take the socket out of the notifier."""
        if self._notifier is not None and self._on_readable is not None:
            self._notifier.forget(self._socket)
            self._on_readable = None

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Receive if there is something."""
        try:
            return self._socket.recv(max_bytes)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise self._broken(error) from error

    def has_input(self) -> bool:
        """Ask the kernel, and leave what it has there."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True  # Whoever receives it is told.
        return True

    async def send_some(self, data: memoryview) -> int:
        """Try at once, then wait. Not a checkpoint when the kernel has room."""
        taken = self.send_nowait(data)
        while not taken:
            in_time = await self._wait_writable()
            # Writable means that a good part of the kernel's buffer is free. What a slow peer takes
            # may be long in coming to that: so a last attempt is what tells slow from stalled.
            taken = self.send_nowait(data)
            if not (taken or in_time):
                raise StalledError(f"peer took nothing for {self.stall_timeout:g} seconds")
        return taken

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Hand the kernel what it takes now."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._broken(error) from error

    async def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Have the kernel take bytes from the file itself; as `send_some` otherwise."""
        taken = self._send_file_now(descriptor, offset, count)
        while taken is None:
            in_time = await self._wait_writable()
            taken = self._send_file_now(descriptor, offset, count)
            if taken is None and not in_time:
                raise StalledError(f"peer took nothing for {self.stall_timeout:g} seconds")
        return taken

    def _send_file_now(self, descriptor: int, offset: int, count: int) -> int | None:
        try:
            return os.sendfile(self._socket.fileno(), descriptor, offset, count)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise self._broken(error) from error

    async def _wait_writable(self) -> bool:
        with trio.move_on_after(self.stall_timeout) as scope:
            await self.wait_send_might_not_block()
        return not scope.cancelled_caught

    async def wait_send_might_not_block(self) -> None:
        """Wait until the kernel has room."""
        self._known_to_trio = True
        waiting = True
        while waiting:
            self._check_open()
            # A receiver that is interrupted is told that the socket closes, and so are we.
            with contextlib.suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_writable(self._socket)
                waiting = False

    async def send_eof(self) -> None:
        """Shut our direction down; the other one goes on."""
        self._check_open()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._broken(error) from error
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Wake whoever waits with ``ClosedResourceError`` and close."""
        self.close_nowait()
        await trio.lowlevel.checkpoint()

    def reset_on_close(self) -> None:
        """Have the close send a reset."""
        with contextlib.suppress(OSError):  # The socket is closed, or knows no resets.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def close_nowait(self) -> bool:
        """Close as `aclose` does, without a checkpoint."""
        if self._socket.fileno() != -1:
            self._local_address = self.local_address
            if self._known_to_trio:
                trio.lowlevel.notify_closing(self._socket)
            on_readable = self._on_readable
            self.unwatch()
            if self._notifier is not None:
                self._notifier.leave()
            close_socket(self._socket)
            if on_readable is not None:
                on_readable(False)  # Learns of it as whoever waits in `receive_some` does.
        return True

    def _check_open(self) -> None:
        if self._socket.fileno() == -1:
            raise trio.ClosedResourceError("the socket was closed by this side")

    def _broken(self, error: OSError) -> Exception:
        if self._socket.fileno() == -1:
            return trio.ClosedResourceError("the socket was closed by this side")
        return trio.BrokenResourceError(f"connection lost: {error.strerror or error}")


def _name(ask: Callable[[], Any]) -> Address | None:
    """Ask for an address; a peer that is gone already has none."""
    try:
        return _text(ask())
    except OSError:
        return None


def _text(address: Address | bytes) -> Address:
    """Return an address without bytes, which those of abstract Unix sockets are."""
    return address if not isinstance(address, bytes) else address.decode(errors="surrogateescape")


def take_socket(stream: trio.SocketStream) -> SocketTransport:
    """Move a Trio stream's socket into a transport; the stream is unusable afterwards."""
    sock = stream.socket
    family, kind, proto = sock.family, sock.type, sock.proto
    return SocketTransport(socket.socket(family, kind, proto, fileno=sock.detach()))
