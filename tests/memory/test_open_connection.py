"""One connection without a pool: ``open_connection``."""

from __future__ import annotations

import errno

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    ClientLimits,
    ConnectError,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HandshakeError,
    HandshakeTimeoutError,
    LineCodec,
    Protocol,
    open_connection,
)

from .client_peers import Peers, Recording

QUICK = ClientLimits(linger_timeout=0)


class Refusing(Recording):
    """Does not like the peer."""

    async def handshake(self, side: object, stream: object) -> None:
        raise PermissionError("wrong password")


class Stalling(Recording):
    """Never comes to an end with its handshake."""

    async def handshake(self, side: object, stream: object) -> None:
        await trio.sleep_forever()


async def enter(protocol: Protocol[bytes], peers: Peers, limits: ClientLimits = QUICK) -> None:
    async with open_connection(protocol, peers.endpoint, limits=limits):
        raise AssertionError("the block was entered")


async def test_in_order() -> None:
    """Z1: leaving the block sends what was accepted, and closes; each hook ran once."""
    peers, protocol = Peers(), Recording()
    async with open_connection(protocol, peers.endpoint, limits=QUICK) as connection:
        await connection.send(b"a")
        await peers.say(0, b"answer\n")
        assert await connection.receive() == b"answer"
        for _ in range(5):
            await connection.send(b"b")
    assert await peers.read_rest(0) == b"a\n" + 5 * b"b\n"
    assert protocol.closed == [connection]
    assert connection.ending is not None
    assert connection.ending.cause is Cause.DONE
    assert peers.connected == 0


async def test_closed_within_the_block() -> None:
    """S10: by its user, who may also leave the block then."""
    peers, protocol = Peers(), Recording()
    async with open_connection(protocol, peers.endpoint, limits=QUICK) as connection:
        await connection.aclose()
        with pytest.raises(ConnectionClosedError):
            await connection.send(b"a")
    assert connection.ending is not None
    assert connection.ending.cause is Cause.CLOSED
    assert protocol.closed == [connection]


async def test_the_peer_leaves_within_the_block() -> None:
    """S10: the block goes on, and is told when it uses the connection."""
    peers, protocol = Peers(), Recording()
    async with open_connection(protocol, peers.endpoint, limits=QUICK) as connection:
        await peers.streams[0].aclose()
        with pytest.raises(trio.EndOfChannel):
            await connection.receive()
        await wait_all_tasks_blocked()
        peers.theirs[0].break_now()
        await connection.send(b"a")
        await wait_all_tasks_blocked()
        with pytest.raises(ConnectionLostError):
            await connection.send(b"b")
    assert protocol.closed == [connection]


@pytest.mark.parametrize(
    "error", [ValueError("a"), StopAsyncIteration(), KeyboardInterrupt()], ids=repr
)
async def test_the_block_raises_plainly(mock_clock: MockClock, error: BaseException) -> None:
    """S23: the very exception; the connection closes at once, nothing is waited for."""
    peers, protocol = Peers(lockstep=True), Recording()
    caught: BaseException | None = None
    try:
        async with open_connection(protocol, peers.endpoint) as connection:
            await connection.send(b"in doubt")
            await wait_all_tasks_blocked()
            await connection.send(b"purged")
            raise error
    except BaseException as raised:
        caught = raised
    assert caught is error
    assert peers.connected == 0
    assert protocol.purged == [b"purged"]


async def test_a_cancelled_block_closes_at_once(mock_clock: MockClock) -> None:
    """B6: as Trio's rule is."""
    peers, protocol = Peers(lockstep=True), Recording()
    with trio.CancelScope() as scope:
        async with open_connection(protocol, peers.endpoint) as connection:
            await connection.send(b"in doubt")
            await wait_all_tasks_blocked()
            scope.cancel()
            await connection.receive()
    assert scope.cancelled_caught
    assert peers.connected == 0
    assert len(protocol.closed) == 1


async def test_connecting_fails(autojump_clock: MockClock) -> None:
    """P4: plainly, after one attempt, whatever the limits say of a pool's attempts."""
    peers = Peers()
    peers.always = ConnectionRefusedError(errno.ECONNREFUSED, "no")
    with pytest.raises(ConnectRefusedError) as caught:
        await enter(Recording(), peers, ClientLimits(connect_attempts=5))
    assert caught.value.__cause__ is peers.always
    assert caught.value.causes == (peers.always,)
    assert len(peers.attempts) == 1
    assert isinstance(caught.value, ConnectError)


async def test_nobody_answers(autojump_clock: MockClock) -> None:
    """P4: a timeout, in time, with nothing left behind."""
    peers = Peers(closed=True)
    began = trio.current_time()
    with pytest.raises(ConnectTimeoutError, match="within 3 seconds"):
        await enter(Recording(), peers, ClientLimits(connect_timeout=3))
    assert trio.current_time() - began == pytest.approx(3)
    assert peers.connecting == 0


async def test_the_handshake_fails() -> None:
    """S8: its reason is the cause; closed, without a hook."""
    peers, protocol = Peers(), Refusing()
    with pytest.raises(HandshakeError, match="wrong password") as caught:
        await enter(protocol, peers)
    assert isinstance(caught.value.__cause__, PermissionError)
    assert peers.connected == 0
    assert protocol.closed == []


async def test_the_handshake_stalls(autojump_clock: MockClock) -> None:
    """S9: cut in time."""
    peers, protocol = Peers(), Stalling()
    with pytest.raises(HandshakeTimeoutError):
        await enter(protocol, peers, ClientLimits(handshake_timeout=2))
    assert peers.connected == 0
    assert protocol.closed == []


async def test_a_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """S22: it does not come between the block and what follows it."""

    class Failing(Recording):
        async def close(self, connection: Connection[bytes]) -> None:
            raise ZeroDivisionError("in the hook")

    peers = Peers()
    async with open_connection(Failing(), peers.endpoint, limits=QUICK) as connection:
        await connection.send(b"a")
    assert "in the hook" in caplog.text


async def test_a_bare_codec() -> None:
    """S25: is a protocol."""
    peers = Peers()
    async with open_connection(LineCodec(), peers.endpoint, limits=QUICK) as connection:
        await connection.send(b"a")
        assert await peers.read(0) == b"a\n"
        assert connection.context is None
