"""Messages part by part, sent and received; and many senders at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.testing.websocket import (
    Frame,
    Opcode,
    WirePeer,
    open_websocket_pair,
    open_websocket_with_peer,
)
from snowtrio.websocket import (
    AbnormalCloseError,
    Close,
    WebSocket,
    WebSocketClosedError,
    WebSocketLimits,
    WebSocketTooLargeError,
)

from ..cancelling import cancelled_at, every_suspension

quiet = trio.testing.wait_all_tasks_blocked


async def test_parts_become_one_message() -> None:
    """Row W21: text and binary; none is an empty message."""
    async with open_websocket_pair() as (client, server):
        async with client.send_stream(str) as text:
            for part in ("sn", "", "ö", "w"):
                await text.send(part)
        async with client.send_stream(bytes) as binary:
            await binary.send(b"\0" * 100_000)
            await binary.send(b"\1")
        async with client.send_stream(str):
            pass
        await client.send("whole")
        assert await server.receive() == "snöw"
        assert await server.receive() == b"\0" * 100_000 + b"\1"
        assert await server.receive() == ""
        assert await server.receive() == "whole"


async def test_others_wait_and_control_frames_do_not() -> None:
    """Row W21: nothing comes into a message but pings and pongs."""
    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:
        async with websocket.send_stream(str) as stream:
            await stream.send("a")
            nursery.start_soon(websocket.send, "other")
            await quiet()
            with pytest.raises(trio.WouldBlock):
                websocket.send_nowait("other")
            with pytest.raises(RuntimeError):
                await websocket.send("own")
            await peer.send_frame(Opcode.PING, b"p")
            await peer.expect_frame(Opcode.TEXT, b"a")
            await peer.expect_frame(Opcode.PONG, b"p")
            await stream.send("b")
        frames = [await peer.receive_frame() for _ in range(3)]
        assert [(f.opcode, f.payload, f.fin) for f in frames if f is not None] == [
            (Opcode.CONTINUATION, b"b", False),
            (Opcode.CONTINUATION, b"", True),
            (Opcode.TEXT, b"other", True),
        ]
        with pytest.raises(RuntimeError, match="left"):
            await stream.send("late")


async def test_what_is_no_part() -> None:
    """Row W21: is refused; nothing of it is sent."""
    async with open_websocket_pair() as (client, server):
        with pytest.raises(TypeError):
            async with client.send_stream(int):  # type: ignore[type-var]
                pass
        async with client.send_stream(str) as stream:
            with pytest.raises(TypeError):
                await stream.send(b"bytes")  # type: ignore[arg-type]
            await stream.send("text")
        assert await server.receive() == "text"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_block_that_fails(begun: bool) -> None:
    """Row W21: a message that has begun cannot be completed: 1011. Otherwise nothing happened."""
    async with open_websocket_pair() as (client, server):

        async def fail() -> None:
            async with client.send_stream(str) as stream:
                if begun:
                    await stream.send("begun")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        if begun:
            with pytest.raises(WebSocketClosedError) as caught:
                await server.receive()
            assert caught.value.code == 1011
            with pytest.raises(WebSocketClosedError):
                await client.send("more")
        else:
            await client.send("more")
            assert await server.receive() == "more"


async def test_a_stream_is_cancelled_anywhere() -> None:
    """Row W21: the message arrives whole, or not at all and then the WebSocket is closed."""
    parts = [b"x" * 700_000] * 4

    async def strike(suspension: int) -> bool:
        async with open_websocket_with_peer(lockstep=True) as (websocket, peer):

            async def send() -> None:
                async with websocket.send_stream(bytes) as stream:
                    for part in parts:
                        await stream.send(part)

            async def read() -> None:
                frames: list[Frame] = []
                while not frames or not (frames[-1].fin or frames[-1].opcode == Opcode.CLOSE):
                    frame = await peer.receive_frame()
                    if frame is None:
                        break
                    frames.append(frame)
                whole = bool(frames) and frames[-1].fin and frames[-1].opcode != Opcode.CLOSE
                if whole:
                    assert b"".join(frame.payload for frame in frames) == b"".join(parts)
                    nursery.cancel_scope.cancel()
                elif frames:
                    assert frames[-1].payload[:2] == (1011).to_bytes(2, "big")
                    assert websocket.close_sent == Close(1011, "a message could not be completed")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                struck = await cancelled_at(suspension, send)
                if websocket.close_sent is None:
                    await websocket.send("alive")
                    await quiet()
                    nursery.cancel_scope.cancel()
            await peer.aclose()
        return struck

    assert [number async for number in every_suspension(strike)]


async def test_fifty_senders() -> None:
    """Row W19: every frame is whole, whatever else goes between, and whoever is cancelled."""
    async with open_websocket_pair(lockstep=True) as (client, server):

        async def send(number: int) -> None:
            for size in (10, 1000, 70_000):
                await client.send(b"%02d" % number * size)

        async def stream(number: int) -> None:
            async with client.send_stream(bytes) as parts:
                for size in (10, 1000, 70_000):
                    await parts.send(b"%02d" % number * size)

        got: list[str | bytes] = []
        async with trio.open_nursery() as receiving:

            @receiving.start_soon
            async def receive() -> None:
                got.extend([message async for message in server])

            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(stream if number % 10 == 0 else send, number)
                    nursery.start_soon(server.ping)
                    nursery.start_soon(client.ping)
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await send(99)
            await client.close()
        assert len(got) >= 45 * 3 + 5
        for message in got:
            assert isinstance(message, bytes)
            assert message == message[:2] * (len(message) // 2)


# Receiving


async def test_a_message_without_the_option() -> None:
    """Row W15: is one piece."""
    async with open_websocket_pair() as (client, server):
        await client.send("whole")
        await client.send(b"")
        stream = await server.receive_stream()
        assert stream.is_text
        assert [piece async for piece in stream] == ["whole"]
        stream = await server.receive_stream()
        assert not stream.is_text
        assert [piece async for piece in stream] == []


@asynccontextmanager
async def in_pieces(
    max_message_size: int = 2**20,
) -> AsyncGenerator[tuple[WebSocket, WirePeer], None]:
    """Give a server's WebSocket that receives piece by piece, and its peer."""
    bounds = WebSocketLimits(max_message_size=max_message_size, pieces=True)
    async with open_websocket_with_peer(limits=bounds) as (websocket, peer):
        yield websocket, peer
        await peer.aclose()


