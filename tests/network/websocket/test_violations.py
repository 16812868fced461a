"""A peer breaks the protocol: it is told so, after the answers to what it sent before."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from snowtrio import DrainTimeouts
from snowtrio.websocket import WebSocket, WebSocketLimits, WebSocketProtocolError, serve_websocket

from ...http_serving import request
from ...serving import LIMIT
from ..peers import Peer

HANDSHAKE = request(
    "GET",
    "/",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    "Sec-WebSocket-Version: 13",
)
NO_MASK = bytes(4)
HELLO = b"\x81\x85" + NO_MASK + b"hello"
ECHO = b"\x81\x05hello"
RESERVED_BIT = b"\xa1\x85" + NO_MASK + b"again"
CLOSE_1002 = b"\x88\x17\x03\xeaa reserved bit is set"


@asynccontextmanager
async def peer_of(handler: Callable[[WebSocket], Awaitable[None]]) -> AsyncGenerator[Peer, None]:
    """Serve, and give a peer whose handshake is done."""
    serve = functools.partial(
        serve_websocket, handler, 0, limits=WebSocketLimits(handler_timeout=0.1)
    )
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            peer = Peer(stream)
            await peer.send(HANDSHAKE)
            while await peer.line() != "\r":
                pass
            yield peer
        await server.drain(DrainTimeouts(goodbye=0.2, wait=0.2))


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_came_before_is_answered_first(size: int) -> None:
    """Rows W18 and W13: echoes of both messages, then 1002, which the application sees too."""
    seen: list[WebSocketProtocolError] = []

    async def echo(websocket: WebSocket) -> None:
        try:
            async for message in websocket:
                await trio.lowlevel.checkpoint()
                await websocket.send(message)
        except WebSocketProtocolError as error:
            seen.append(error)

    async with peer_of(echo) as peer:
        data = HELLO + HELLO + RESERVED_BIT + HELLO
        for start in range(0, len(data), size):
            await peer.send(data[start : start + size])
        assert await peer.rest() == ECHO + ECHO + CLOSE_1002
    assert [error.code for error in seen] == [1002]


async def test_whoever_does_not_receive_holds_nothing_up() -> None:
    """Row W18: the peer is told all the same, and the handler has its time and no more."""

    async def busy(websocket: WebSocket) -> None:
        await trio.sleep_forever()

    async with peer_of(busy) as peer:
        await peer.send(HELLO + RESERVED_BIT)
        with trio.fail_after(LIMIT):
            assert await peer.rest() == CLOSE_1002


async def test_the_violation_counts_more_than_a_close() -> None:
    """Row W18: an application that closes with 1000 after it has not brought that about."""

    async def close(websocket: WebSocket) -> None:
        with pytest.raises(WebSocketProtocolError):
            await websocket.ping(b"never answered")
        await websocket.close()

    async with peer_of(close) as peer:
        await peer.send(RESERVED_BIT)
        assert (await peer.rest()).endswith(b"never answered" + CLOSE_1002)
