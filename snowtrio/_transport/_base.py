"""What a connection needs of the thing that carries its bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import trio

from .._proxy_protocol import ProxyInfo

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str
"""``(host, port)`` for IPv4, four fields for IPv6, a path (maybe empty) for a Unix socket."""

PlainSocket: TypeAlias = socket.socket
"""Below, the name ``socket`` is a property's."""

DISCARD_SIZE = 64 * 1024

Preface: TypeAlias = Callable[["Transport"], Awaitable[bytes]]
"""Reads what stands before everything else on an accepted transport, and returns what it read
beyond that. It raises where the connection is not to be served."""


class Interrupted(Exception):  # noqa: N818 - no error: whoever waited is to look again
    """`Transport.interrupt_receive` ended a wait for bytes. Nothing was received."""


class Transport(ABC):
    """Bytes in and out, one task at a time in each direction.

    Three kinds stand behind it: sockets that are driven directly, any Trio stream, and TLS over
    either. All raise Trio's errors: ``BrokenResourceError`` and ``ClosedResourceError``.
    """

    __slots__ = ("peer_address", "preface", "proxy", "stall_timeout")

    can_send_eof: bool = False
    sends_nowait: bool = False
    """Whether `send_nowait` can take anything."""
    receives_nowait: bool = False
    """Whether `receive_nowait` can give anything."""
    interruptible: bool = False
    """Whether `interrupt_receive` can be called."""
    sends_files: bool = False
    """Whether `send_file` can be called."""

    def __init__(self, peer_address: Address | None) -> None:
        self.peer_address = peer_address
        """The peer's address, where it is known."""
        self.preface: Preface | None = None
        """What a server has to await before it reads anything, and forgets when that is done."""
        self.proxy: ProxyInfo | None = None
        """The proxy that brought it, where there is one: see `behind_proxy`."""
        self.stall_timeout = float("inf")
        """Seconds that a send may wait without any byte being taken; set by the connection's
        owner."""

    @property
    @abstractmethod
    def local_address(self) -> Address | None:
        """Our address, where it is known."""

    def stand_for_client(self, proxy: ProxyInfo) -> None:
        """Show the addresses that a proxy tells of its client, where it tells any."""
        self.proxy = proxy
        if proxy.header.source is not None:
            self.peer_address = proxy.header.source

    @property
    def socket(self) -> PlainSocket | None:
        """The socket below, for its options and for looking at; None where there is none."""
        return None

    @property
    def tls(self) -> ssl.SSLObject | None:
        """What speaks TLS here, None without."""
        return None

    @property
    def at_risk(self) -> int:
        """Bytes beyond those taken that may have got through all the same, or in part."""
        return 0

    @abstractmethod
    async def receive_some(self, max_bytes: int) -> bytes:
        """Wait for bytes and return at most `max_bytes` of them; ``b""`` at the end of input.

        Raises:
            Interrupted: `interrupt_receive` was called meanwhile.
        """

    def interrupt_receive(self) -> None:
        """Have a task that waits in `receive_some` wait no more; only where `interruptible`.

        Cheaper than a cancel scope around each wait, for most waits are never interrupted. A task
        that has been woken already receives as ever.
        """
        raise NotImplementedError

    def watch(self, function: Callable[[bool], None]) -> bool:
        """Have `function` called with True whenever there is something for `receive_nowait`.

        Until `unwatch`, or until it is called with False: the transport was closed, or watching it
        does not pay any more. It must not raise. Nobody may wait in `receive_some` meanwhile.

        Returns False where that cannot be done, or does not pay: `receive_some` is to be used.
        """
        return False

    def unwatch(self) -> None:  # noqa: B027 - there is nothing to undo
        """Call the function no more; nothing if there is none."""

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Return what is there without waiting: ``b""`` at the end of input, None for nothing.

        Through TLS it can be more than `max_bytes`, by what one record holds.
        """
        return None

    def has_input(self) -> bool:
        """Whether something could be received now, if only the end; False where nobody knows."""
        return False

    @abstractmethod
    async def send_some(self, data: memoryview) -> int:
        """Wait until some of `data` is taken and return how much.

        Raises:
            StalledError: nothing was taken for `stall_timeout` seconds.
        """

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Return how much of `data` is taken without waiting; 0 where that cannot be told."""
        return 0

    async def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Wait until some of a file's bytes are taken; return how many, 0 where there are none.

        Only where `sends_files`. Not a checkpoint when there is room for them.

        Raises:
            StalledError: nothing was taken for `stall_timeout` seconds.
        """
        raise NotImplementedError

    async def wait_send_might_not_block(self) -> None:
        """Wait until a send is likely to take something at once."""
        await trio.lowlevel.checkpoint()

    @abstractmethod
    async def send_eof(self) -> None:
        """End our direction; only where `can_send_eof`."""

    def reset_on_close(self) -> None:  # noqa: B027 - most streams have no reset
        """Have the close be seen as a reset and not as the end of input, where there is such."""

    async def finish(self) -> None:
        """Say that no more comes, then read and discard until the peer ends too (row B9).

        Closing over unread input makes the kernel send a reset, which can overtake our last bytes.
        The caller sets the time; a peer that is gone is a good end.
        """
        if not self.can_send_eof:
            return
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.send_eof()
            while await self.receive_some(DISCARD_SIZE):
                pass

    @abstractmethod
    async def aclose(self) -> None:
        """Close, waking all that wait. Cancelled, it closes at once."""

    def close_nowait(self) -> bool:
        """Close if that takes no waiting; say whether it was done."""
        return False

    def peer_certificate(self) -> dict[str, object] | None:
        """Return what `ssl.SSLSocket.getpeercert` says, None without TLS or certificate."""
        if self.tls is None:
            return None
        certificate: dict[str, Any] | None = self.tls.getpeercert()
        return certificate or None

    def alpn_protocol(self) -> str | None:
        """Return the protocol that ALPN chose, None without."""
        if self.tls is None:
            return None
        return self.tls.selected_alpn_protocol()
