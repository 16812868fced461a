"""What a client does with what comes: ``receive`` and handlers."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import Cause, Connection, LineCodec, Protocol

from .client_peers import Peers, client_of, counts


async def test_messages_come_with_their_connection() -> None:
    """S25: so that whoever receives can answer where it came from."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        await client.send(b"a")
        await client.send(b"b")
        first, second = client.connections
        await peers.say(1, b"from the second\n")
        received = await client.receive()
        assert received.message == b"from the second"
        assert received.connection is second is not first
        await received.connection.send(b"back")
        assert await peers.read_lines(1, 2) == [b"b", b"back"]
        client.close_all()


async def test_order_within_a_connection() -> None:
    """S25: as the peer sent them."""
    peers = Peers()
    async with client_of(peers, max_inbox_messages=4) as client:
        await client.bootstrap()
        await peers.say(0, b"".join(b"%d\n" % number for number in range(1000)))
        found = [(await client.receive()).message for _ in range(1000)]
        assert found == [b"%d" % number for number in range(1000)]


async def test_nobody_takes_the_replies() -> None:
    """S13: a connection whose replies nobody takes is not read; others are not held up."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_inbox_messages=4) as client:
        await client.bootstrap()
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                for _ in range(1000):
                    await peers.say(0, b"a\n")

            nursery.start_soon(flood)
            await wait_all_tasks_blocked()
            received = client.statistics().pool.messages_received
            assert received <= 3 * 4
            for _ in range(1000):
                await client.receive()
        assert client.statistics().pool.messages_received == 1000


async def test_a_cancelled_receive_loses_nothing() -> None:
    """B6: at whatever moment."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.bootstrap()
        for number in range(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.receive)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            await peers.say(0, b"%d\n" % number)
            assert (await client.receive()).message == b"%d" % number


async def test_several_receivers_share_a_batch() -> None:
    """S25: one that is slow with its message does not keep the others from theirs."""
    peers = Peers()
    found: list[bytes] = []

    async def take() -> None:
        found.append((await client.receive()).message)
        await trio.sleep_forever()

    async with client_of(peers) as client:
        await client.bootstrap()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(take)
            await wait_all_tasks_blocked()
            await peers.say(0, b"1\n2\n3\n4\n")
            await wait_all_tasks_blocked()
            assert found == [b"1", b"2", b"3"]
            assert (await client.receive()).message == b"4"
            nursery.cancel_scope.cancel()


async def test_replies_of_a_connection_that_broke() -> None:
    """S18: what came before it broke is still received."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.bootstrap()
        # One batch in the inbox, one with whoever offers it, one in the reader's hands.
        for number in range(3):
            await peers.say(0, b"%d\n" % number)
            await wait_all_tasks_blocked()
        peers.theirs[0].break_now()
        await client.send(b"finds it broken")
        await wait_all_tasks_blocked()
        assert counts(client) == (0, 0, 0, 0)
        assert [(await client.receive()).message for _ in range(3)] == [b"0", b"1", b"2"]


async def test_replies_that_nobody_ever_takes_are_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S13: connections that come and go leave no more than the bound, and the rest is logged."""
    peers = Peers()
    async with client_of(peers, max_inbox_messages=2, max_connections=2) as client:
        for index in range(20):
            await client.bootstrap()
            await peers.say(index, b"a\nb\n")
            await wait_all_tasks_blocked()
            client.close_all()
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 0, 0, 0)
        kept = 0
        with trio.move_on_after(0):
            while True:
                await client.receive()
                kept += 1
        assert kept == 4
        assert "nobody receives them" in caplog.text


async def test_bad_bytes_end_one_connection() -> None:
    """S6: what came before is received, the cause is counted, the pool goes on."""
    peers = Peers()
    async with client_of(peers, protocol=LineCodec(max_message_size=4)) as client:
        await client.bootstrap()
        await peers.say(0, b"good\nmuch too long\n")
        await wait_all_tasks_blocked()
        assert (await client.receive()).message == b"good"
        await wait_all_tasks_blocked()
        [(cause, number)] = client.statistics().pool.ended.items()
        assert (cause, number) == (Cause.PROTOCOL_ERROR, 1)
        await client.send(b"next")
        assert await peers.read(1) == b"next\n"


async def test_skipped_messages_are_passed_over() -> None:
    """S3: with a codec that goes on after them, a too-long line costs only itself."""
    peers = Peers()
    codec = LineCodec(max_message_size=4, resync=True)
    async with client_of(peers, protocol=codec) as client:
        await client.bootstrap()
        await peers.say(0, b"one\nmuch too long\ntwo\n")
        assert (await client.receive()).message == b"one"
        assert (await client.receive()).message == b"two"
        assert client.statistics().pool.messages_skipped == 1


# Handlers


async def test_a_coroutine_handler_gets_each_connection() -> None:
    """S15: as on a server; `receive` says that there is one."""
    peers = Peers()
    found: list[bytes] = []

    async def handle(connection: Connection[bytes]) -> None:
        async for line in connection:
            found.append(line)

    async with client_of(peers, handler=handle) as client:
        await client.send(b"a")
        await peers.say(0, b"answer\n")
        await wait_all_tasks_blocked()
        assert found == [b"answer"]
        with pytest.raises(RuntimeError, match="has a handler"):
            await client.receive()


async def test_a_plain_function_answers() -> None:
    """S15: called once a message; what it returns is sent back."""
    peers = Peers()

    def handle(connection: Connection[bytes], line: bytes) -> bytes | None:
        return line.upper() if line != b"quiet" else None

    async with client_of(peers, handler=handle) as client:
        await client.bootstrap()
        await peers.say(0, b"a\nquiet\nb\n")
        assert await peers.read_lines(0, 2) == [b"A", b"B"]


async def test_a_protocols_own_handler() -> None:
    """S15: used by clients too; a second one beside it is a mistake."""
    peers = Peers()

    class Echo(Protocol[bytes]):
        codec = LineCodec()

        async def handle(self, connection: Connection[bytes]) -> None:
            async for line in connection:
                await connection.send(line)

    async with client_of(peers, protocol=Echo()) as client:
        await client.bootstrap()
        await peers.say(0, b"a\n")
        assert await peers.read(0) == b"a\n"
    with pytest.raises(TypeError, match="has a handle method"):
        client_of(peers, protocol=Echo(), handler=print)


async def test_a_handler_that_returns_closes_its_connection() -> None:
    """S15: what was accepted is sent first; the next write opens another."""
    peers = Peers()

    async def handle(connection: Connection[bytes]) -> None:
        await connection.receive()
        await connection.send(b"last words")

    async with client_of(peers, handler=handle) as client:
        await client.bootstrap()
        await peers.say(0, b"a\n")
        assert await peers.read_rest(0) == b"last words\n"
        await wait_all_tasks_blocked()
        assert client.statistics().pool.ended == {Cause.DONE: 1}
        await client.send(b"b")
        assert await peers.read(1) == b"b\n"
