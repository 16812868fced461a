"""Bounds on those who wait, and what a client says to those who use it wrongly."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Client,
    ConnectTimeoutError,
    LineCodec,
    LocalProtocolError,
    PoolBusyError,
    StreamEndpoint,
    TCPEndpoint,
    UnixEndpoint,
)

from .client_peers import NOTHING, Peers, client_of, counts, outcomes


async def test_max_waiting() -> None:
    """S13: the (n+1)th that would wait is refused; those before it are served."""
    peers = Peers(closed=True)
    async with client_of(peers, max_connections=1, max_waiting=2) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"a")
            nursery.start_soon(client.send, b"b")
            await wait_all_tasks_blocked()
            for call in (partial(client.send, b"c"), client.bootstrap):
                with pytest.raises(PoolBusyError, match="2 senders wait"):
                    await call()
            assert counts(client) == (0, 1, 1, 2)
            peers.open()
        assert sorted(await peers.read_lines(0, 2)) == [b"a", b"b"]
        await client.send(b"c")


async def test_a_cancelled_waiter_makes_room_for_another() -> None:
    """S13, B6: the count is of those who wait."""
    peers = Peers(closed=True)
    async with client_of(peers, max_connections=1, max_waiting=1) as client:
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, b"a")
                await wait_all_tasks_blocked()
                assert counts(client) == (0, 1, 1, 1)
                nursery.cancel_scope.cancel()


async def test_max_waiting_does_not_keep_anyone_from_a_live_connection() -> None:
    """S13, S15: where nobody may wait, the busy connection is used and the pool does not grow."""
    peers = Peers(lockstep=True)
    async with client_of(peers, max_waiting=0, min_connections=1) as client:
        await wait_all_tasks_blocked()
        for message in (b"a", b"b", b"c"):
            await client.send(message)
        assert await peers.read_lines(0, 3) == [b"a", b"b", b"c"]
        assert len(peers.attempts) == 1


async def test_waiting_for_a_place_that_never_comes(autojump_clock: MockClock) -> None:
    """S17: where a handler stays on a connection that has ended, a write is told in time."""
    peers = Peers()

    async def handle(connection: Any) -> None:
        await trio.sleep_forever()

    async with client_of(peers, handler=handle, max_connections=1) as client:
        await client.send(b"a")
        await peers.streams[0].send_eof()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        with pytest.raises(ConnectTimeoutError, match="no connection became free within 10 s"):
            await client.send(b"b")
        assert trio.current_time() - began == pytest.approx(10)
        client.close_all()


async def test_a_message_that_cannot_be_encoded() -> None:
    """S6: the error is its author's; the connection and the others' messages live."""
    peers = Peers()
    async with client_of(peers) as client:
        found = await outcomes(
            *[partial(client.send, line) for line in (b"a", b"two\nlines", b"b")]
        )
        assert isinstance(found[1], LocalProtocolError)
        assert found[0] is found[2] is None
        await client.send(b"c")
        assert client.statistics().pool.messages_accepted == 3
        assert client.statistics().pool.ended == {}


async def test_outside_its_block() -> None:
    """S16: before the block nothing works, and nothing is counted."""
    peers = Peers()
    client = client_of(peers, max_connections=3)
    assert client.limits.max_connections == 3
    for call in (partial(client.send, b"a"), client.bootstrap, client.receive):
        with pytest.raises(RuntimeError, match="async with"):
            await call()
    assert counts(client) == NOTHING
    async with client:
        await client.send(b"a")


async def test_entered_twice() -> None:
    """S16: within its block and after."""
    client = client_of(Peers())
    async with client:
        with pytest.raises(RuntimeError, match="once"):
            await client.__aenter__()
    with pytest.raises(RuntimeError, match="once"):
        await client.__aenter__()


@pytest.mark.parametrize(
    ("where", "options", "error"),
    [
        ("localhost", {}, TypeError),
        (TCPEndpoint("localhost", 1), {"port": 1}, TypeError),
        (UnixEndpoint("/tmp/socket"), {"ssl_context": object()}, TypeError),
        ([], {}, ValueError),
        (("localhost", 7000), {}, TypeError),
        (b"localhost", {"port": 1}, TypeError),
        (7000, {}, TypeError),
    ],
)
def test_where_to(where: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """S26: a mistake is told when the client is made."""
    with pytest.raises(error):
        Client(LineCodec(), where, **options)


@pytest.mark.parametrize(
    ("host", "port"), [("localhost", -1), ("localhost", 65536), ("localhost", "80"), (b"host", 80)]
)
def test_what_no_port_is(host: Any, port: Any) -> None:
    """S26: nor a host."""
    with pytest.raises((TypeError, ValueError)):
        TCPEndpoint(host, port)


def test_endpoints_as_people_read_them() -> None:
    """S26, W36: in errors and logs."""
    assert str(TCPEndpoint("localhost", 80)) == "localhost:80"
    assert str(TCPEndpoint("::1", 80)) == "[::1]:80"
    assert str(UnixEndpoint("/run/socket")) == "/run/socket"
    assert str(StreamEndpoint(Peers().connect, "a proxy")) == "a proxy"
