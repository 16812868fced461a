"""``examples/redis_client.py`` and a server in memory, for what a real one does seldom."""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from snowtrio import Connection, StreamEndpoint, serve_listeners
from snowtrio.testing import MemoryListener

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from _redis_commands import Message
from _redis_resp import Command, Reply, RespCodec
from redis_client import RedisClient, RedisProtocol


async def publish_at_once(connection: Connection[Reply, Command]) -> None:
    """Publish on one channel before the subscription of another one is confirmed."""
    async for words in connection:
        assert list(words) == [b"SUBSCRIBE", b"a", b"b"]
        await connection.send([b"subscribe", b"a", 1])
        await connection.send([b"message", b"a", b"early"])
        await connection.send([b"subscribe", b"b", 2])
        await connection.send([b"message", b"b", b"late"])


async def test_messages_among_the_confirmations_are_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S1: none is lost, and they stay in order."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_listeners, publish_at_once, RespCodec(), [listener])
        endpoint = StreamEndpoint(listener.connect)
        async with (
            RedisClient(endpoint, protocol=RedisProtocol(resp3=False)) as redis,
            redis.subscribe("a", "b") as messages,
        ):
            came = [await anext(messages), await anext(messages)]
        await server.drain()
    assert came == [Message(b"a", b"early"), Message(b"b", b"late")]
