"""A subscriber over real sockets: its server is killed, and comes back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from snowtrio import (
    ClientLimits,
    ConnectError,
    Connection,
    Gap,
    LineCodec,
    Subscriber,
    SubscriberLimits,
    TCPEndpoint,
    open_tcp_connection,
)

from ..serving import LIMIT
from .tcp import serving_tcp

pytestmark = pytest.mark.usefixtures("readiness")

QUICK = SubscriberLimits(backoff=0.01, max_backoff=0.05, linger_timeout=0)

# Says its lines once it has been asked to, as many as the line says.
PUBLISHER = """
import sys, trio
from snowtrio import LineCodec, serve_tcp

async def publish(connection):
    async for line in connection:
        await connection.send(b"ok")
        await connection.send_batch([b"%d" % number for number in range(int(line))])

async def main(port):
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_tcp, publish, LineCodec(), port)
        print(server.port, flush=True)

trio.run(main, int(sys.argv[1]))
"""


@asynccontextmanager
async def publisher(port: int = 0) -> AsyncIterator[tuple[int, trio.Process]]:
    """Run a server in a process of its own, and kill it; gives its port."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-W", "error", "-c", PUBLISHER, str(port)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with process.stdout:
        try:
            with trio.fail_after(LIMIT):
                yield int(await process.stdout.receive_some()), process
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def subscribe(connection: Connection[bytes]) -> None:
    """Ask for more than is there before the server is killed."""
    await connection.send(b"100000")
    assert await connection.receive() == b"ok"


async def test_a_server_that_is_killed_and_comes_back() -> None:
    """B5: what came before is delivered in order, then the gap, then the new subscription's."""
    got: list[bytes | Gap] = []

    async def take(number: int) -> None:
        with trio.fail_after(LIMIT):
            for _ in range(number):
                got.append(await messages.receive())

    async with (
        publisher() as (port, process),
        Subscriber(
            LineCodec(), "127.0.0.1", port, subscribe=subscribe, limits=QUICK, connect_first=True
        ) as messages,
    ):
        await take(1000)
        process.kill()
        await process.wait()
        with trio.fail_after(LIMIT):
            while not isinstance(messages.statistics().last_error, ConnectError):
                if messages.statistics().messages_waiting:
                    await take(1)
                await trio.lowlevel.checkpoint()
        async with publisher(port):
            while not isinstance(got[-1], Gap):
                await take(1)
            gap = got.pop()
            before = len(got)
            await take(2000)
    assert isinstance(gap, Gap)
    assert gap.attempts > 1
    assert isinstance(gap.error, (trio.EndOfChannel, trio.BrokenResourceError))
    assert before >= 1000
    assert got == [b"%d" % number for number in [*range(before), *range(2000)]]
    found = messages.statistics()
    assert (found.subscriptions, found.gaps, found.messages_delivered) == (2, 1, len(got))


async def test_a_server_that_drains() -> None:
    """S23, B13: the subscriber goes to the next endpoint, and nothing of either is lost."""

    async def publish(connection: Connection[bytes]) -> None:
        await connection.send_batch([b"a", b"b"])
        async for _ in connection:
            pass

    async with serving_tcp(publish) as first, serving_tcp(publish) as second:
        endpoints = [TCPEndpoint("127.0.0.1", server.port) for server in (first, second)]
        async with Subscriber(LineCodec(), endpoints, limits=QUICK) as messages:
            with trio.fail_after(LIMIT):
                assert [await messages.receive() for _ in range(2)] == [b"a", b"b"]
                await first.drain()
                got = [await messages.receive() for _ in range(3)]
        assert got[1:] == [b"a", b"b"]
        assert isinstance(got[0], Gap)
        assert isinstance(got[0].error, trio.EndOfChannel)


async def test_nobody_is_there() -> None:
    """P4: told at once where that is asked for."""
    async with serving_tcp() as server:
        port = server.port
        async with open_tcp_connection(
            LineCodec(), "127.0.0.1", port, limits=ClientLimits(linger_timeout=0)
        ):
            pass
    with pytest.raises(ConnectionRefusedError):
        async with Subscriber(LineCodec(), "127.0.0.1", port, limits=QUICK, connect_first=True):
            raise AssertionError("the block was entered")
