"""The way in: what has come is taken from the socket, all of it at each wake-up."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections import Counter, deque
from typing import Any, Generic, TypeVar, cast

import trio

from .._codec import Codec
from .._errors import ConnectionClosedError, RemoteProtocolError, SkippedMessageError
from .._transport import BusyGuard
from . import _messages
from ._datagram import Datagram
from ._errors import REPORTS, UndeliveredError
from ._limits import EndpointLimits

ReceiveT = TypeVar("ReceiveT")

# Linux, <asm-generic/socket.h>: nine numbers about a socket's memory, the last is what was dropped.
_SO_MEMINFO, _MEMINFO, _DROPS = 55, struct.Struct("@9I"), 8


class Intake(Generic[ReceiveT]):
    """Datagrams on their way from the socket to a receiver.

    Nobody reads ahead: the system's buffer keeps what has come, and drops what it has no room for.

    Parameters:
        sock: non-blocking.
        limits: how much is taken at a time.
        codec: makes messages of datagrams, None to leave them.
        connected: whether the socket has a peer.
    """

    def __init__(
        self,
        sock: socket.socket,
        limits: EndpointLimits,
        codec: Codec[Any, ReceiveT] | None,
        *,
        connected: bool,
    ) -> None:
        self.inbox: deque[Datagram[ReceiveT]] = deque()
        self.received = self.bytes_received = self.oversized = self.undecodable = 0
        self.undelivered: Counter[str] = Counter()
        self._sock = sock
        self._limits = limits
        self._codec = codec
        self._connected = connected
        self._report: UndeliveredError | None = None
        self._waiting: trio.CancelScope | None = None
        self._guard = BusyGuard("another task is already receiving from this endpoint")
        self._last_drops: int | None = None

    async def fill(self) -> None:
        """Wait until the inbox has something.

        Raises:
            UndeliveredError: the network has reported something; the endpoint lives.
            ConnectionClosedError: the endpoint is closed.
            BusyResourceError: another task waits.
        """
        with self._guard:
            while not self.inbox:
                self._raise_report()
                await self._wait()
                self.take()

    def take(self) -> None:
        """Put into the inbox what is there now, as far as the limits go.

        Raises:
            ConnectionClosedError: the endpoint is closed.
            OSError: the system failed.
        """
        limits, codec, taken = self._limits, self._codec, 0
        largest, recvfrom = limits.max_datagram_size, self._sock.recvfrom
        try:
            for _ in range(limits.max_inbox_datagrams - len(self.inbox)):
                # One byte more than may come shows what would be cut.
                pair = recvfrom(largest + 1)
                size = len(pair[0])
                taken += size
                if size > largest:
                    self.oversized += 1
                else:
                    datagram = Datagram._make(pair) if codec is None else self._decode(codec, pair)
                    if datagram is not None:
                        self._keep(datagram, size)
                if taken >= limits.max_inbox_bytes:
                    return
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            if error.errno not in REPORTS:
                # Something had come, and before that was looked at somebody has closed the socket.
                self._check_open()
                raise
            self.note(error)

    def _keep(self, datagram: Datagram[Any], size: int) -> None:
        self.inbox.append(datagram)
        self.received += 1
        self.bytes_received += size

    def _decode(
        self, codec: Codec[Any, ReceiveT], pair: tuple[bytes, Any]
    ) -> Datagram[ReceiveT] | None:
        try:
            return Datagram(_messages.decode(codec, pair[0]), pair[1])
        except (RemoteProtocolError, SkippedMessageError):
            self.undecodable += 1
            return None

    async def _wait(self) -> None:
        try:
            if not self._connected:
                await trio.lowlevel.wait_readable(self._sock)
                return
            # A report that a send comes upon does not make the socket readable any more.
            with trio.CancelScope() as self._waiting:
                await trio.lowlevel.wait_readable(self._sock)
        except trio.ClosedResourceError:
            raise ConnectionClosedError("this endpoint was closed") from None
        finally:
            self._waiting = None

    def note(self, error: OSError) -> None:
        """Keep what the network reports for whoever receives next; the last report counts."""
        number = cast("int", error.errno)
        self.undelivered[errno.errorcode.get(number, str(number))] += 1
        reason = f"an earlier datagram was not delivered: {error.strerror}"
        self._report = UndeliveredError(number, reason)
        if self._waiting is not None:
            self._waiting.cancel(reason="the network has reported something")

    def _check_open(self) -> None:
        if self._sock.fileno() == -1:
            raise ConnectionClosedError("this endpoint is closed")

    def _raise_report(self) -> None:
        self._check_open()
        if self._report is not None:
            report, self._report = self._report, None
            raise report

    def kernel_drops(self) -> int | None:
        """Return how many datagrams found the system's buffer full, None where it does not tell."""
        if self._sock.fileno() != -1 and sys.platform == "linux":
            try:
                numbers = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
                self._last_drops = _MEMINFO.unpack(numbers)[_DROPS]
            except (OSError, struct.error):  # Another number on this processor, or an old kernel.
                return None
        return self._last_drops

    def close(self) -> None:
        """Keep nothing any more; before the socket is closed."""
        self.kernel_drops()
        self.inbox.clear()
