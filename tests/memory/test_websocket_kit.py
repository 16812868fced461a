"""The test kit for WebSockets (row W34), tested."""

from __future__ import annotations

import re

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from snowtrio.http import UpgradeRefusedError
from snowtrio.testing import FaultyStream
from snowtrio.testing.websocket import (
    Opcode,
    expect_close,
    expect_message,
    expect_pong,
    open_websocket_pair,
    open_websocket_with_peer,
    serve_websocket_in_memory,
)
from snowtrio.websocket import (
    Close,
    Deflate,
    WebSocket,
    WebSocketLimits,
    open_reconnecting,
)


def says(text: str) -> str:
    """What `pytest.raises` has to match."""
    return re.escape(text)


# Pairs


@pytest.mark.parametrize("lockstep", [False, True])
async def test_both_ends_of_a_websocket(autojump_clock: MockClock, lockstep: bool) -> None:
    """W34: messages of both kinds, both ways, and a ping."""
    async with open_websocket_pair(lockstep=lockstep) as (client, server):
        await client.send("hello")
        assert await expect_message(server, "hello") == "hello"
        await server.send(b"x" * 70_000)
        assert await expect_message(client) == b"x" * 70_000
        assert await expect_pong(client) == 0
        assert await expect_pong(server, b"payload") == 0
    assert client.close_sent == server.close_sent == Close(1000)
    assert client.close_received == server.close_received == Close(1000)


async def test_a_pair_has_what_the_handshake_had() -> None:
    """W34, W5."""
    async with open_websocket_pair(headers={"X-Name": "emma"}, subprotocols=["a", "b"]) as pair:
        client, server = pair
        assert client.subprotocol == server.subprotocol == "a"
        assert server.request_headers["x-name"] == "emma"


async def test_a_pair_that_compresses(autojump_clock: MockClock) -> None:
    """W34, W22."""
    async with open_websocket_pair(compression=Deflate()) as (client, server):
        assert "permessage-deflate" in client.response_headers["sec-websocket-extensions"]
        await client.send("x" * 10_000)
        await expect_message(server, "x" * 10_000)
        assert server.statistics().bytes_received < 1000


async def test_each_end_has_its_limits(autojump_clock: MockClock) -> None:
    """W34, W16: the end that receives judges, and the other one is told."""
    small = WebSocketLimits(max_message_size=10)
    async with open_websocket_pair(server_limits=small) as (client, server):
        await server.send("more than ten characters")
        await expect_message(client, "more than ten characters")
        await client.send("more than ten characters")
        await expect_close(client, 1009)


async def test_a_pair_over_given_streams(autojump_clock: MockClock) -> None:
    """W34: byte by byte."""
    ours, theirs = memory_stream_pair()
    streams = (ours, FaultyStream(theirs, chunk_size=1))
    async with open_websocket_pair(streams=streams) as (client, server):
        await client.send("hello")
        await expect_message(server, "hello")


async def test_messages_left_do_not_keep_a_pair(autojump_clock: MockClock) -> None:
    """W34: nobody waits for a timeout at the end, but for a moment: is there a receiver?"""
    began = trio.current_time()
    async with open_websocket_pair() as (client, server):
        for _ in range(1000):
            await client.send("nobody receives this")
            await server.send("nor this")
    assert trio.current_time() - began < 0.25


async def test_the_error_of_a_block_comes_as_it_is(autojump_clock: MockClock) -> None:
    """W34: and the other end is told of it."""
    with pytest.raises(ZeroDivisionError):
        async with open_websocket_pair() as (client, _):
            raise ZeroDivisionError
    assert client.close_sent == Close(1011)


async def test_a_pair_is_cancelled(autojump_clock: MockClock) -> None:
    """W34."""
    with trio.move_on_after(5) as scope:
        async with open_websocket_pair():
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() < 6


# Handlers


