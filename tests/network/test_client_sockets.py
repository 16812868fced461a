"""A pooled client over real sockets: echoes, restarts, resets, names that move."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from snowtrio import (
    Client,
    ClientLimits,
    Connection,
    ConnectRefusedError,
    LineCodec,
    Protocol,
    Server,
    TCPEndpoint,
    UnixEndpoint,
    serve_tcp,
    serve_unix,
)

pytestmark = pytest.mark.usefixtures("readiness")

QUICK = ClientLimits(backoff=0.01, linger_timeout=0)


async def echo(connection: Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(line)


@asynccontextmanager
async def tcp_server(
    port: int = 0, host: str = "127.0.0.1", handler: Any = echo
) -> AsyncIterator[Server[bytes, bytes, None]]:
    async with trio.open_nursery() as nursery:
        serve = partial(serve_tcp, handler, LineCodec(), port, host=host)
        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def test_a_task_that_is_alone_wakes_no_writer() -> None:
    """S15: where a plain function takes the replies, each next message goes to the kernel at once.

    So its connection is idle again before another task looks for one.
    """
    replies = trio.Event()

    def take(connection: Connection[bytes], line: bytes) -> None:
        replies.set()

    async with (
        tcp_server() as server,
        Client(LineCodec(), "127.0.0.1", server.port, handler=take, limits=QUICK) as client,
    ):
        for _ in range(4):
            await client.send(b"a")
            assert client.connections[0].pending == 0
            await replies.wait()
            replies = trio.Event()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_echo_through_a_pool(host: str) -> None:
    """S14, S15, S26: thousands of messages from many tasks, each answered once; nothing is left."""
    tasks, each = 20, 100
    async with tcp_server(host=host) as server:
        async with Client(
            LineCodec(), host, server.port, limits=ClientLimits(max_connections=4)
        ) as client:
            received: Counter[bytes] = Counter()
            async with trio.open_nursery() as nursery:

                async def send(task: int) -> None:
                    for number in range(each):
                        await client.send(b"%d-%d" % (task, number))

                for task in range(tasks):
                    nursery.start_soon(send, task)
                for _ in range(tasks * each):
                    received[(await client.receive()).message] += 1
            assert len(received) == received.total() == tasks * each
            statistics = client.statistics().pool
            assert statistics.messages_sent == statistics.messages_received == tasks * each
            assert 1 <= statistics.peak_connections <= 4
        assert client.statistics().pool.connections == 0


async def test_echo_over_a_unix_socket(tmp_path: Path) -> None:
    """S26: an endpoint instead of a host."""
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_unix, echo, LineCodec(), path))
        async with Client(LineCodec(), UnixEndpoint(path)) as client:
            await client.send(b"a")
            assert (await client.receive()).message == b"a"
        nursery.cancel_scope.cancel()


async def test_a_server_that_restarts() -> None:
    """S17, S18: dead connections are not used; while it is away a write says so."""
    async with tcp_server() as server:
        port = server.port
        client = Client(LineCodec(), "127.0.0.1", port, limits=QUICK)
        async with client:
            for _ in range(3):
                await client.send(b"a")
                await client.receive()
            await server.drain()
            await wait_all_tasks_blocked()
            with pytest.raises(ConnectRefusedError):
                await client.send(b"b")
            async with tcp_server(port):
                await client.send(b"c")
                assert (await client.receive()).message == b"c"


async def test_a_peer_that_resets() -> None:
    """S18, B5: the ledger is exact where the kernel breaks the connection."""
    purged: list[bytes] = []

    class Noting(Protocol[bytes]):
        codec = LineCodec()

        def purge(self, connection: Connection[bytes], messages: Any) -> None:
            purged.extend(messages)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with Client(Noting(), *listener.getsockname(), limits=QUICK) as client:
            await client.bootstrap()
            peer, _ = listener.accept()
            [connection] = client.connections
            messages = [b"%06d" % number + b"x" * 60_000 for number in range(200)]
            accepted = 0
            with trio.move_on_after(0.2):
                for message in messages:
                    await connection.send(message)
                    accepted += 1
            assert accepted < len(messages)  # The peer does not read, and the outbox is full.
            reset(peer)
            await wait_all_tasks_blocked(0.01)
            assert connection.ending is not None
            pool = client.statistics().pool
            assert pool.messages_sent + pool.messages_in_doubt + len(purged) == accepted
            assert pool.messages_in_doubt <= 1
            assert purged == messages[accepted - len(purged) : accepted]
            assert len(purged) > 1


async def test_unsent_messages_move_after_a_reset() -> None:
    """S18: in order, to a connection that is opened for them."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client: Client[bytes] = Client(
            LineCodec(),
            *listener.getsockname(),
            move_unsent=True,
            limits=ClientLimits(max_connections=1, linger_timeout=0),
        )
        async with client:
            await client.bootstrap()
            peer, _ = listener.accept()
            accepted = 0
            with trio.move_on_after(0.2):
                while True:
                    await client.send(b"%06d" % accepted + b"x" * 60_000)
                    accepted += 1
            pending = client.connections[0].pending
            reset(peer)
            second = trio.socket.from_stdlib_socket(await accept(listener))
            numbers: list[int] = []
            stream = trio.SocketStream(second)
            kept = b""
            while len(numbers) < pending - 1:
                kept += await stream.receive_some(1 << 20)
                *lines, kept = kept.split(b"\n")
                numbers += [int(line[:6]) for line in lines]
            assert numbers == list(range(accepted - len(numbers), accepted))
            assert client.statistics().messages_moved == len(numbers)
            await stream.aclose()


