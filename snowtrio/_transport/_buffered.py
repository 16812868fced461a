"""A byte stream with a receive buffer: what a handshake sees, and a Trio stream for anybody."""

from __future__ import annotations

import operator
import ssl
from typing import Any, TypeVar

import trio

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import (
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveTooLargeError,
    RemoteProtocolError,
    TruncatedError,
)
from .._proxy_protocol import ProxyInfo
from .._single_messages import SingleMessages
from ._base import Address, PlainSocket, Transport
from ._guard import BusyGuard
from ._tls import TLSTransport

RECEIVE_SIZE = 64 * 1024
DEFAULT_MAX_SIZE = 64 * 1024

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")


class BufferedStream(trio.abc.HalfCloseableStream):
    """A Trio stream that can look ahead, read to a mark, and speak in messages.

    A handshake gets one; what it reads too much stays in the buffer, which the connection goes on
    with. All its waiting calls are checkpoints, and cancelling a read loses nothing: what came is
    in the buffer. One task at a time in each direction.

    Parameters:
        transport: what carries the bytes; the stream owns it.
        buffer: bytes that were received already.
    """

    def __init__(self, transport: Transport, buffer: ReceiveBuffer | None = None) -> None:
        self.transport = transport
        self.buffer = ReceiveBuffer() if buffer is None else buffer
        self._sending = BusyGuard("another task is sending on this stream")
        self._receiving = BusyGuard("another task is receiving from this stream")
        self._closed = False
        self._eof_sent = False
        self._messages: SingleMessages[Any] | None = None

    @property
    def local_address(self) -> Address | None:
        """Our address."""
        return self.transport.local_address

    @property
    def peer_address(self) -> Address | None:
        """The peer's address."""
        return self.transport.peer_address

    @property
    def socket(self) -> PlainSocket | None:
        """The socket below, for its options and for looking at; None where there is none."""
        return self.transport.socket

    @property
    def proxy(self) -> ProxyInfo | None:
        """The proxy that brought it, where the server's listener is `behind_proxy`."""
        return self.transport.proxy

    def peer_certificate(self) -> dict[str, object] | None:
        """Return the peer's certificate as `ssl.SSLSocket.getpeercert` gives it, None without."""
        return self.transport.peer_certificate()

    def alpn_protocol(self) -> str | None:
        """Return the protocol that ALPN chose, None without."""
        return self.transport.alpn_protocol()

    # Receiving

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what is buffered, or wait for more; ``b""`` at the end of input.

        Parameters:
            max_bytes: at most so many bytes.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receiving:
            await self._open_checkpoint()
            if not self.buffer:
                return await self.transport.receive_some(max_bytes or RECEIVE_SIZE)
            self._messages = None
            return self.buffer.take(min(len(self.buffer), max_bytes or len(self.buffer)))

    async def peek(self, size: int) -> bytes:
        """Wait until `size` bytes are there and return them without taking them (row S4).

        Raises:
            IncompleteFrameError: input ended after some of them; they stay in the buffer.
            trio.EndOfChannel: input ended before the first of them.
        """
        if size < 0:
            raise ValueError(f"cannot wait for {size} bytes")
        with self._receiving:
            await self._open_checkpoint()
            while len(self.buffer) < size:
                await self._fill()
        return self.buffer.peek(size)

    def shift(self, size: int) -> None:
        """Drop `size` bytes that are buffered, and keep the rest. Does not wait.

        Raises:
            ValueError: fewer are buffered.
        """
        self._messages = None
        self.buffer.shift(size)

    async def receive_exactly(self, size: int) -> bytes:
        """Wait for `size` bytes and return them; raises as `peek` does."""
        await self.peek(size)
        self._messages = None
        return self.buffer.take(size)

    async def receive_until(self, delimiter: bytes, *, max_size: int = DEFAULT_MAX_SIZE) -> bytes:
        """Return what comes before `delimiter`, and drop the delimiter.

        Parameters:
            delimiter: one or more bytes.
            max_size: the most bytes that may come before it.

        Raises:
            ReceiveTooLargeError: the delimiter is not within `max_size` bytes.
            IncompleteFrameError: input ended before the delimiter.
            trio.EndOfChannel: input ended and nothing had come.
        """
        with self._receiving:
            await self._open_checkpoint()
            while (index := self.buffer.find(delimiter)) == -1:
                if len(self.buffer) >= max_size + len(delimiter):
                    raise ReceiveTooLargeError(len(self.buffer), max_size)
                await self._fill()
        if index > max_size:
            raise ReceiveTooLargeError(index, max_size)
        self._messages = None
        taken = self.buffer.take(index)
        self.buffer.shift(len(delimiter))
        return taken

    async def receive_line(
        self, *, max_size: int = DEFAULT_MAX_SIZE, accept_partial: bool = False
    ) -> bytes:
        """Return the next line without its LF or CRLF (row Z2).

        Parameters:
            max_size: the longest line in bytes, a CR before the LF included.
            accept_partial: at the end of input, return a last line that has no newline rather than
                raise `IncompleteFrameError`.
        """
        try:
            line = await self.receive_until(b"\n", max_size=max_size)
        except IncompleteFrameError:
            if not accept_partial:
                raise
            return self.buffer.take_all()
        return line.removesuffix(b"\r")

    async def receive_message(self, codec: Codec[Any, ReceiveT]) -> ReceiveT:
        """Return the next message of a codec, and leave all bytes behind it in the buffer.

        They are there for the next call, with the same codec or another one, and at last for the
        connection's own. Cancelled, it loses nothing: call it again with the same codec.

        Parameters:
            codec: a coder as it stands. Where the codec has state (its ``start`` returns a new
                object), call ``codec.start(side, context)`` once and give what that returns to each
                call. The connection's coder is another one and begins afresh, behind what was
                taken here. A codec without a `Codec.decode_one` is shown the bytes one at a time:
                good for logins, slow for messages of many kilobytes.

        Raises:
            trio.EndOfChannel: input ended between messages.
            IncompleteFrameError: input ended inside one; its bytes are in the error.
            RemoteProtocolError: the bytes break the codec's protocol.
            SkippedMessageError: the codec threw a message away; call again for the next.
        """
        with self._receiving:
            await self._open_checkpoint()
            if self._messages is None or self._messages.codec is not codec:
                self._messages = SingleMessages(codec, self.buffer)
            messages: SingleMessages[ReceiveT] = self._messages
            while not (taken := messages.take()):
                if messages.more:
                    await trio.lowlevel.checkpoint()
                elif not await self._receive_for(codec):
                    if taken := messages.take_at_eof():
                        break
                    raise trio.EndOfChannel("end of input")
        return taken[0]

    async def _receive_for(self, codec: Codec[Any, Any]) -> bool:
        """Wait for more bytes; False at the end of input."""
        try:
            data = await self.transport.receive_some(RECEIVE_SIZE)
        except TruncatedError:
            if self.buffer or not codec.ends_itself:
                raise
            return False
        if data:
            self.buffer.append(data)
        return bool(data)

    async def _fill(self) -> None:
        data = await self.transport.receive_some(RECEIVE_SIZE)
        if data:
            self.buffer.append(data)
        elif self.buffer:
            raise IncompleteFrameError(self.buffer.peek(len(self.buffer)))
        else:
            raise trio.EndOfChannel("end of input")

    # Sending

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand all of `data` to the kernel. Cancelled, it leaves an unknown part of it sent."""
        with self._sending:
            await self._ready_to_send()
            await self._send(data)

    async def send_message(self, codec: Codec[SendT, Any], message: SendT) -> None:
        """Hand a message to the kernel. Cancelled, it leaves an unknown part of it sent.

        Parameters:
            codec: a coder as it stands, as for `receive_message`.
            message: encoded when nothing can come between that and sending it.

        Raises:
            LocalProtocolError: the message cannot be encoded; nothing was sent.
        """
        with self._sending:
            await self._ready_to_send()
            await self._send(codec.encode(message))

    async def _ready_to_send(self) -> None:
        await self._open_checkpoint()
        if self._eof_sent:
            raise trio.ClosedResourceError("this side has sent its end of input")

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[await self.transport.send_some(view) :]

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` is likely to go at once."""
        with self._sending:
            await self._open_checkpoint()
            await self.transport.wait_send_might_not_block()

    async def send_eof(self) -> None:
        """End our direction and go on receiving (row P5).

        Raises:
            LocalProtocolError: the transport cannot, as TLS cannot; nothing has changed.
        """
        with self._sending:
            await self._open_checkpoint()
            if not self.transport.can_send_eof:
                raise LocalProtocolError("this transport cannot end one direction alone (TLS?)")
            if not self._eof_sent:
                await self.transport.send_eof()
                self._eof_sent = True

    async def aclose(self) -> None:
        """Close; idempotent, and immediate when cancelled."""
        self._closed = True
        await self.transport.aclose()

    async def _open_checkpoint(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this side closed the stream")
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this side closed the stream")

    # TLS

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        """Turn the stream into a TLS stream, as STARTTLS does; returns when TLS has shaken hands.

        Parameters:
            ssl_context: certificates and rules.
            server_side: whether we are the server of this TLS connection.
            server_hostname: the name that the peer's certificate must have; clients only.

        Raises:
            RemoteProtocolError: the peer sent plain text past the agreed point. What an attacker
                put there must not be taken for the protected conversation.
            ValueError: the context checks names (``check_hostname``) and there is none to check.
            trio.BrokenResourceError: TLS could not be agreed on; ``__cause__`` says why. The stream
                is unusable.
        """
        if self.buffer:
            raise RemoteProtocolError("peer sent plain text where TLS had to begin")
        if ssl_context.check_hostname and not (server_side or server_hostname):
            # Unlike ssl.SSLSocket, an ssl.SSLObject would check nothing then, and say nothing.
            raise ValueError("ssl_context checks host names, and no server_hostname is given")
        tls = TLSTransport(
            self.transport,
            ssl_context,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        await tls.shake_hands()
        self.transport = tls


async def serve_tls(stream: BufferedStream, ssl_context: ssl.SSLContext, received: bytes) -> None:
    """Shake hands as the server of a stream that is TLS from its beginning.

    Parameters:
        stream: nothing was said on it, nor taken from it.
        ssl_context: certificates and rules.
        received: what came on it already, which is no plain text.

    Raises:
        trio.BrokenResourceError: as `BufferedStream.start_tls`.
    """
    tls = TLSTransport(
        stream.transport, ssl_context, server_side=True, server_hostname=None, received=received
    )
    await tls.shake_hands()
    stream.transport = tls