async def test_a_handler_is_tested_from_its_clients_side(autojump_clock: MockClock) -> None:
    """W34."""

    async def echo(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(message)

    async with serve_websocket_in_memory(echo, subprotocols=["chat"]) as server:
        async with server.open("/one") as one, server.open(subprotocols=["chat"]) as two:
            assert (one.subprotocol, two.subprotocol) == (None, "chat")
            await one.send("1")
            await two.send("2")
            await expect_message(one, "1")
            await expect_message(two, "2")
        stream = await server.connect()
        await stream.send_all(b"nonsense\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")


async def test_a_client_is_tested_against_a_handler(autojump_clock: MockClock) -> None:
    """W34: one that comes back, whatever its URL says."""

    async def say_hello(websocket: WebSocket) -> None:
        await websocket.send("hello")

    heard: list[str | bytes] = []
    async with (
        serve_websocket_in_memory(say_hello) as server,
        open_reconnecting("ws://nowhere.example/", endpoint=server.endpoint) as connections,
    ):
        async for connection in connections:
            async with connection as websocket:
                heard += [message async for message in websocket]
            if len(heard) == 2:
                break
    assert heard == ["hello", "hello"]


async def test_a_handler_that_is_left_is_cancelled(autojump_clock: MockClock) -> None:
    """W34."""
    ended = trio.Event()

    async def wait(websocket: WebSocket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with serve_websocket_in_memory(wait) as server, server.open():
        pass
    assert ended.is_set()


async def test_a_handlers_error_is_the_tests(autojump_clock: MockClock) -> None:
    """W34: the client has 1011, and the test the error."""

    async def fail(websocket: WebSocket) -> None:
        raise ZeroDivisionError

    async def ask() -> None:
        async with serve_websocket_in_memory(fail) as server, server.open() as client:
            await expect_close(client, 1011)
            await trio.sleep_forever()

    with pytest.raises(ZeroDivisionError):
        await ask()


async def test_a_plain_function_and_the_server_itself(autojump_clock: MockClock) -> None:
    """W34, W26: a drain says 1001."""

    def answer(websocket: WebSocket, message: str | bytes) -> str | bytes:
        return message * 2

    async with serve_websocket_in_memory(answer) as memory, memory.open() as client:
        await client.send("one")
        await expect_message(client, "oneone")
        assert memory.server.statistics().open == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.server.drain)
            await expect_close(client, 1001)


async def test_origins_are_checked_as_on_a_network(autojump_clock: MockClock) -> None:
    """W34, W5."""

    async def wait(websocket: WebSocket) -> None:
        await trio.sleep_forever()

    async with serve_websocket_in_memory(wait, origins=["https://example.org"]) as server:
        async with server.open(origin="https://example.org"):
            pass
        with pytest.raises(UpgradeRefusedError):
            async with server.open(origin="https://example.com"):
                pass


# Expectations


async def test_another_message_is_shown(autojump_clock: MockClock) -> None:
    """W34: text and bytes are not the same; long ones are cut."""
    async with open_websocket_pair() as (client, server):
        await client.send("one")
        with pytest.raises(AssertionError, match=says("expected the message 'two', but 'one' ca")):
            await expect_message(server, "two")
        await client.send(b"one")
        with pytest.raises(AssertionError, match=says("'one', but b'one' came")):
            await expect_message(server, "one")
        await client.send("x" * 1000)
        with pytest.raises(AssertionError, match=says("xxx… (1000 in all) came")) as caught:
            await expect_message(server, b"one")
        assert len(str(caught.value)) < 300


async def test_nothing_in_time_is_told(autojump_clock: MockClock) -> None:
    """W34."""
    async with open_websocket_pair() as (client, _):
        began = trio.current_time()
        with pytest.raises(AssertionError, match="expected a message, but nothing came in 3 s"):
            await expect_message(client, timeout=3)
        assert trio.current_time() == began + 3
        with pytest.raises(AssertionError, match="expected a close with 1001, but nothing came"):
            await expect_close(client, 1001)


async def test_a_close_is_expected(autojump_clock: MockClock) -> None:
    """W34, W13."""
    async with open_websocket_pair() as (client, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.close, 4000, "enough")
            assert await expect_close(client, 4000, "enough") == Close(4000, "enough")
        assert await expect_close(client) == Close(4000, "enough")
        with pytest.raises(AssertionError, match=says("a close with 1000, but it was a close wit")):
            await expect_close(client, 1000)
        with pytest.raises(AssertionError, match=says("reason 'more', but it was a close with 40")):
            await expect_close(client, 4000, "more")
        with pytest.raises(AssertionError, match=says("a message, but the peer closed: 4000 enou")):
            await expect_message(client)
        with pytest.raises(AssertionError, match=says("a pong, but the peer closed: 4000 enough")):
            await expect_pong(client)


async def test_a_message_is_no_close(autojump_clock: MockClock) -> None:
    """W34."""
    async with open_websocket_pair() as (client, server):
        await server.send("hello")
        with pytest.raises(AssertionError, match="a close, but the message 'hello' came"):
            await expect_close(client)


async def test_our_own_close_is_not_the_peers(autojump_clock: MockClock) -> None:
    """W34: a peer that does not answer has not closed."""
    async with open_websocket_with_peer() as (server, _):
        await server.close()
        with pytest.raises(AssertionError, match="a close with 1000, but only this side has cl"):
            await expect_close(server, 1000)


async def test_an_end_without_a_close(autojump_clock: MockClock) -> None:
    """W34, W13: is 1006, and nothing else."""
    async with open_websocket_with_peer() as (server, peer):
        await peer.aclose()
        with pytest.raises(AssertionError, match="a close, but"):
            await expect_close(server)
        assert await expect_close(server, 1006) == Close(1006, "")


async def test_no_pong_is_told(autojump_clock: MockClock) -> None:
    """W34: a peer that answers nothing."""
    async with open_websocket_with_peer() as (server, peer), trio.open_nursery() as nursery:

        async def answer_nothing() -> None:
            with pytest.raises(
                AssertionError, match=says("the pong b'abc', but nothing came in 1")
            ):
                await expect_pong(server, b"abc", timeout=1)

        nursery.start_soon(answer_nothing)
        await peer.expect_frame(Opcode.PING, b"abc")
