"""An endpoint: one socket that sends and receives datagrams."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Generic, Self, cast

import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._errors import ConnectionClosedError
from .._side import Side
from . import _messages, _multicast
from ._datagram import Datagram, InternetAddress
from ._intake import Intake
from ._limits import EndpointLimits
from ._outlet import Outlet, passes
from ._statistics import EndpointStatistics
from ._ways import FAMILIES, look_up

SendT = TypeVar("SendT", default=bytes)
ReceiveT = TypeVar("ReceiveT", default=SendT)


class UDPEndpoint(Generic[SendT, ReceiveT]):
    """Sends and receives datagrams; made by `open_udp_endpoint` and `connect_udp_endpoint`.

    Datagrams keep their boundaries and their senders; they may be lost, come twice, or in another
    order. Any number of tasks may send, one at a time receives. ``async with`` closes it; ``async
    for`` is `receive` again and again, and raises what that raises.

    Nobody reads ahead of the receiver. What has come waits in the system's buffer
    (``SocketOptions.receive_buffer_size``), which drops what it has no room for; ``statistics()``
    counts that, where the system tells.

    Parameters:
        sock: a bound or connected UDP socket, owned from now on; one that was inherited, say. It is
            made non-blocking.
        codec: makes a datagram of each message and a message of each datagram. One that is not
            exactly one message is counted and thrown away. None: messages are the bytes.
        limits: the bounds.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        codec: Codec[SendT, ReceiveT] | None = None,
        limits: EndpointLimits | None = None,
    ) -> None:
        if sock.type != socket.SOCK_DGRAM or sock.family not in FAMILIES:
            raise ValueError(f"a UDP socket is needed, not {sock!r}")
        sock.setblocking(False)
        self.socket = sock
        """The socket, to look at and to set options on."""
        self._coder = _messages.start(codec, Side.CLIENT)
        self.address: InternetAddress = sock.getsockname()
        """Where it is bound, with the real port."""
        self.peer_address: InternetAddress | None = _peer_of(sock)
        """Whom it is connected with, None for an endpoint that talks to anybody."""
        connected = self.peer_address is not None
        limits = limits if limits is not None else EndpointLimits()
        self._intake = Intake[ReceiveT](sock, limits, self._coder, connected=connected)
        self._outlet = Outlet(sock, connected=connected, report=self._intake.note)

    def __repr__(self) -> str:
        state = "closed" if self.socket.fileno() == -1 else f"at {self.address}"
        return f"<UDPEndpoint {state}>"

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        return self.address[1]

    # Receiving

    async def receive(self) -> Datagram[ReceiveT]:
        """Return the next datagram. Cancelled, it has taken none.

        Raises:
            UndeliveredError: the network has reported that something sent earlier did not arrive.
                Once for all reports up to now, and the endpoint lives.
            ConnectionClosedError: the endpoint was closed; also a `trio.ClosedResourceError`.
            trio.BusyResourceError: another task is waiting to receive.
            OSError: the system failed.
        """
        inbox = self._intake.inbox
        if not inbox:
            await self._intake.fill()
        return inbox.popleft()

    async def receive_batch(self) -> list[Datagram[ReceiveT]]:
        """Return all datagrams that are there, one at least, ``max_inbox_datagrams`` at most.

        Raises:
            as `receive`.
        """
        inbox = self._intake.inbox
        if not inbox:
            await self._intake.fill()
        batch = list(inbox)
        inbox.clear()
        return batch

    def receive_batch_nowait(self) -> list[Datagram[ReceiveT]]:
        """Return all datagrams that are there, perhaps none, without waiting.

        Raises:
            ConnectionClosedError: the endpoint is closed.
            OSError: the system failed.
        """
        self._check_open()
        self._intake.take()
        batch = list(self._intake.inbox)
        self._intake.inbox.clear()
        return batch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Datagram[ReceiveT]:
        return await self.receive()

    # Sending

    async def send(self, message: SendT, to: InternetAddress | None = None) -> None:
        """Hand one datagram to the kernel; it may still get lost.

        Waits while the kernel has no room, and now and then lets other tasks run. Cancelled, it has
        sent nothing.

        Parameters:
            message: the bytes, which may be none; or with a codec the message.
            to: a numeric address: a datagram's sender, or what `resolve` gives. None on a
                connected endpoint.

        Raises:
            LocalProtocolError: the codec refuses the message, or no datagram can be so large.
            ConnectionClosedError: the endpoint was closed.
            ValueError: `to` is a name, or of another family, or its port is none.
            TypeError: `to` is missing, no tuple, or given on a connected endpoint.
            OSError: the system refuses: no way there (from loopback, where endpoints are bound by
                default, there is none to other machines), a firewall, broadcast without the option.
        """
        coder = self._coder
        data = cast("bytes", message) if coder is None else coder.encode(message)
        await self._outlet.send(data, to)

    def send_nowait(self, message: SendT, to: InternetAddress | None = None) -> None:
        """Hand one datagram to the kernel, if it has room.

        Raises:
            trio.WouldBlock: it has none; nothing was sent.
            as `send` otherwise.
        """
        coder = self._coder
        data = cast("bytes", message) if coder is None else coder.encode(message)
        try:
            self._outlet.transmit(data, to)
        except OSError as error:
            if not passes(error):
                raise
            raise trio.WouldBlock from None

    async def send_batch(
        self, messages: Iterable[SendT], to: InternetAddress | None = None
    ) -> None:
        """Send many datagrams to one address, in order.

        Raises:
            as `send`: what stands before the one it is about has gone, that one and the others have
                not.
        """
        for message in messages:
            await self.send(message, to)

    async def send_each(self, datagrams: Iterable[tuple[SendT, InternetAddress]]) -> None:
        """Send datagrams, each to an address of its own.

        A `Datagram` is such a pair: ``await endpoint.send_each(batch)`` is an echo.

        Raises:
            as `send_batch`.
        """
        for message, to in datagrams:
            await self.send(message, to)

    async def resolve(self, host: str, port: int) -> InternetAddress:
        """Return the first address of a host that this endpoint can send to.

        Raises:
            ValueError: `port` is no number of a port.
            OSError: there is none.
        """
        for way in await look_up(host, port):
            if way.family == self.socket.family:
                return way.address
        family = FAMILIES[self.socket.family]
        raise OSError(f"{host} has no {family} address")

    # Multicast

    def join(self, group: str, *, interface: str | int | None = None) -> None:
        """Receive what is sent to a multicast group and this endpoint's port.

        The endpoint must be bound to that port on all addresses (``host="0.0.0.0"`` or ``"::"``),
        or to the group itself. On Linux it gets nothing of groups that only others have joined.

        Parameters:
            group: its address.
            interface: the interface's name or index, None for the system's choice.

        Raises:
            ValueError: `group` is no address of this endpoint's family.
            OSError: `group` is no group, it is joined already, or there is no such interface.
        """
        self._check_open()
        _multicast.change_membership(self.socket, group, interface, join=True)

    def leave(self, group: str, *, interface: str | int | None = None) -> None:
        """Leave a group again; give the same interface. Closing leaves all.

        Raises:
            as `join`, and OSError where the group is not joined.
        """
        self._check_open()
        _multicast.change_membership(self.socket, group, interface, join=False)

    def set_multicast(
        self,
        *,
        interface: str | int | None = None,
        hops: int | None = None,
        loop: bool | None = None,
    ) -> None:
        """Choose how what this endpoint sends to groups travels; None leaves a setting as it is.

        Parameters:
            interface: where it goes out: a name or an index; 0 is the system's choice.
            hops: how many networks it may cross: 1, the system's default, stays on this one, 0 on
                this machine.
            loop: whether members on this machine get it, as they do by default.

        Raises:
            ConnectionClosedError: the endpoint is closed.
            OSError: there is no such interface, or `hops` is not from 0 to 255. What stands before
                it here has been set.
        """
        self._check_open()
        if interface is not None:
            _multicast.set_interface(self.socket, interface)
        if hops is not None:
            _multicast.set_hops(self.socket, hops)
        if loop is not None:
            _multicast.set_loop(self.socket, loop)

    # Looking at it

    def statistics(self) -> EndpointStatistics:
        """Return the counts of this moment."""
        intake, outlet = self._intake, self._outlet
        return EndpointStatistics(
            received=intake.received,
            bytes_received=intake.bytes_received,
            sent=outlet.sent,
            bytes_sent=outlet.bytes_sent,
            sends_waited=outlet.waited,
            oversized=intake.oversized,
            undecodable=intake.undecodable,
            undelivered=dict(intake.undelivered),
            kernel_drops=intake.kernel_drops(),
            inbox=len(intake.inbox),
        )

    # Ending

    def close(self) -> None:
        """Close the socket; tasks that wait get a `ConnectionClosedError`. Again, it does nothing.

        What had come and was not received is thrown away.
        """
        if self.socket.fileno() != -1:
            self._intake.close()
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    async def aclose(self) -> None:
        """Close it as `close` does; a checkpoint. In a cancelled scope it closes too."""
        self.close()
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self.socket.fileno() == -1:
            raise ConnectionClosedError("this endpoint is closed")


def _peer_of(sock: socket.socket) -> InternetAddress | None:
    try:
        address: InternetAddress = sock.getpeername()
    except OSError:
        return None
    return address
