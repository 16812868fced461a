"""Pings, pongs and the heartbeat."""

from __future__ import annotations

import gc
import logging
import tracemalloc

import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.testing.websocket import Opcode, open_websocket_pair, open_websocket_with_peer
from snowtrio.websocket import AbnormalCloseError, WebSocketClosedError, WebSocketLimits

from ..cancelling import cancelled_at, every_suspension

quiet = trio.testing.wait_all_tasks_blocked
SIDES = pytest.mark.parametrize("side", list(Side))


async def test_ping_gives_the_round_trip(autojump_clock: object) -> None:
    """Row W10: and `latency` keeps it."""
    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:
        assert websocket.latency is None

        @nursery.start_soon
        async def answer() -> None:
            frame = await peer.expect_frame(Opcode.PING)
            await trio.sleep(0.25)
            await peer.send_frame(Opcode.PONG, frame.payload)

        assert await websocket.ping() == 0.25
        assert websocket.latency == 0.25
        await peer.aclose()


async def test_pings_are_answered_though_nobody_receives() -> None:
    """Row W10: any number at once; those that come together with messages too."""
    async with open_websocket_pair() as (client, server):
        await client.send("unread")
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(client.ping)
                nursery.start_soon(server.ping)
        assert client.statistics().pings_sent == server.statistics().pings_received == 200
        assert await server.receive() == "unread"


async def test_a_pong_answers_the_pings_before_it() -> None:
    """Row W10: RFC 6455, section 5.5.3; those that nobody asked for are ignored."""
    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:
        done: list[bytes] = []

        async def ping(payload: bytes) -> None:
            await websocket.ping(payload)
            done.append(payload)

        for payload in (b"1", b"2", b"3"):
            nursery.start_soon(ping, payload)
            await quiet()
        await peer.send_frame(Opcode.PONG, b"unasked")
        await peer.send_frame(Opcode.PONG, b"2")
        await quiet()
        assert sorted(done) == [b"1", b"2"]
        with pytest.raises(ValueError, match="under way"):
            await websocket.ping(b"3")
        await peer.send_frame(Opcode.PONG, b"3")
        await quiet()
        assert websocket.statistics().pongs_received == 3
        nursery.start_soon(ping, b"3")  # It can be used again.
        await quiet()
        await peer.send_frame(Opcode.PONG, b"3")
        await quiet()
        assert len(done) == 4
        await peer.aclose()


async def test_what_is_no_ping() -> None:
    """Row W10: it is refused."""
    async with open_websocket_pair() as (client, _):
        with pytest.raises(ValueError, match="125"):
            await client.ping(b"x" * 126)
        with pytest.raises(TypeError):
            await client.ping("text")  # type: ignore[arg-type]
        await client.ping(b"x" * 125)
        await client.ping(b"")


async def test_a_ping_can_be_cancelled_anywhere() -> None:
    """Row W10: its payload can be used again, and its pong is ignored."""
    async with open_websocket_with_peer() as (websocket, peer):

        async def strike(suspension: int) -> bool:
            return await cancelled_at(suspension, lambda: websocket.ping(b"same"))

        assert await strike(0)
        await peer.send_frame(Opcode.PONG, b"same")
        await quiet()
        await peer.expect_frame(Opcode.PING, b"same")

        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def answer() -> None:
                while (frame := await peer.receive_frame()) is not None:
                    if frame.opcode == Opcode.PING:
                        await peer.send_frame(Opcode.PONG, frame.payload)

            assert [number async for number in every_suspension(strike)]
            await websocket.ping(b"same")
            nursery.cancel_scope.cancel()


