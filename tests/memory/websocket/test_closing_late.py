"""What is still to be done when one side closes: nothing of it is lost."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.http import HTTPLimits
from snowtrio.testing.websocket import (
    Opcode,
    open_websocket_with_peer,
    serve_websocket_in_memory,
)
from snowtrio.websocket import (
    Close,
    WebSocket,
    WebSocketClosedError,
    WebSocketLimits,
    WebSocketProtocolError,
)

quiet = trio.testing.wait_all_tasks_blocked
SIDES = pytest.mark.parametrize("side", list(Side))


@pytest.mark.parametrize("pause", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("last", [b"\x88\x82", b"\x83\x80"], ids=["close", "violation"])
async def test_many_messages_before_a_close_are_answered(
    pause: float, last: bytes, autojump_clock: object
) -> None:
    """Row W7: as long as the handler goes on to receive them, however long that takes."""
    failures: list[Exception] = []

    async def echo(websocket: WebSocket) -> None:
        with pytest.raises(WebSocketProtocolError) if last[0] == 0x83 else nullcontext():
            async for message in websocket:
                await trio.sleep(pause)
                try:
                    await websocket.send(message)
                except (WebSocketClosedError, WebSocketProtocolError) as error:
                    failures.append(error)

    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:
        nursery.start_soon(echo, websocket)
        await quiet()
        behind = last + (b"\0\0\0\0\x03\xe8" if last[0] == 0x88 else b"\0\0\0\0")
        await peer.send(b"".join(peer.encode(1, b"%d" % n) for n in range(40)) + behind)
        with trio.fail_after(300):
            for number in range(40 if pause < 0.2 else 39):
                await peer.expect_frame(Opcode.TEXT, b"%d" % number)
            await peer.expect_close()
        await peer.aclose()
    assert len(failures) == (1 if pause > 0.2 else 0)


async def test_a_function_answers_what_came_before_a_close(autojump_clock: object) -> None:
    """Row W7: though the peer takes its time with the answers."""
    limits = HTTPLimits(max_outbox_messages=2)
    async with (
        open_websocket_with_peer(http_limits=limits, lockstep=True) as (websocket, peer),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(websocket.answer, lambda _, message: message)
        await quiet()
        nursery.start_soon(
            peer.send, b"".join(peer.encode(1, b"%d" % n) for n in range(100)) + peer.encode(8, b"")
        )
        for number in range(100):
            await peer.expect_frame(Opcode.TEXT, b"%d" % number)
            await trio.sleep(1)
        await peer.expect_close()
        await peer.aclose()


async def test_a_handler_that_receives_no_more(autojump_clock: object) -> None:
    """Row W12: one that has received is waited for half of ``close_timeout``, then closed."""

    async def receive_once(websocket: WebSocket) -> None:
        await websocket.receive()
        await trio.sleep_forever()

    limits = WebSocketLimits(close_timeout=4, handler_timeout=1)
    async with (
        serve_websocket_in_memory(receive_once, limits=limits) as server,
        server.open() as client,
    ):
        await client.send_batch(["0", "1", "2"])
        began = trio.current_time()
        await client.close()
        assert client.close_received == Close(1000)
        assert 2 <= trio.current_time() - began < 3


@SIDES
@pytest.mark.parametrize("pause", [0.0, 0.1])
async def test_nothing_that_somebody_receives_is_thrown_away(
    side: Side, pause: float, autojump_clock: object
) -> None:
    """Row W12: after our close, much more comes at once than is kept."""
    limits = WebSocketLimits(max_queued_messages=4)
    got: list[str | bytes] = []
    async with (
        open_websocket_with_peer(side, limits=limits) as (websocket, peer),
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def receive() -> None:
            async for message in websocket:
                await trio.sleep(pause)
                got.append(message)

        await quiet()
        nursery.start_soon(websocket.close)
        await peer.expect_close(1000)
        await peer.send(b"".join(peer.encode(1, b"%d" % n) for n in range(60)) + peer.encode(8))
        await trio.sleep(7)
        await peer.aclose()
    assert got == [str(number) for number in range(60)]
    assert websocket.close_received == Close(1005)
