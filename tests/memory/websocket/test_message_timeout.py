"""Messages that do not come to their end."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.testing.websocket import Opcode, open_websocket_with_peer
from snowtrio.websocket import WebSocketLimits, WebSocketProtocolError

SIDES = pytest.mark.parametrize("side", list(Side))
LIMITS = WebSocketLimits(message_timeout=10, min_message_rate=100, ping_interval=None)


@SIDES
@pytest.mark.parametrize("fragments", [False, True])
@pytest.mark.parametrize("ping_interval", [None, 7.0])
async def test_a_message_that_never_ends(
    side: Side, fragments: bool, ping_interval: float | None, autojump_clock: object
) -> None:
    """Row W16: closed with 1008 within two timeouts, and the application is told what it was."""
    limits = attrs.evolve(LIMITS, ping_interval=ping_interval)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        part = peer.encode(Opcode.CONTINUATION, b"x", fin=False) if fragments else b"x"
        first = peer.encode(Opcode.BINARY, b"x" * 1000, fin=False)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def drip() -> None:
                await peer.send(first if fragments else first[:20])
                while True:
                    await trio.sleep(1)
                    await peer.send(part)

            if ping_interval is not None:
                await peer.expect_frame(Opcode.PING, timeout=60)
            with trio.move_on_after(30):
                while (frame := await peer.receive_frame()) and frame.opcode != Opcode.CLOSE:
                    pass
            assert 10 <= trio.current_time() - began <= 21
            nursery.cancel_scope.cancel()
        await peer.aclose()
        with pytest.raises(WebSocketProtocolError, match="too long") as caught:
            await websocket.receive()
        assert caught.value.code == 1008
        assert websocket.close_sent is not None
        assert websocket.close_sent.code == 1008


@SIDES
async def test_a_message_that_comes_fast_enough(side: Side, autojump_clock: object) -> None:
    """Row W16: a large one may take its time, as may the pauses between messages."""
    async with open_websocket_with_peer(side, limits=LIMITS) as (websocket, peer):
        for _ in range(3):
            await peer.send_frame(Opcode.BINARY, b"", fin=False)
            for _ in range(100):
                await trio.sleep(1)
                await peer.send_frame(Opcode.CONTINUATION, b"x" * 150, fin=False)
            await peer.send_frame(Opcode.CONTINUATION)
            assert len(await websocket.receive()) == 15_000
            await trio.sleep(100)
        await peer.aclose()


@SIDES
@pytest.mark.parametrize("pieces", [False, True])
async def test_what_does_not_count(side: Side, pieces: bool, autojump_clock: object) -> None:
    """Row W16: what is received piece by piece, and what we do not read ourselves."""
    limits = attrs.evolve(LIMITS, pieces=pieces, max_queued_messages=2)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        for number in range(0 if pieces else 9):
            await peer.send_frame(Opcode.BINARY, b"%d" % number)
            await trio.testing.wait_all_tasks_blocked()
        await peer.send_frame(Opcode.BINARY, b"begun", fin=False)
        await trio.sleep(100)
        await peer.send_frame(Opcode.CONTINUATION, b", done")
        await trio.sleep(100)
        got = [await websocket.receive() for _ in range(1 if pieces else 10)]
        assert got[-1] == b"begun, done"
        await peer.aclose()