async def test_pieces_come_as_they_are_sent() -> None:
    """Row W15: before the message is complete, with pings in between, and above the limit."""
    async with in_pieces(max_message_size=10) as (websocket, peer):
        await peer.send_frame(Opcode.TEXT, "é".encode()[:1], fin=False)
        await peer.send_frame(Opcode.PING, b"p")
        await peer.expect_frame(Opcode.PONG, b"p")
        await peer.send_frame(Opcode.CONTINUATION, "é".encode()[1:], fin=False)
        stream = await websocket.receive_stream()
        assert await anext(stream) == "é"
        for _ in range(20):
            await peer.send_frame(Opcode.CONTINUATION, b"0123456789", fin=False)
            assert await anext(stream) == "0123456789"
        await peer.send_frame(Opcode.CONTINUATION, b"")
        assert [piece async for piece in stream] == []
        await peer.send_frame(Opcode.BINARY, b"next")
        assert await websocket.receive() == b"next"


async def test_whole_messages_are_gathered() -> None:
    """Row W15, W16: `receive` and iteration give whole ones; the limit holds for them: 1009."""
    async with in_pieces(max_message_size=10) as (websocket, peer):
        await peer.send_frame(Opcode.TEXT, b"01234", fin=False)
        await peer.send_frame(Opcode.CONTINUATION, b"56789")
        await peer.send_frame(Opcode.BINARY, b"")
        assert await websocket.receive() == "0123456789"
        async for message in websocket:
            assert message == b""
            break
        await peer.send_frame(Opcode.TEXT, b"01234", fin=False)
        await peer.send_frame(Opcode.CONTINUATION, b"567890", fin=False)
        with pytest.raises(WebSocketTooLargeError):
            await websocket.receive()
        await peer.expect_close(1009)
        await peer.aclose()
    async with in_pieces(max_message_size=10) as (websocket, peer):
        await peer.send_frame(Opcode.TEXT, "éé".encode(), fin=False)
        await peer.send_frame(Opcode.CONTINUATION, "ééé".encode())
        await peer.send_frame(Opcode.TEXT, "éééé".encode(), fin=False)
        await peer.send_frame(Opcode.CONTINUATION, "éé".encode())
        assert await websocket.receive() == "ééééé"
        with pytest.raises(WebSocketTooLargeError):
            await websocket.receive()
        await peer.expect_close(1009)
        await peer.aclose()


