"""A peer that says what a test has it say, byte by byte if need be: for bad peers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Unpack

import attrs
import trio

from ..._side import Side
from ..._supervisor import open_plain_nursery
from ..._transport import StreamEndpoint
from ...http import HTTPLimits
from ...websocket import (
    Close,
    Deflate,
    ServeOptions,
    WebSocket,
    WebSocketLimits,
    open_websocket,
)
from ...websocket._wire import accept_value
from .._memory import MemoryListener
from ._expecting import DEFAULT_TIMEOUT, check_close, show, soon
from ._frames import Frame, Opcode, take_frame
from ._host import Host, serve_host

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class WirePeer:
    """The other end of a WebSocket, as bytes: it answers nothing by itself.

    Parameters:
        side: the end that it is, which decides whether its frames are masked.
        stream: owned.
    """

    def __init__(self, side: Side, stream: trio.abc.Stream) -> None:
        self.side = side
        self.stream = stream
        self._received = bytearray()

    # What it says

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(data)

    async def send_frame(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool | None = None,
    ) -> None:
        """Send a frame, right or wrong.

        Parameters:
            opcode: an `Opcode`, or any number up to 15.
            payload: of any size.
            fin: whether it is the message's last.
            rsv: the reserved bits; 4 says that it is compressed.
            masked: by default as its side has to.
        """
        await self.send(self.encode(opcode, payload, fin=fin, rsv=rsv, masked=masked))

    def encode(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool | None = None,
    ) -> bytes:
        """Return the frame that `send_frame` would send."""
        by_role = self.side is Side.CLIENT if masked is None else masked
        return Frame(opcode, payload, fin=fin, rsv=rsv, masked=by_role).encode()

    async def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close, with any code; None is none."""
        payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        await self.send_frame(Opcode.CLOSE, payload)

    async def aclose(self) -> None:
        """Close the stream, without a word."""
        await self.stream.aclose()

    # What it hears

    async def receive_frame(self) -> Frame | None:
        """Return the next frame, None at the end of input."""
        while (frame := take_frame(self._received)) is None:
            data = await self._receive_some()
            if not data:
                return None
            self._received += data
        return frame

    async def expect_frame(
        self, opcode: int, payload: bytes | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> Frame:
        """Receive a frame and check it.

        Parameters:
            opcode: what it has to be.
            payload: what it has to hold; by default anything.
            timeout: seconds.

        Returns the frame.

        Raises:
            AssertionError: another one came, or none.
        """
        what = f"the frame {_name(opcode)}" + ("" if payload is None else f" {show(payload)}")
        async with soon(what, timeout):
            frame = await self.receive_frame()
            if frame is None:
                raise AssertionError(f"expected {what}, but the input ended")
            if frame.opcode != opcode or (payload is not None and frame.payload != payload):
                raise AssertionError(f"expected {what}, but {_show_frame(frame)} came")
            return frame
        raise AssertionError("unreachable")

    async def expect_close(
        self,
        code: int | None = None,
        reason: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Close:
        """Receive a close and check it.

        Parameters:
            code: that it has to have, 1005 for none; by default any.
            reason: that it has to have; by default any.
            timeout: seconds.

        Returns what it says.

        Raises:
            AssertionError: another frame came, or none.
        """
        payload = (await self.expect_frame(Opcode.CLOSE, timeout=timeout)).payload
        said = int.from_bytes(payload[:2], "big") if payload else 1005
        return check_close(Close(said, payload[2:].decode()), code, reason)

    async def expect_end(self, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Check that nothing comes any more, but the end of input.

        Raises:
            AssertionError: something came, or the stream stayed open.
        """
        async with soon("the end of input", timeout):
            frame = await self.receive_frame()
            if frame is not None:
                raise AssertionError(f"expected the end of input, but {_show_frame(frame)} came")
        if self._received:
            raise AssertionError(f"the input ended within a frame: {show(bytes(self._received))}")

    async def receive_head(self) -> bytes:
        """Return the head of a request or a response; of the handshake."""
        while b"\r\n\r\n" not in self._received:
            data = await self._receive_some()
            if not data:
                raise AssertionError(f"the input ended within {show(bytes(self._received))}")
            self._received += data
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self._received[:] = rest
        return head

    async def _receive_some(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some())
        except trio.BrokenResourceError:  # As an end, to whoever looks at frames.
            return b""


@asynccontextmanager
async def open_websocket_with_peer(
    side: Side = Side.SERVER,
    *,
    headers: Sequence[tuple[str, str]] = (),
    sent_with_handshake: bytes = b"",
    subprotocols: Sequence[str] = (),
    compression: Deflate | None = None,
    limits: WebSocketLimits | None = None,
    http_limits: HTTPLimits | None = None,
    lockstep: bool = False,
) -> AsyncGenerator[tuple[WebSocket, WirePeer], None]:
    """Open a WebSocket whose peer is in the test's hands.

    ::

        async with open_websocket_with_peer() as (server, peer):
            await peer.send_frame(Opcode.TEXT, b"hello", masked=False)
            await peer.expect_close(1002)

    When the block is left the peer's stream is closed.

    Parameters:
        side: the end that the WebSocket is.
        headers: further fields of the peer's part of the handshake, ``Sec-WebSocket-Extensions``
            for instance.
        sent_with_handshake: bytes that the peer sends behind its part, at once.
        subprotocols: of the WebSocket.
        compression: of the WebSocket.
        limits: of the WebSocket.
        http_limits: of a server's connection.
        lockstep: see `MemoryListener`.

    Yields the WebSocket and its peer.

    Raises:
        FetchError: the client does not accept the peer's answer.
        AssertionError: the server does not accept the peer's request.
    """
    handshake = _Handshake(headers, sent_with_handshake)
    listener = MemoryListener(lockstep=lockstep)
    if side is Side.SERVER:
        opened = _open_server(
            listener,
            handshake,
            subprotocols=subprotocols,
            compression=compression,
            limits=limits,
            http_limits=http_limits,
        )
    else:
        opened = _open_client(listener, handshake, subprotocols, compression, limits)
    async with opened as (websocket, peer):
        yield websocket, peer


@attrs.frozen
class _Handshake:
    """What a peer says at first, beside what it has to."""

    headers: Sequence[tuple[str, str]]
    behind: bytes


@asynccontextmanager
async def _open_server(
    listener: MemoryListener, handshake: _Handshake, **options: Unpack[ServeOptions]
) -> AsyncGenerator[tuple[WebSocket, WirePeer], None]:
    host = Host()
    async with serve_host(host, listener, **options):
        peer = WirePeer(Side.CLIENT, await listener.connect())
        await _ask(peer, handshake)
        yield await host.wait_opened(), peer
        host.left.set()
        await peer.aclose()


@asynccontextmanager
async def _open_client(
    listener: MemoryListener,
    handshake: _Handshake,
    subprotocols: Sequence[str],
    compression: Deflate | None,
    limits: WebSocketLimits | None,
) -> AsyncGenerator[tuple[WebSocket, WirePeer], None]:
    answered: list[WirePeer] = []

    async def answer() -> None:
        peer = WirePeer(Side.SERVER, await listener.accept())
        answered.append(peer)
        await _answer(peer, handshake)

    async with open_plain_nursery() as nursery:
        nursery.start_soon(answer)
        async with open_websocket(
            "ws://memory/",
            endpoint=StreamEndpoint(listener.connect),
            subprotocols=subprotocols,
            compression=compression,
            limits=limits,
        ) as client:
            yield client, answered[0]
            await answered[0].aclose()


async def _ask(peer: WirePeer, handshake: _Handshake) -> None:
    fields = [("Host", "memory"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    fields += [("Sec-WebSocket-Key", _KEY), ("Sec-WebSocket-Version", "13")]
    fields += handshake.headers
    await peer.send(_head("GET / HTTP/1.1", fields) + handshake.behind)
    head = await peer.receive_head()
    if not head.startswith(b"HTTP/1.1 101 "):
        raise AssertionError(f"expected a WebSocket, but the server answered {show(head)}")


async def _answer(peer: WirePeer, handshake: _Handshake) -> None:
    lines = (await peer.receive_head()).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    asked = {name.strip().lower(): value.strip() for name, _, value in pairs}
    accept = accept_value(asked["sec-websocket-key"])
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    fields += handshake.headers
    await peer.send(_head("HTTP/1.1 101 Switching Protocols", fields) + handshake.behind)


def _head(start: str, fields: Sequence[tuple[str, str]]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _name(opcode: int) -> str:
    return opcode.name if isinstance(opcode, Opcode) else f"{opcode:#x}"


def _show_frame(frame: Frame) -> str:
    return f"{_name(frame.opcode)} {show(frame.payload)}"
