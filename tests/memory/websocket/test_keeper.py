"""Who looks after all clocks, and that nothing is left of what has ended."""

from __future__ import annotations

import gc
import logging
import math
import tracemalloc

import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.testing.websocket import (
    Opcode,
    WirePeer,
    open_websocket_with_peer,
    serve_websocket_in_memory,
)
from snowtrio.websocket import AbnormalCloseError, WebSocket, WebSocketLimits
from snowtrio.websocket._socket import Conversation
from snowtrio.websocket._socket._keeper import Keeper, current_keeper

quiet = trio.testing.wait_all_tasks_blocked

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Clock:
    """Something with deadlines."""

    def __init__(self, *again: float) -> None:
        self.tick: int | None = None
        self.looked: list[float] = []
        self.again = list(again)

    def look(self, now: float) -> float | None:
        self.looked.append(now)
        if not self.again:
            return None
        due = self.again.pop(0)
        if due < 0:
            raise KeyError("a mistake")
        return now + due


async def test_each_is_looked_at_in_its_time(autojump_clock: object) -> None:
    """Row W31: the earliest first, again when it says, and not what was forgotten."""
    keeper = Keeper()
    late, early, forgotten, moved = Clock(), Clock(2, 3), Clock(), Clock()
    began = trio.current_time()
    keeper.keep(late, began + 10)
    keeper.keep(moved, began + 1)
    await trio.sleep(0.5)
    keeper.keep(early, began + 1)
    keeper.keep(forgotten, began + 2)
    keeper.keep(moved, began + 4)
    keeper.keep(Clock(), math.inf)
    keeper.forget(forgotten)
    keeper.forget(forgotten)
    await trio.sleep(20)
    looked = [[round(time - began, 1) for time in each.looked] for each in (late, early, moved)]
    assert looked == [[10], [1, 3, 6], [4]]
    assert forgotten.looked == []


async def test_one_that_fails(autojump_clock: object, caplog: pytest.LogCaptureFixture) -> None:
    """Row W36: is logged; the others are looked at, and the program goes on."""
    keeper = current_keeper()
    failing, other = Clock(-1), Clock(1)
    keeper.keep(failing, trio.current_time() + 1)
    keeper.keep(other, trio.current_time() + 1)

    async def fail() -> None:
        raise OSError("a mistake")

    keeper.start(fail)
    await trio.sleep(5)
    assert (len(failing.looked), len(other.looked)) == (1, 2)
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.name == "snowtrio.websocket"


def test_every_run_has_its_own() -> None:
    """Row W31: a run that ends with WebSockets open leaves nothing to the next."""

    async def main() -> Keeper:
        keeper = current_keeper()
        keeper.keep(Clock(), trio.current_time() + 1000)
        await trio.lowlevel.checkpoint()
        return keeper

    keepers = [trio.run(main) for _ in range(3)]
    assert len({id(keeper) for keeper in keepers}) == 3


@pytest.mark.parametrize("orderly", [False, True])
async def test_an_ended_websocket_is_no_cycle(orderly: bool) -> None:
    """Row W24: short connections leave nothing that has to be looked for."""

    async def handle(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(message)

    async def visit() -> None:
        peer = WirePeer(Side.CLIENT, await server.connect())
        await peer.send(UPGRADE)
        await peer.receive_head()
        await peer.send_frame(Opcode.TEXT, b"x")
        await peer.expect_frame(Opcode.TEXT, b"x")
        if orderly:
            await peer.send_close()
            await peer.expect_close()
        await peer.aclose()

    def alive() -> int:
        return sum(isinstance(each, Conversation) for each in gc.get_objects())

    gc.collect()
    before = alive()
    async with serve_websocket_in_memory(handle) as server:
        gc.disable()
        try:
            for _ in range(5):
                await visit()
            await quiet()
            assert alive() == before
        finally:
            gc.enable()


async def test_an_idle_websocket_is_small() -> None:
    """Row W24: so much of a server's, with 4 KiB of streams in memory and the peer's end."""

    async def handle(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(message)

    async def visit() -> WirePeer:
        peer = WirePeer(Side.CLIENT, await server.connect())
        await peer.send(UPGRADE)
        await peer.receive_head()
        await peer.send_frame(Opcode.TEXT, b"x")
        await peer.expect_frame(Opcode.TEXT, b"x")
        return peer

    def traced() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async with serve_websocket_in_memory(handle) as server:
        tracemalloc.start()
        try:
            peers = [await visit() for _ in range(5)]  # What is made once is nobody's.
            before = traced()
            peers += [await visit() for _ in range(50)]
            assert traced() - before < 50 * 28 * 1024
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("side", list(Side))
async def test_strangers_cause_no_lines(
    side: Side, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Row W36: what a peer can bring about is told at DEBUG, by a logger of this part."""
    caplog.set_level(logging.DEBUG, "snowtrio.websocket")
    limits = WebSocketLimits(ping_interval=1, ping_timeout=1, close_timeout=1)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        await peer.send_frame(3)
        await websocket.wait_closed()
        await peer.aclose()
    async with open_websocket_with_peer(side, limits=limits) as (websocket, _):
        with pytest.raises(AbnormalCloseError):
            await websocket.receive()
    async with open_websocket_with_peer(side, limits=limits) as (websocket, _):
        websocket.close_nowait()
        await websocket.wait_closed()
    ours = [record for record in caplog.records if record.name == "snowtrio.websocket"]
    assert len(ours) >= 3
    assert {record.levelno for record in ours} == {logging.DEBUG}