async def test_hooks(caplog: pytest.LogCaptureFixture) -> None:
    """Rows W10, W36: the pong can be another one, or none; a hook that fails ends nothing."""
    async with open_websocket_with_peer() as (websocket, peer):
        websocket.on_ping = lambda payload: payload * 2 or None
        pongs: list[bytes] = []
        websocket.on_pong = pongs.append
        await peer.send_frame(Opcode.PING, b"")
        await peer.send_frame(Opcode.PING, b"ab")
        await peer.expect_frame(Opcode.PONG, b"abab")
        await peer.send_frame(Opcode.PONG, b"unasked")
        await quiet()
        assert pongs == [b"unasked"]

        def fail(payload: bytes) -> bytes:
            raise KeyError(payload)

        websocket.on_ping = websocket.on_pong = fail
        await peer.send_frame(Opcode.PONG, b"y")
        await peer.send_frame(Opcode.PING, b"x")
        await peer.expect_frame(Opcode.PONG, b"x")
        await peer.send_frame(Opcode.TEXT, b"alive")
        assert await websocket.receive() == "alive"
        assert [record.name for record in caplog.records if record.levelno > logging.INFO] == [
            "snowtrio.websocket"
        ] * 2


async def test_an_unasked_pong() -> None:
    """Row W10: can be sent."""
    async with open_websocket_with_peer() as (websocket, peer):
        await websocket.pong(b"here")
        await peer.expect_frame(Opcode.PONG, b"here")


async def test_pings_by_the_thousand_from_a_peer_that_takes_nothing() -> None:
    """Row W10: a bounded lane, and the last one's pong; messages are not starved."""
    limits = WebSocketLimits(max_pongs=8, ping_interval=None)
    async with open_websocket_with_peer(limits=limits, lockstep=True) as (websocket, peer):
        gc.collect()
        tracemalloc.start()
        for number in range(2000):
            await peer.send_frame(Opcode.PING, b"%0120d" % number)
            if number % 500 == 0:
                await peer.send_frame(Opcode.TEXT, b"%d" % number)
                assert await websocket.receive() == str(number)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 100_000
        assert websocket.statistics().outbox_messages <= 9
        answered: list[int] = []
        while not answered or answered[-1] != 1999:
            frame = await peer.receive_frame()
            assert frame is not None
            answered.append(int(frame.payload))
        assert answered == [*range(8), 1999]
        await peer.send_frame(Opcode.PING, b"again")
        await peer.expect_frame(Opcode.PONG, b"again")
        await peer.aclose()


async def test_pongs_past_a_full_outbox() -> None:
    """Row W10: a sender that waits for room does not hold them up."""
    async with open_websocket_with_peer(lockstep=True) as (websocket, peer):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for _ in range(4):
                    await websocket.send(b"x" * 2**20)

            await quiet()
            await peer.send_frame(Opcode.PING, b"p")
            seen: list[int] = []
            while len(seen) < 5:
                frame = await peer.receive_frame()
                assert frame is not None
                seen.append(frame.opcode)
            assert seen.index(Opcode.PONG) < 4
        await peer.aclose()


async def test_ping_raises_at_the_end() -> None:
    """Row W10: whoever waits for a pong is told, with code and reason."""
    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ping() -> None:
            with pytest.raises(WebSocketClosedError) as caught:
                await websocket.ping()
            assert (caught.value.code, caught.value.reason) == (4321, "over")

        await quiet()
        await peer.send_close(4321, "over")
        await quiet()
        await peer.aclose()


# The heartbeat


@SIDES
async def test_a_dead_peer(side: Side, autojump_clock: object) -> None:
    """Row W31: noticed within interval and timeout, however recently it has spoken."""
    limits = WebSocketLimits(ping_interval=10, ping_timeout=4)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        for _ in range(3):
            frame = await peer.expect_frame(Opcode.PING, timeout=11)
            await peer.send_frame(Opcode.PONG, frame.payload)
        await peer.send_frame(Opcode.TEXT, b"last")
        assert await websocket.receive() == "last"
        fell_silent = trio.current_time()
        with pytest.raises(AbnormalCloseError, match="no answer to a ping within 4 s"):
            await websocket.receive()
        assert trio.current_time() - fell_silent <= 14.1
        assert websocket.close_code == 1006
        with pytest.raises(AbnormalCloseError, match="no answer to a ping"):
            await websocket.send("x")


