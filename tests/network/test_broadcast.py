"""Broadcasts over real sockets, to peers that read, and to some that do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import pytest
import trio

from snowtrio import Connection, LineCodec, Server, ServerLimits, WhenSlow, broadcast

from ..serving import LIMIT
from .tcp import connect, serving_tcp, until

LIMITS = ServerLimits(
    max_outbox_messages=20, max_outbox_bytes=10**6, linger_timeout=0.2, drain_timeout=0.2
)


async def wait(connection: Connection[bytes]) -> None:
    async for _ in connection:
        pass


@attrs.define
class Peer:
    """A socket, and what was read of it and not looked at yet."""

    stream: trio.SocketStream
    rest: bytes = b""

    async def line(self) -> bytes:
        with trio.fail_after(LIMIT):
            while b"\n" not in self.rest:
                data = await self.stream.receive_some()
                assert data, "the connection has ended"
                self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    async def number(self) -> int:
        """Return what the next line begins with."""
        return int((await self.line()).partition(b" ")[0])


@attrs.frozen
class Hall:
    """A server whose connections say nothing, and their peers in the same order."""

    server: Server[bytes]
    peers: list[Peer]

    @property
    def connections(self) -> list[Connection[bytes]]:
        return self.server.connections


@asynccontextmanager
async def hall(number: int, limits: ServerLimits = LIMITS) -> AsyncIterator[Hall]:
    codec = LineCodec(max_message_size=10**5)
    async with serving_tcp(wait, codec, limits=limits) as server, AsyncExitStack() as stack:
        streams = [await connect(server) for _ in range(number)]
        for stream in streams:
            await stack.enter_async_context(stream)
        await until(lambda: len(server.connections) == number)
        by_address = {stream.socket.getsockname(): Peer(stream) for stream in streams}
        yield Hall(server, [by_address[each.peer_address] for each in server.connections])
    pool = server.statistics().pool
    assert pool.messages_accepted == (
        pool.messages_sent + pool.messages_dropped + pool.messages_unsent + pool.messages_in_doubt
    )


async def test_what_is_broadcast_in_one_go_leaves_together_and_in_order() -> None:
    """B8, B1: with what was sent in between; the first goes at once, the others in one write."""
    async with hall(5) as room:
        for number in range(0, 30, 2):
            await broadcast(room.connections, b"%d" % number, when_slow=WhenSlow.WAIT)
        for peer in room.peers:
            assert [await peer.line() for _ in range(15)] == [
                b"%d" % number for number in range(0, 30, 2)
            ]
        assert [each.statistics().writes for each in room.connections] == [2] * 5
        for number in range(10):
            await broadcast(room.connections, b"%d" % number, when_slow=WhenSlow.WAIT)
            for connection in room.connections:
                connection.send_nowait(b"private %d" % number)
        for peer in room.peers:
            for number in range(10):
                assert await peer.line() == b"%d" % number
                assert await peer.line() == b"private %d" % number


async def test_who_never_pauses_holds_up_nothing_for_long() -> None:
    """B8: what gathers leaves after 16,384 messages at the latest, in all outboxes together."""
    limits = attrs.evolve(LIMITS, max_outbox_messages=100_000)
    async with hall(2, limits) as room:
        one, other = room.connections
        for _ in range(10_000):
            await broadcast([one, other], b"x", when_slow=WhenSlow.WAIT)
        assert one.statistics().messages_sent >= 8192
        assert other.statistics().messages_sent >= 8192
        assert one.statistics().writes < 10
        await one.flush()


async def test_an_answer_does_not_wait_for_the_publisher_to_pause() -> None:
    """B8: it leaves on the next pass, with what has gathered before it."""
    async with hall(1) as room:
        (connection,) = room.connections
        for number in range(3):
            await broadcast([connection], b"%d" % number, when_slow=WhenSlow.WAIT)
        assert connection.statistics().messages_sent == 1
        connection.send_nowait(b"answer")
        for number in range(3, 6):
            await broadcast([connection], b"%d" % number, when_slow=WhenSlow.WAIT)
        assert connection.statistics().messages_sent >= 4


@pytest.mark.parametrize("number", [1, 3, 100])
async def test_the_last_words_before_the_end(number: int) -> None:
    """B8, B5: what was broadcast before `aclose`, `send_eof` or `flush` is not left behind."""
    for end in ("aclose", "send_eof", "flush"):
        async with hall(1, ServerLimits(linger_timeout=0.2)) as room:
            (connection,) = room.connections
            for each in range(number):
                await broadcast([connection], b"%d" % each, when_slow=WhenSlow.WAIT)
            with trio.fail_after(LIMIT):
                await getattr(connection, end)()
            assert connection.statistics().messages_sent == number
            for each in range(number):
                assert await room.peers[0].line() == b"%d" % each


async def test_what_has_gathered_when_the_connection_is_cut_is_purged() -> None:
    """B8, B5: the account of the fixture holds, and tells them."""
    async with hall(2) as room:
        one, _ = room.connections
        for number in range(5):
            await broadcast(room.connections, b"%d" % number, when_slow=WhenSlow.WAIT)
        one.drop()
        await until(lambda: one.ending is not None)
        assert one.ending is not None
        assert one.ending.unsent == (b"1", b"2", b"3", b"4")
        assert [await room.peers[1].line() for _ in range(5)][-1] == b"4"


async def test_a_slow_one_misses_the_oldest() -> None:
    """B8: those that read miss nothing, and the slow one ends with the newest."""
    async with hall(3) as room:
        slow, *quick = room.peers
        said: list[bytes] = []
        got: list[bytes] = []
        dropped = 0
        while dropped < 200:
            if dropped > 30:  # So that it has got a part of what the writer has in hand.
                got += [await slow.line() for _ in range(3)]
            burst = [b"%d %b" % (len(said) + each, b"x" * 20_000) for each in range(8)]
            for line in burst:
                result = await broadcast(room.connections, line, when_slow=WhenSlow.DROP_OLDEST)
                assert (result.sent, result.dropped_newest) == (3, 0)
                dropped += result.dropped_oldest
            for peer in quick:
                assert [await peer.line() for _ in burst] == burst
            said += burst
        while not got or got[-1] != said[-1]:
            got.append(await slow.line())
            assert got[-1] in said
        numbers = [int(line.partition(b" ")[0]) for line in got]
        assert numbers == sorted(set(numbers))
        assert len(got) == len(said) - dropped
        assert room.server.statistics().pool.messages_dropped == dropped


async def test_a_slow_one_is_disconnected_and_the_others_go_on() -> None:
    """B8: nobody waits for it."""
    async with hall(3) as room:
        quick = room.peers[1:]
        line = b"7 " + b"x" * 50_000
        disconnected = 0
        while not disconnected:
            result = await broadcast(room.connections, line, when_slow=WhenSlow.DISCONNECT)
            disconnected = result.disconnected
            for peer in quick:
                assert await peer.number() == 7
        await until(lambda: len(room.connections) == 2)


async def test_a_slow_one_is_waited_for() -> None:
    """B8: it gets everything, and the broadcast goes no faster than it does."""
    async with hall(2) as room, trio.open_nursery() as nursery:
        waited = 0

        async def say() -> None:
            nonlocal waited
            for number in range(400):
                line = b"%d %b" % (number, b"x" * 30_000)
                waited += (await broadcast(room.connections, line, when_slow=WhenSlow.WAIT)).waited

        async def read(peer: Peer) -> None:
            for number in range(400):
                assert await peer.number() == number

        nursery.start_soon(say)
        quick, slow = room.peers
        nursery.start_soon(read, quick)
        await until(lambda: room.connections[1].statistics().sends_waited)
        await read(slow)
    assert waited
