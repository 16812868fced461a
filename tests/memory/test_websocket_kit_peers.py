"""The test kit for WebSockets (row W34): peers that are in the test's hands."""

from __future__ import annotations

import re

import pytest
from trio.testing import MockClock

from snowtrio import Side
from snowtrio.testing.websocket import (
    Frame,
    Opcode,
    expect_close,
    expect_message,
    open_websocket_with_peer,
)
from snowtrio.websocket import (
    Deflate,
    WebSocketClosedError,
    WebSocketHandshakeError,
)


def says(text: str) -> str:
    """What `pytest.raises` has to match."""
    return re.escape(text)


@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
async def test_a_peer_that_speaks_frames(autojump_clock: MockClock, side: Side) -> None:
    """W34: all sizes of headers, both ways, as the side has to mask."""
    async with open_websocket_with_peer(side) as (websocket, peer):
        for size in (0, 125, 126, 65535, 65536):
            data = bytes(index % 251 for index in range(size))
            await peer.send_frame(Opcode.BINARY, data)
            await expect_message(websocket, data)
            await websocket.send(data)
            frame = await peer.expect_frame(Opcode.BINARY, data)
            assert frame == Frame(Opcode.BINARY, data)
            assert frame.masked is (side is Side.CLIENT)
        await peer.send_frame(Opcode.TEXT, b"hel", fin=False)
        await peer.send_frame(Opcode.PING, b"?")
        await peer.send_frame(Opcode.CONTINUATION, b"lo")
        await expect_message(websocket, "hello")
        await peer.expect_frame(Opcode.PONG, b"?")
        await peer.send_close(4001, "enough")
        await peer.expect_close(4001)
        await expect_close(websocket, 4001, "enough")


@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
async def test_a_peer_that_breaks_the_protocol(autojump_clock: MockClock, side: Side) -> None:
    """W34, W14: the frame is masked as it must not be."""
    async with open_websocket_with_peer(side) as (websocket, peer):
        await peer.send_frame(Opcode.TEXT, b"hello", masked=side is Side.CLIENT)
        await peer.expect_close(1002)
        with pytest.raises(
            AssertionError, match=says("a close, but the peer broke the protocol (")
        ):
            await expect_close(websocket)


async def test_what_a_peer_may_announce(autojump_clock: MockClock) -> None:
    """W34, W16: a header without its payload, and reserved bits."""
    async with open_websocket_with_peer() as (_, peer):
        await peer.send(Frame(Opcode.BINARY, masked=True).encode(announce=2**62))
        await peer.expect_close(1009)
        await peer.expect_end()
    async with open_websocket_with_peer() as (_, peer):
        await peer.send_frame(Opcode.BINARY, rsv=1)
        await peer.expect_close(1002)


@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
async def test_bytes_behind_the_handshake(autojump_clock: MockClock, side: Side) -> None:
    """W34, W1: they are in its segment."""
    first = Frame(Opcode.TEXT, b"early", masked=side is Side.SERVER).encode()
    async with open_websocket_with_peer(side, sent_with_handshake=first + first[:3]) as pair:
        websocket, peer = pair
        await expect_message(websocket, "early")
        await peer.send(first[3:])
        await expect_message(websocket, "early")


async def test_a_peers_headers(autojump_clock: MockClock) -> None:
    """W34: an answer that does not fit is refused."""
    headers = [("Sec-WebSocket-Protocol", "chat")]
    async with open_websocket_with_peer(headers=headers, subprotocols=["chat"]) as (server, _):
        assert server.subprotocol == "chat"
    with pytest.raises(WebSocketHandshakeError):
        async with open_websocket_with_peer(Side.CLIENT, headers=headers):
            pass
    with pytest.raises(AssertionError, match=says("server answered b'HTTP/1.1 400")):
        async with open_websocket_with_peer(headers=[("Sec-WebSocket-Key", "no")]):
            pass


async def test_what_a_peer_is_not_sent(autojump_clock: MockClock) -> None:
    """W34: other frames, the end, and no end."""
    async with open_websocket_with_peer() as (server, peer):
        with pytest.raises(AssertionError, match="the end of input, but nothing came in 1 s"):
            await peer.expect_end(timeout=1)
        await server.send("hello")
        with pytest.raises(AssertionError, match=says("the frame CLOSE, but TEXT b'hello' came")):
            await peer.expect_close()
        await server.send("hello")
        with pytest.raises(AssertionError, match=says("the end of input, but TEXT b'hello' came")):
            await peer.expect_end()
        await peer.send_close(None)
        await peer.expect_close(1005)
        with pytest.raises(AssertionError, match=says("the frame 0x3, but the input ended")):
            await peer.expect_frame(3)
        with pytest.raises(WebSocketClosedError):
            await server.send("hello")


@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
async def test_a_peer_that_compresses(autojump_clock: MockClock, side: Side) -> None:
    """W34, W22: what it negotiates is in its headers, what it compresses is the test's affair."""
    agreed = "permessage-deflate; server_max_window_bits=12"
    headers = [("Sec-WebSocket-Extensions", agreed)]
    hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # RFC 7692, section 7.2.3.1
    async with open_websocket_with_peer(side, headers=headers, compression=Deflate()) as pair:
        websocket, peer = pair
        await peer.send_frame(Opcode.TEXT, hello, rsv=4)
        await expect_message(websocket, "Hello")
        await websocket.send("x" * 1000)
        frame = await peer.expect_frame(Opcode.TEXT)
        assert frame.rsv == 4
        assert len(frame.payload) < 100
