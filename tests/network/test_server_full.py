"""A full server on real sockets: refused, waiting in the backlog, or told; peers told apart."""

from __future__ import annotations

import errno
import os
import socket
from functools import partial
from pathlib import Path
from typing import Literal

import attrs
import pytest
import trio
import trio.testing

from snowtrio import (
    BufferedStream,
    LineCodec,
    Protocol,
    Refusal,
    ServerLimits,
    Side,
    serve_listeners,
    serve_unix,
)
from snowtrio import open_tcp_listeners as listen

from ..conftest import open_descriptors
from ..serving import LIMIT, ask, echo, read_all
from .tcp import connect, serving_tcp, until

pytestmark = pytest.mark.usefixtures("readiness")

ONE = ServerLimits(max_connections=1, linger_timeout=0.2)


async def test_refused_peer_sees_the_end_and_not_a_reset() -> None:
    """S20: one that has said nothing yet."""
    async with serving_tcp(limits=ONE) as server, await connect(server) as first:
        assert await ask(first, b"x") == b"x"
        async with await connect(server) as refused:
            assert await read_all(refused) == b""
        assert server.statistics().refused[Refusal.FULL] == 1


async def test_farewell_reaches_a_peer_that_is_still_sending() -> None:
    """S20, B9: closing over what it sends would reset, and the reset overtake our words."""
    async with serving_tcp(limits=ONE, when_full=b"full\n") as server, await connect(server) as one:
        assert await ask(one, b"x") == b"x"
        async with await connect(server) as refused:
            await refused.send_all(b"a long request " * 1000)
            assert await read_all(refused) == b"full\n"


async def test_those_who_wait_stay_in_the_backlog() -> None:
    """S20: over several listeners, without a descriptor of ours for any of them."""
    listeners = [*await listen(0), *await listen(0, host="::1")]
    async with serving_tcp(
        serve=serve_listeners, where=listeners, limits=ONE, when_full="wait"
    ) as server:
        (v4, v6) = [each[:2] for each in server.addresses if isinstance(each, tuple)]
        first = await trio.open_tcp_stream(*v4)
        assert await ask(first, b"x") == b"x"
        before = len(open_descriptors())
        waiting = [await trio.open_tcp_stream(*(v4, v6)[n % 2]) for n in range(10)]
        for stream in waiting:
            await stream.send_all(b"waited\n")
        assert len(open_descriptors()) == before + 10
        assert server.statistics().accepted == 1
        await first.aclose()
        served = 0
        while served < 10:
            await until(lambda: server.connections)
            assert len(server.connections) == 1
            # Which listener is next is chance; whoever is served leaves.
            async with trio.open_nursery() as nursery:
                for stream in waiting:
                    nursery.start_soon(leave_when_served, stream, nursery.cancel_scope, waiting)
            served += 1
        assert server.statistics().pool.peak_connections == 1


