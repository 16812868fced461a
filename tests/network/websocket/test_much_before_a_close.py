"""A client that sends much, closes at once, and wants all the answers."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from snowtrio.websocket import WebSocket, open_websocket

from ...serving import LIMIT
from ...websocket_serving import echo
from .serving import opened, serving_websocket_on


def answer(_: WebSocket, message: str | bytes) -> str | bytes:
    return message


@pytest.mark.parametrize("handler", [echo, answer])
@pytest.mark.parametrize("count", [2000, 20000])
async def test_a_client_of_ours(handler: Any, count: int, readiness: str) -> None:
    """Row W12: nothing is lost on either side, whichever has the more to do."""
    got: list[str | bytes] = []
    async with (
        serving_websocket_on(handler) as server,
        open_websocket(f"ws://127.0.0.1:{server.port}/") as websocket,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def receive() -> None:
            got.extend([message async for message in websocket])

        with trio.fail_after(LIMIT):
            await websocket.send_batch([f"message {number}" for number in range(count)])
            await websocket.close()
    assert got == [f"message {number}" for number in range(count)]


@pytest.mark.parametrize("handler", [echo, answer])
async def test_messages_and_close_in_one_write(handler: Any, readiness: str) -> None:
    """Row W12: though the client reads nothing before it has sent everything."""
    async with serving_websocket_on(handler) as server:
        peer = await opened(server)
        sent = [f"message {number}" for number in range(2000)]
        frames = b"".join(map(peer.framed, sent))
        await peer.send(frames + b"\x88\x82\0\0\0\0\x03\xe8")
        for message in sent:
            assert await peer.hear() == message
        assert await peer.told() == (1000, "")
        assert await peer.rest() == b""
        await peer.stream.aclose()
