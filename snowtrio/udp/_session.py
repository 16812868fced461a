"""A session: one peer of a server, as a connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Self, cast

import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._errors import ConnectionClosedError
from ._datagram import InternetAddress
from ._endpoint import UDPEndpoint
from ._mailbox import Mailbox
from ._statistics import SessionStatistics

SendT = TypeVar("SendT", default=bytes)
ReceiveT = TypeVar("ReceiveT", default=SendT)


class UDPSession(Generic[SendT, ReceiveT]):
    """What a server's handler sees of one peer: its messages, and a way back.

    A session begins with the first datagram of an address, and ends when its handler returns, when
    nothing has moved for ``idle_timeout``, or when the server drains; then `receive` raises
    `trio.EndOfChannel` behind what has come, and ``async for`` ends. A peer that goes away says
    nothing.

    Any number of tasks may send, one at a time receives.
    """

    def __init__(
        self,
        endpoint: UDPEndpoint,
        peer_address: InternetAddress,
        coder: Codec[SendT, ReceiveT] | None,
        mailbox: Mailbox[ReceiveT],
    ) -> None:
        self.peer_address = peer_address
        """Who the datagrams say to come from. Anybody can write any address on a datagram."""
        self._endpoint = endpoint
        self._coder = coder
        self._mailbox = mailbox
        self._sent = 0

    def __repr__(self) -> str:
        state = "ended" if self._mailbox.ended else "open"
        return f"<UDPSession with {self.peer_address}, {state}>"

    # Receiving

    async def receive(self) -> ReceiveT:
        """Return the next message of the peer. Cancelled, it has taken none.

        Raises:
            trio.EndOfChannel: the session has ended.
            ConnectionClosedError: it was closed by this side; also a `trio.ClosedResourceError`.
            trio.BusyResourceError: another task is waiting to receive.
        """
        if not self._mailbox:
            await self._mailbox.wait()
        return self._mailbox.take()

    async def receive_batch(self) -> list[ReceiveT]:
        """Return all messages that are there, one at least.

        Raises:
            as `receive`.
        """
        if not self._mailbox:
            await self._mailbox.wait()
        return self._mailbox.take_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceiveT:
        mailbox = self._mailbox
        if not mailbox:
            try:
                await mailbox.wait()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return mailbox.take()

    # Sending

    async def send(self, message: SendT) -> None:
        """Hand one datagram for the peer to the kernel; it may still get lost.

        Also when the session has ended, until its handler has: for a last word. Waits while the
        kernel has no room, and now and then lets other tasks run. Cancelled, it has sent nothing.

        Raises:
            LocalProtocolError: the codec refuses the message, or no datagram can be so large.
            ConnectionClosedError: the session was closed.
            OSError: the system refuses to send it.
        """
        await self._endpoint.send(self._encode(message), self.peer_address)
        self._sent += 1

    def send_nowait(self, message: SendT) -> None:
        """Hand one datagram to the kernel, if it has room.

        Raises:
            trio.WouldBlock: it has none; nothing was sent.
            as `send` otherwise.
        """
        self._endpoint.send_nowait(self._encode(message), self.peer_address)
        self._sent += 1

    async def send_batch(self, messages: Iterable[SendT]) -> None:
        """Send many, in order.

        Raises:
            as `send`: what stands before the one it is about has gone, that one and the others have
                not.
        """
        for message in messages:
            await self.send(message)

    def _encode(self, message: SendT) -> bytes:
        if self._mailbox.closed:
            raise ConnectionClosedError("this session is closed")
        coder = self._coder
        return cast("bytes", message) if coder is None else coder.encode(message)

    # Looking at it

    def statistics(self) -> SessionStatistics:
        """Return the counts of this moment."""
        mailbox = self._mailbox
        return SessionStatistics(
            received=mailbox.received,
            sent=self._sent,
            dropped=mailbox.dropped,
            undecodable=mailbox.undecodable,
            inbox=len(mailbox),
            inbox_bytes=mailbox.bytes,
        )

    # Ending

    async def aclose(self) -> None:
        """Close the session; a checkpoint. The peer is told nothing.

        What has come and was not received is thrown away. Once the handler has returned, the next
        datagram of the peer begins another session.
        """
        self._mailbox.close()
        await trio.lowlevel.checkpoint()