async def accept(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    await trio.lowlevel.wait_readable(listener)
    return listener.accept()[0]


class Moving(trio.abc.HostnameResolver):
    """Knows one name, whose addresses can be changed."""

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.asked = 0

    async def getaddrinfo(self, host: object, *rest: object) -> list[Any]:
        assert host == b"service"
        self.asked += 1
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
            for address in self.addresses
        ]

    async def getnameinfo(self, *rest: object) -> tuple[str, str]:
        raise NotImplementedError


async def test_a_name_that_moves() -> None:
    """B13: resolved again when the connections to the old address have failed."""
    resolver = Moving()
    trio.socket.set_custom_hostname_resolver(resolver)
    async with tcp_server() as new, Client(LineCodec(), "service", 1, limits=QUICK) as client:
        async with tcp_server() as old:
            resolver.addresses = [("127.0.0.1", old.port)]
            await client.send(b"a")
            assert (await client.receive()).connection.peer_address == old.addresses[0]
            assert resolver.asked == 1
            await client.send(b"b")
            assert (await client.receive()).message == b"b"
            assert resolver.asked == 1
            resolver.addresses = [("127.0.0.1", new.port)]
        await wait_all_tasks_blocked(0.01)
        await client.send(b"c")
        assert (await client.receive()).connection.peer_address == new.addresses[0]
        assert resolver.asked == 2


async def test_a_name_that_moves_while_connections_live() -> None:
    """B13: resolved again when they are old."""
    resolver = Moving()
    trio.socket.set_custom_hostname_resolver(resolver)
    limits = ClientLimits(max_lifetime=0.2, min_connections=1, drain_timeout=0, linger_timeout=0)
    async with tcp_server() as old, tcp_server() as new:
        resolver.addresses = [("127.0.0.1", old.port)]
        async with Client(LineCodec(), "service", 1, limits=limits) as client:
            await client.send(b"a")
            assert (await client.receive()).connection.peer_address == old.addresses[0]
            resolver.addresses = [("127.0.0.1", new.port)]
            with trio.fail_after(10):
                while not new.connections:
                    await trio.sleep(0.01)
            await client.send(b"b")
            assert (await client.receive()).connection.peer_address == new.addresses[0]


async def test_several_addresses_of_a_name() -> None:
    """B13: one that refuses is passed over."""
    resolver = Moving()
    trio.socket.set_custom_hostname_resolver(resolver)
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        async with tcp_server() as server:
            resolver.addresses = [dead.getsockname(), ("127.0.0.1", server.port)]
            async with Client(LineCodec(), "service", 1) as client:
                await client.send(b"a")
                assert (await client.receive()).connection.peer_address == server.addresses[0]


async def test_several_endpoints() -> None:
    """B13: the next when one has gone, and back again."""
    async with tcp_server() as second, tcp_server() as first:
        where = [TCPEndpoint("127.0.0.1", server.port) for server in (first, second)]
        client: Client[bytes] = Client(LineCodec(), where, limits=QUICK)
        async with client:
            await client.send(b"a")
            assert (await client.receive()).connection.peer_address == first.addresses[0]
            await first.drain()
            await wait_all_tasks_blocked(0.01)
            await client.send(b"b")
            assert (await client.receive()).connection.peer_address == second.addresses[0]
            async with tcp_server(where[0].port) as again:
                await second.drain()
                await wait_all_tasks_blocked(0.01)
                await client.send(b"c")
                received = await client.receive()
                assert received.connection.peer_address == again.addresses[0]


async def test_cancelled_in_a_storm() -> None:
    """B6, S23: leaving by cancellation in the midst of everything closes every socket."""
    async with tcp_server() as server:
        for delay in (0.0, 0.001, 0.002, 0.005, 0.01, 0.02):
            with trio.move_on_after(delay):
                async with (
                    Client(LineCodec(), "127.0.0.1", server.port) as client,
                    trio.open_nursery() as nursery,
                ):
                    for _ in range(30):
                        nursery.start_soon(client.send, b"x" * 1000)
                    while True:
                        await client.receive()
            statistics = client.statistics()
            assert (statistics.opening, statistics.pool.connections) == (0, 0)
