"""What a worker and its parent say to each other: JSON, one value a line, on a pair of sockets.

JSON, and no pickles: a parent may have rights that its workers have given up. The one that there
is comes first and goes to the worker: what it is to run.
"""

from __future__ import annotations

import math
import socket
from typing import Any, cast

import attrs
import trio

from .._errors import RemoteProtocolError
from .._supervisor import DrainTimeouts
from .._transport import BufferedStream, SocketTransport
from ..codecs import JSONLinesCodec

# More than the statistics of many servers.
MAX_MESSAGE_SIZE = 1024 * 1024

_CODEC = JSONLinesCodec(max_message_size=MAX_MESSAGE_SIZE)


class Control:
    """One end of the line between a worker and its parent. One task at a time in each direction.

    Parameters:
        sock: owned from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._stream = BufferedStream(SocketTransport(sock, None))

    async def send(self, message: dict[str, Any]) -> bool:
        """Send a message; False if the other process is gone."""
        try:
            await self._stream.send_message(_CODEC, message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def send_work(self, pickled: bytes) -> bool:
        """Send what the worker reads with `receive_work`; False if it is gone."""
        try:
            await self._stream.send_all(pickled)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message; None if the other process is gone, or makes no sense."""
        try:
            message = await self._stream.receive_message(_CODEC)
        except (
            trio.EndOfChannel,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            RemoteProtocolError,
        ):
            return None
        return cast("dict[str, Any]", message) if isinstance(message, dict) else None

    async def aclose(self) -> None:
        """Close this end."""
        await self._stream.aclose()


def receive_work(sock: socket.socket, size: int) -> bytes | None:
    """Wait for what a worker is to run, before there is any Trio; None if the parent is gone."""
    received = bytearray()
    while len(received) < size:
        some = sock.recv(size - len(received))
        if not some:
            return None
        received += some
    return bytes(received)


def write_timeouts(timeouts: DrainTimeouts) -> dict[str, float | None]:
    """Return timeouts as JSON has them: it knows no infinity."""
    return {
        name: seconds if math.isfinite(seconds) else None
        for name, seconds in attrs.asdict(timeouts).items()
    }


def read_timeouts(said: dict[str, float | None]) -> DrainTimeouts:
    """Return what `write_timeouts` was given."""
    return DrainTimeouts(
        **{name: math.inf if seconds is None else seconds for name, seconds in said.items()}
    )
