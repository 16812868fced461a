"""A full outbox means that the peer is slow, not that a task runs for long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from snowtrio import (
    Connection,
    ConnectionLimits,
    LineCodec,
    LocalProtocolError,
    ServerLimits,
    serve_tcp,
)

from ..serving import read_all

pytestmark = pytest.mark.usefixtures("readiness")


async def test_many_messages_in_one_pass_of_the_run_loop() -> None:
    """S13, B8: the kernel is asked before `send_nowait` says that there is no room."""
    assert ConnectionLimits().max_outbox_messages < 5000

    async def burst(connection: Connection[bytes]) -> None:
        for number in range(5000):
            connection.send_nowait(b"%d" % number)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_tcp, burst, LineCodec(), 0)
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        async with stream:
            lines = (await read_all(stream)).split()
        assert lines == [b"%d" % number for number in range(5000)]
        await server.drain()


async def test_messages_that_are_sent_while_a_batch_is_made() -> None:
    """S13, B1: what the kernel took of an unfinished batch does not hold up what follows."""

    async def mix(connection: Connection[bytes]) -> None:
        await connection.send_batch(made_on_the_way(connection))
        await connection.send(b"last")
        await connection.flush()
        assert connection.pending == 0

    limits = ServerLimits(max_outbox_messages=4)
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_tcp(mix, LineCodec(), 0, limits=limits, task_status=task_status)

        server = await nursery.start(serve)
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            lines = (await read_all(stream)).split()
        assert lines == [b"first", *[b"%d" % number for number in range(3)], b"last"]
        await server.drain()


def made_on_the_way(connection: Connection[bytes]) -> Iterator[bytes]:
    yield b"first"
    for number in range(3):
        connection.send_nowait(b"%d" % number)
    with pytest.raises(LocalProtocolError):  # The outbox is full: the kernel gets it all first.
        connection.send_nowait(b"two\nlines")


def send_without_end(connection: Connection[bytes]) -> None:
    while True:
        connection.send_nowait(b"x" * 10_000)


async def test_a_peer_that_does_not_read_still_fills_it() -> None:
    """S13: and what was accepted until then is counted whole."""
    full = trio.Event()

    async def flood(connection: Connection[bytes]) -> None:
        with pytest.raises(trio.WouldBlock):
            send_without_end(connection)
        assert connection.pending >= 1
        connection.drop()
        full.set()

    limits = ServerLimits(max_outbox_bytes=100_000)
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[object]) -> None:
            await serve_tcp(flood, LineCodec(), 0, limits=limits, task_status=task_status)

        server = await nursery.start(serve)
        async with await trio.open_tcp_stream("127.0.0.1", server.port):
            await full.wait()
            await server.drain()
