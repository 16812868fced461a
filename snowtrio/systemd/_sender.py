"""Datagrams to the service manager, in order, with nobody waiting for them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Hashable

import trio

from .._supervisor import LogLimit

logger = logging.getLogger("snowtrio.systemd")


class Sender:
    """Sends what it is given at once if it can, and otherwise when the manager has read more.

    A manager that is not there is logged, and costs nothing more.

    Parameters:
        address: of its socket.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._sock: socket.socket | None = None
        self._waiting: dict[Hashable, bytes] = {}
        self._wanted = trio.Event()
        self._idle = trio.lowlevel.ParkingLot()
        self._log_limit = LogLimit()

    def send(self, kind: Hashable, data: bytes) -> None:
        """Send a datagram behind those that wait; does not wait, nor raise.

        Parameters:
            kind: of several of one kind that wait, the last one is sent.
            data: whole.
        """
        if not self._waiting and self._try(data):
            return
        self._waiting.pop(kind, None)
        self._waiting[kind] = data
        self._wanted.set()

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._waiting:
                if self._sock is not None:
                    await trio.lowlevel.wait_writable(self._sock)
                kind, data = next(iter(self._waiting.items()))
                if self._try(data):
                    self._waiting.pop(kind)
            self._idle.unpark_all()

    async def flush(self) -> None:
        """Wait until nothing waits."""
        while self._waiting:
            await self._idle.park()

    def close(self) -> None:
        """Close the socket; what waits is lost."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _try(self, data: bytes) -> bool:
        """Send a datagram; False if there is no room. One that cannot be sent is done with too."""
        try:
            try:
                self._connect().send(data)
            except ConnectionError:  # The manager has begun anew, with another socket.
                self.close()
                self._connect().send(data)
        except BlockingIOError:
            return False
        except OSError as error:
            if self._log_limit.allows():
                where = self._address.replace("\0", "@")
                logger.warning("cannot notify systemd on %s: %s", where, error.strerror)
        return True

    def _connect(self) -> socket.socket:
        if self._sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                sock.connect(self._address)
            except BaseException:
                sock.close()
                raise
            self._sock = sock
        return self._sock