@SIDES
async def test_a_peer_that_lives(side: Side, autojump_clock: object) -> None:
    """Row W31: pongs, or anything else, keep it alive; one ping an interval."""
    limits = WebSocketLimits(ping_interval=10, ping_timeout=4)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def answer() -> None:
                for number in range(20):
                    frame = await peer.expect_frame(Opcode.PING, timeout=11)
                    await trio.sleep(3)
                    if number % 2:
                        await peer.send_frame(Opcode.PONG, frame.payload)
                    else:
                        await peer.send_frame(Opcode.TEXT, b"busy")

            await trio.sleep(204)
        statistics = websocket.statistics()
        assert (statistics.pings_sent, statistics.pongs_received) == (20, 10)
        assert statistics.latency == websocket.latency == 3
        await peer.aclose()


async def test_a_handler_whose_peer_is_dead(autojump_clock: object) -> None:
    """Row W31: a task that waits for something else sees the connection end."""
    limits = WebSocketLimits(ping_interval=10, ping_timeout=4)
    async with open_websocket_with_peer(limits=limits) as (websocket, _):
        with trio.fail_after(14.2):
            await websocket.wait_closed()


async def test_the_heartbeat_rests_while_we_do_not_read(autojump_clock: object) -> None:
    """Row W31: a peer is not blamed for what we do not look at."""
    limits = WebSocketLimits(ping_interval=10, ping_timeout=4, max_queued_messages=2)
    async with open_websocket_with_peer(limits=limits) as (websocket, peer):
        for number in range(10):
            await peer.send_frame(Opcode.TEXT, b"%d" % number)
            await quiet()
        await trio.sleep(100)
        assert [await websocket.receive() for _ in range(10)] == [str(n) for n in range(10)]
        frame = await peer.expect_frame(Opcode.PING, timeout=11)
        await peer.send_frame(Opcode.PONG, frame.payload)
        await trio.sleep(5)
        assert websocket.close_code is None
        await peer.aclose()


async def test_a_ping_that_has_not_left(autojump_clock: object) -> None:
    """Row W31: a slow peer is not a dead one."""
    limits = WebSocketLimits(ping_interval=10, ping_timeout=4)
    async with open_websocket_with_peer(limits=limits, lockstep=True) as (websocket, peer):
        await websocket.send(b"x" * 100_000)
        await trio.sleep(30)
        assert websocket.close_code is None
        await peer.expect_frame(Opcode.BINARY)
        frame = await peer.expect_frame(Opcode.PING)
        # It has as long as any other, from when the ping has left.
        await trio.sleep(3)
        await peer.send_frame(Opcode.PONG, frame.payload)
        await trio.sleep(3)
        assert websocket.close_code is None
        await peer.expect_frame(Opcode.PING, timeout=11)
        with pytest.raises(AbnormalCloseError):
            await websocket.receive()


async def test_no_heartbeat(autojump_clock: object) -> None:
    """Row W31: can be switched off."""
    async with open_websocket_with_peer(limits=WebSocketLimits(ping_interval=None)) as (ours, peer):
        await trio.sleep(10_000)
        assert ours.statistics().pings_sent == 0
        await peer.aclose()


def test_nothing_is_left_of_closed_websockets() -> None:
    """Row W24: the one who looks at all clocks forgets them; and works in every run of Trio."""
    from snowtrio.websocket._socket import Conversation

    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, Conversation) for each in gc.get_objects())

    async def use() -> None:
        async with open_websocket_pair() as (client, _):
            await client.send("x")

    async def main() -> None:
        for _ in range(20):
            await use()
        await quiet()
        assert alive() <= before

    before = alive()
    for _ in range(3):
        trio.run(main)
