"""What is read while nobody receives."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.testing.websocket import Opcode, open_websocket_pair, open_websocket_with_peer
from snowtrio.websocket import Deflate, WebSocketClosedError, WebSocketLimits

from ..cancelling import cancelled_at, every_suspension

quiet = trio.testing.wait_all_tasks_blocked
SIDES = pytest.mark.parametrize("side", list(Side))


@SIDES
@pytest.mark.parametrize("together", [False, True])
async def test_reading_goes_on_up_to_a_number(side: Side, together: bool) -> None:
    """Row W10: unread messages do not hold up pings, up to ``max_queued_messages``."""
    limits = WebSocketLimits(max_queued_messages=8)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        frames = [peer.encode(Opcode.TEXT, b"%d" % number) for number in range(100)]
        held = b"".join(frames[:8]) if together else frames[:8]
        for data in [held] if isinstance(held, bytes) else held:
            await peer.send(data)
            await quiet()
        await peer.send_frame(Opcode.PING, b"p")
        await peer.expect_frame(Opcode.PONG, b"p")
        for data in frames[8:]:
            await peer.send(data)
        await peer.send_frame(Opcode.PING, b"q")
        await quiet()
        statistics = websocket.statistics()
        assert 8 <= statistics.queued_messages <= 16
        assert statistics.pings_received == 1
        # The more is received, the further it reads.
        assert [await websocket.receive() for _ in range(60)] == [str(n) for n in range(60)]
        await quiet()
        assert websocket.statistics().pings_received == 0 + 1
        assert [await websocket.receive() for _ in range(40)] == [str(n) for n in range(60, 100)]
        await peer.expect_frame(Opcode.PONG, b"q")
        await peer.aclose()


@SIDES
async def test_reading_goes_on_up_to_a_size(side: Side) -> None:
    """Row W10: and ``max_queued_size``."""
    limits = WebSocketLimits(max_queued_size=10_000)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        for _ in range(100):
            await peer.send_frame(Opcode.BINARY, b"x" * 1000)
            await quiet()
        assert 10 <= websocket.statistics().queued_messages <= 20
        for _ in range(100):
            assert len(await websocket.receive()) == 1000
        await peer.aclose()


async def test_what_a_read_inflates_to_is_bounded() -> None:
    """Row W22: many large messages in few bytes are not all made at once."""
    limits = WebSocketLimits(max_queued_size=100_000)
    compression = Deflate()
    async with open_websocket_pair(limits=limits, compression=compression) as (client, server):
        assert "sec-websocket-extensions" in client.response_headers
        await client.send_batch([b"\0" * 50_000] * 200)
        await quiet()
        assert server.statistics().queued_messages <= 6
        assert sum([len(await server.receive()) for _ in range(200)]) == 10_000_000


async def test_what_was_read_comes_in_every_way_of_receiving() -> None:
    """Row W7: batches, messages, iteration and a function, in order."""
    async with open_websocket_with_peer() as (websocket, peer):
        for start in range(0, 50, 5):
            await peer.send(b"".join(peer.encode(1, b"%d" % n) for n in range(start, start + 5)))
            await quiet()
        got: list[str | bytes] = [await websocket.receive()]
        got += await websocket.receive_batch()
        async for message in websocket:
            got.append(message)
            if len(got) == 22:
                break
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.answer, lambda _, message: got.append(message))
            await quiet()
            await peer.send_frame(1, b"50")
            await quiet()
            await peer.send_close()
        assert got == [str(number) for number in range(51)]
        await peer.aclose()


async def test_a_close_behind_unread_messages(autojump_clock: object) -> None:
    """Row W13: it is answered, and the messages can be received after that."""
    async with open_websocket_with_peer() as (websocket, peer):
        for number in range(3):
            await peer.send_frame(1, b"%d" % number)
            await quiet()
        await peer.send_close(4000)
        await peer.expect_close(4000)
        await peer.expect_end()
        await trio.sleep(5)
        assert [message async for message in websocket] == ["0", "1", "2"]
        with pytest.raises(WebSocketClosedError):
            await websocket.receive()


async def test_receiving_is_cancelled_anywhere() -> None:
    """Row W28: nothing is lost."""
    async with open_websocket_with_peer() as (websocket, peer):
        got: list[str | bytes] = []

        async def receive() -> None:
            for _ in range(3):
                got.append(await websocket.receive())

        async def strike(suspension: int) -> bool:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def send() -> None:
                    for number in range(3):
                        await quiet()
                        await peer.send_frame(1, b"%d" % number)

                struck = await cancelled_at(suspension, receive)
            while len(got) < 3:
                got.append(await websocket.receive())
            assert got == ["0", "1", "2"]
            got.clear()
            return struck

        assert [number async for number in every_suspension(strike)]
        await peer.aclose()


async def test_one_receives_at_a_time() -> None:
    """Row W7: who comes second is told."""
    async with open_websocket_pair() as (client, _), trio.open_nursery() as nursery:
        nursery.start_soon(client.receive)
        await quiet()
        with pytest.raises(trio.BusyResourceError):
            await client.receive()
        nursery.cancel_scope.cancel()
