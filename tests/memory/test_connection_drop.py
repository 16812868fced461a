"""A connection that is dropped sends nothing more."""

from __future__ import annotations

import trio

from snowtrio import Cause, Connection, LineCodec
from snowtrio.testing import open_memory_pair


async def test_what_was_accepted_and_not_sent_is_unsent() -> None:
    """B5, S11: though the transport would have taken it."""
    async with open_memory_pair(LineCodec()) as (near, far):
        for number in range(10):
            far.send_nowait(b"%d" % number)
        pending = far.pending
        assert pending > 0
        far.drop()
        received = [line async for line in near]
        while far.ending is None:
            await trio.lowlevel.checkpoint()
    assert far.ending.cause is Cause.DROPPED
    assert len(received) + len(far.ending.unsent) == 10
    assert far.ending.unsent == tuple(b"%d" % number for number in range(10 - pending, 10))


async def test_a_handler_can_say_that_the_peer_broke_the_protocol() -> None:
    """S22: then it is no failure of the handler's."""
    from snowtrio import RemoteProtocolError, StreamEndpoint, open_connection, serve_listeners
    from snowtrio.testing import MemoryListener

    async def refuse(connection: Connection[bytes]) -> None:
        await connection.receive()
        raise RemoteProtocolError("not before the login")

    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_listeners, refuse, LineCodec(), [listener])
        async with open_connection(LineCodec(), StreamEndpoint(listener.connect)) as connection:
            await connection.send(b"publish")
            assert [line async for line in connection] == []
        await server.drain()
    assert server.statistics().pool.ended == {Cause.PROTOCOL_ERROR: 1}