async def test_those_who_wait_for_a_handshake_stay_in_the_backlog() -> None:
    """S9, B2: whatever those get who find no place at all."""

    class Named(Protocol[bytes]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            await stream.receive_line()

    limits = ServerLimits(max_handshakes=1, linger_timeout=0.2)
    async with serving_tcp(echo, Named(), limits=limits) as server:
        slow = await connect(server)
        await until(lambda: server.statistics().pool.handshaking == 1)
        before = len(open_descriptors())
        others = [await connect(server) for _ in range(5)]
        for stream in others:
            await stream.send_all(b"name\n")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(open_descriptors()) == before + 5
        assert await ask(slow, b"name\nx") == b"x"
        for stream in others:
            assert await ask(stream, b"x") == b"x"
            await stream.aclose()
        await slow.aclose()


async def leave_when_served(
    stream: trio.SocketStream, scope: trio.CancelScope, waiting: list[trio.SocketStream]
) -> None:
    with trio.fail_after(LIMIT):
        assert await stream.receive_some() == b"waited\n"
    waiting.remove(stream)
    await stream.aclose()
    scope.cancel()


async def test_drain_of_a_full_server_does_not_wait_for_the_backlog() -> None:
    """S23, B3: who waits is refused; the one who is served ends in order."""
    async with serving_tcp(limits=ONE, when_full="wait") as server:
        first = await connect(server)
        assert await ask(first, b"x") == b"x"
        waiting = [await connect(server) for _ in range(5)]
        with trio.fail_after(LIMIT):
            report = await server.drain()
        assert len(report.connections) == 1
        assert report.clean
        for stream in (first, *waiting):
            assert await read_all(stream) == b""
            await stream.aclose()
        assert server.statistics().refused[Refusal.FULL] == 5


async def test_errors_of_accept_cost_nobody_else_anything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S21: one peer's trouble is passed over; a shortage after others were accepted waits."""
    accept = socket.socket.accept
    failing = [errno.ECONNABORTED, 0, errno.EMFILE, errno.EPERM]

    def accept_or_fail(self: socket.socket) -> object:
        if failing and (number := failing.pop(0)):
            raise OSError(number, os.strerror(number))
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", accept_or_fail)
    async with serving_tcp() as server:
        # A socket of the listener's own keeps the run loop out until both are in the backlog.
        with socket.socket() as first, socket.socket() as second:
            address = server.addresses[0]
            assert isinstance(address, tuple)
            for peer in (first, second):
                peer.connect(address)
                peer.sendall(b"x\n")
            await until(lambda: len(server.connections) == 2)
            assert server.statistics().accept_errors == 0
    assert failing == []


async def test_drain_without_a_descriptor_left_says_what_it_could_not_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S21, S23: those in the backlog are lost, and the drain goes on."""

    def fail(self: socket.socket) -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with serving_tcp() as server, await connect(server) as stream:
        assert await ask(stream, b"x") == b"x"
        monkeypatch.setattr(socket.socket, "accept", fail)
        report = await server.drain()
        assert len(report.connections) == 1
    assert any("Too many open files" in record.getMessage() for record in caplog.records)


async def test_one_peer_has_a_bound_of_its_own() -> None:
    """S20: another host still comes in, and so does this one when it has left."""
    limits = ServerLimits(max_connections_per_peer=2, linger_timeout=0.2)
    async with serving_tcp(host="127.0.0.1", limits=limits) as server:
        streams = [await connect(server) for _ in range(2)]
        for stream in streams:
            assert await ask(stream, b"x") == b"x"
        async with await connect(server) as third:
            assert await read_all(third) == b""
        assert server.statistics().refused[Refusal.PEER] == 1
        async with await trio.open_tcp_stream(
            "127.0.0.1", server.port, local_address="127.0.0.2"
        ) as other:
            assert await ask(other, b"x") == b"x"
        server.limits = attrs.evolve(limits, max_connections_per_peer=3)
        streams.append(await connect(server))
        assert await ask(streams[2], b"x") == b"x"
        for stream in streams:
            await stream.aclose()
        await until(lambda: not server.connections)
        async with await connect(server) as again:
            assert await ask(again, b"x") == b"x"


async def test_peers_on_a_unix_socket_are_not_one_peer(tmp_path: Path) -> None:
    """S20: they cannot be told apart."""
    path = tmp_path / "socket"
    limits = ServerLimits(max_connections_per_peer=1, linger_timeout=0.2)
    async with serving_tcp(serve=serve_unix, where=path, limits=limits):
        streams = [await trio.open_unix_socket(path) for _ in range(3)]
        for stream in streams:
            assert await ask(stream, b"x") == b"x"
            await stream.aclose()


@pytest.mark.parametrize("when_full", ["close", "wait", b"full\n"])
async def test_cancelled_while_full_it_leaves_nothing(
    when_full: Literal["close", "wait"] | bytes,
) -> None:
    """S23, B6: neither of those it serves nor of those it refuses."""
    streams: list[trio.SocketStream] = []
    async with trio.open_nursery() as nursery:
        serve = partial(
            serve_listeners, echo, LineCodec(), await listen(0), limits=ONE, when_full=when_full
        )
        server = await nursery.start(serve)
        streams.append(await connect(server))
        assert await ask(streams[0], b"x") == b"x"
        streams += [await connect(server) for _ in range(20)]
        nursery.cancel_scope.cancel()
    for stream in streams:
        await stream.aclose()