async def test_a_message_that_is_left() -> None:
    """Row W15: its rest is thrown away by whoever receives next."""
    async with in_pieces() as (websocket, peer):
        await peer.send_frame(Opcode.TEXT, b"a", fin=False)
        await peer.send_frame(Opcode.CONTINUATION, b"b", fin=False)
        stream = await websocket.receive_stream()
        assert await anext(stream) == "a"
        await peer.send_frame(Opcode.CONTINUATION, b"c")
        await peer.send_frame(Opcode.TEXT, b"next")
        assert await websocket.receive() == "next"
        with pytest.raises(RuntimeError):
            await anext(stream)


async def test_a_close_within_a_message() -> None:
    """Row W15: whoever iterates over the pieces is told that there should be more."""
    async with in_pieces() as (websocket, peer):
        await peer.send_frame(Opcode.TEXT, b"a", fin=False)
        await peer.send_close(4000)
        stream = await websocket.receive_stream()
        with pytest.raises(WebSocketClosedError):
            assert [piece async for piece in stream] == []
        assert [message async for message in websocket] == []


async def test_gathering_is_cancelled_anywhere() -> None:
    """Row W28: nothing is lost, and either way of receiving goes on."""
    async with in_pieces() as (websocket, peer):

        async def strike(suspension: int) -> bool:
            async with trio.open_nursery() as nursery:
                got: list[str | bytes] = []

                async def receive() -> None:
                    got.append(await websocket.receive())

                @nursery.start_soon
                async def send() -> None:
                    for number in range(4):
                        await quiet()
                        opcode = Opcode.TEXT if number == 0 else Opcode.CONTINUATION
                        await peer.send_frame(opcode, b"%d" % number, fin=number == 3)

                struck = await cancelled_at(suspension, receive)
            if not got and suspension % 2:
                got.append(await websocket.receive())
            elif not got:
                got = ["".join([str(p) async for p in await websocket.receive_stream()])]
            assert got == ["0123"]
            return struck

        assert len([number async for number in every_suspension(strike)]) >= 3
        await peer.aclose()


@pytest.mark.parametrize("who", ["peer", "peer, long ago", "us", "nobody"])
async def test_an_end_within_a_stream(who: str, autojump_clock: trio.testing.MockClock) -> None:
    """Rows W12, W21: whoever leaves the block is told that the message never arrived."""
    async with open_websocket_with_peer(Side.CLIENT) as (websocket, peer):

        async def send() -> None:
            async with websocket.send_stream(str) as stream:
                await stream.send("begun")
                await end()

        async def end() -> None:
            if who == "us":
                websocket.close_nowait()
                return
            await (peer.aclose() if who == "nobody" else peer.send_close(1001))
            await websocket.wait_closed()
            await trio.sleep(5 if "ago" in who else 0.5)

        with pytest.raises(AbnormalCloseError if who == "nobody" else WebSocketClosedError):
            await send()
        if who != "nobody":
            assert not (await peer.expect_frame(Opcode.TEXT)).fin
            await peer.expect_close(1000 if who == "us" else 1001)
        if who == "us":
            await peer.send_close(1000)
