"""Memory pairs and listeners: a protocol's test without a socket."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import memory_stream_pair

from snowtrio import (
    BufferedStream,
    Connection,
    HandshakeError,
    LineCodec,
    PoolLimits,
    Protocol,
    Side,
    StreamEndpoint,
    open_connection,
    serve_listeners,
)
from snowtrio.testing import FaultyStream, MemoryListener, open_memory_pair


class Greeting(Protocol[bytes, bytes, bytes]):
    """Exchanges names; a server refuses the name ``mallory``."""

    codec = LineCodec()

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self.name = name
        self.events: list[str] = []

    async def handshake(self, side: Side, stream: BufferedStream) -> bytes:
        if side is Side.CLIENT:
            await stream.send_all(self.name + b"\n")
            return await stream.receive_line()
        name = await stream.receive_line()
        if name == b"mallory":
            raise ValueError("go away")
        await stream.send_all(self.name + b"\n")
        return name

    async def handle(self, connection: Connection[bytes, bytes, bytes]) -> None:
        raise AssertionError("the test has the connection")

    async def close(self, connection: Connection[bytes, bytes, bytes]) -> None:
        self.events.append("close")

    def purge(self, connection: Connection[bytes, bytes, bytes], messages: Sequence[bytes]) -> None:
        self.events.append("purge")


async def test_handshakes_and_hooks_run_on_both_ends() -> None:
    """S7, S10: contexts are what the handshakes returned, and each end closes once."""
    alice, bob = Greeting(b"alice"), Greeting(b"bob")
    async with open_memory_pair(alice, server_protocol=bob) as (client, server):
        assert (client.context, server.context) == (b"bob", b"alice")
        assert (client.side, server.side) == (Side.CLIENT, Side.SERVER)
        await client.send(b"hello")
        assert await server.receive() == b"hello"
    assert alice.events == bob.events == ["close"]
    assert client.ending is not None
    assert server.ending is not None


@pytest.mark.parametrize("lockstep", [False, True])
async def test_a_handshake_that_fails_is_raised_and_nobody_waits(lockstep: bool) -> None:
    """S8: the end that refused says why, though the other one saw nothing but the end."""
    mallory, bob = Greeting(b"mallory"), Greeting(b"bob")
    with pytest.raises(HandshakeError, match="go away"):
        async with open_memory_pair(mallory, server_protocol=bob, lockstep=lockstep):
            raise AssertionError("there is no connection to use")
    assert bob.events == []


async def test_what_the_block_raises_comes_out_plain() -> None:
    opened: list[Connection[bytes]] = []

    async def fail() -> None:
        async with open_memory_pair(LineCodec()) as (client, _):
            opened.append(client)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert opened[0].ending is not None


async def test_each_end_has_its_own_limits_and_stream() -> None:
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(theirs)
    async with open_memory_pair(
        LineCodec(),
        limits=PoolLimits(max_outbox_messages=2),
        client_limits=PoolLimits(max_outbox_messages=3),
        streams=(ours, faulty),
    ) as (client, server):
        faulty.stall()
        for connection, size in ((client, 3), (server, 2)):
            for _ in range(size):
                connection.send_nowait(b"x")
            with pytest.raises(trio.WouldBlock):
                connection.send_nowait(b"x")
        faulty.resume()


async def test_a_listener_serves_whoever_connects() -> None:
    """P1: without a socket and without a port."""
    listener = MemoryListener()

    async def echo(connection: Connection[bytes]) -> None:
        async for line in connection:
            await connection.send(line)

    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_listeners(echo, LineCodec(), [listener], task_status=task_status)

        server = await nursery.start(serve)
        async with open_connection(LineCodec(), StreamEndpoint(listener.connect)) as client:
            await client.send(b"hello")
            assert await client.receive() == b"hello"
        await server.drain()
    with pytest.raises(ConnectionRefusedError):
        await listener.connect()


async def test_a_listener_that_closes_lets_nobody_wait() -> None:
    """S23: who had connected and was not accepted sees the end, as from a system."""
    listener = MemoryListener()
    waiting = await listener.connect()
    await listener.aclose()
    assert await waiting.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    await listener.aclose()
