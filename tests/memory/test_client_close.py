"""How a client ends (row S23), and what its block raises."""

from __future__ import annotations

import contextlib
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    Cause,
    Connection,
    ConnectionClosedError,
    DrainTimeouts,
    Phase,
    PoolClosedError,
)

from .client_peers import NOTHING, Peers, Recording, client_of, counts, outcomes


def tasks_of_this_test() -> int:
    """Count the tasks below the current one."""
    pending = list(trio.lowlevel.current_task().child_nurseries)
    found = 0
    while pending:
        for task in pending.pop().child_tasks:
            found += 1
            pending.extend(task.child_nurseries)
    return found


async def test_leaving_the_block_sends_what_was_accepted() -> None:
    """S23: drained, each hook run once, no task and no stream left."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol, max_connections=2) as client:
        for number in range(6):
            await client.send(b"%d" % number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            lines = await peers.read_rest(0) + await peers.read_rest(1)
        assert sorted(lines.split()) == [b"%d" % number for number in range(6)]
        assert counts(client) == NOTHING
        assert tasks_of_this_test() == 0
    assert tasks_of_this_test() == 0
    assert peers.connected == 0
    assert len(protocol.closed) == 2
    assert protocol.purged == []


async def test_the_report() -> None:
    """S23, B3: what became of each connection; a second call is a no-op with the same report."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.send(b"a")
        first, second = await outcomes(client.aclose, client.aclose)
        assert first is second
        assert await client.aclose() is first
        [drained] = (await client.aclose()).connections
        assert drained.cause is Cause.DONE
        assert drained.unsent == 0
        assert drained.phase in (Phase.GOODBYE, Phase.WAIT)
        assert (await client.aclose()).clean


async def test_after_the_close(autojump_clock: MockClock) -> None:
    """S23: whatever is asked of a closed client raises, within its block and after."""
    peers = Peers()
    async with client_of(peers, min_connections=2) as client:
        await client.send(b"a")
        await client.aclose()
        for _ in range(2):
            for call in (partial(client.send, b"b"), client.receive, client.bootstrap):
                with pytest.raises(PoolClosedError):
                    await call()
        await trio.sleep(100)
        assert counts(client) == NOTHING  # The minimum is kept no more.
    for call in (partial(client.send, b"b"), client.receive, client.bootstrap):
        with pytest.raises(PoolClosedError):
            await call()
    assert (await client.aclose()).clean
    client.close_all()
    assert len(peers.attempts) == 2


async def test_those_who_wait_are_told(mock_clock: MockClock) -> None:
    """S23: senders that wait for a connection or for room, and receivers, at once."""
    peers = Peers(lockstep=True)
    async with client_of(
        peers, max_connections=1, max_outbox_messages=1, connect_attempts=1
    ) as client:
        await client.send(b"fills the outbox")
        sends = [partial(client.send, message) for message in (b"b", b"c")]
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                found = await outcomes(*sends, client.receive)
                assert {type(error) for error in found} == {PoolClosedError}

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            client.close_all()
            await client.aclose()


async def test_what_is_being_opened_is_given_up(mock_clock: MockClock) -> None:
    """S23: a close does not wait for connects, and who waits for them is told."""
    peers = Peers(closed=True)
    async with client_of(peers) as client:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                sends = [partial(client.send, b"a") for _ in range(3)]
                found = await outcomes(*sends)
                assert {type(error) for error in found} == {PoolClosedError}

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 3, 3, 3)
            await client.aclose()
            assert counts(client) == (0, 0, 0, 0)
        assert peers.connecting == 0
        assert client.statistics().opens_failed == 0


@pytest.mark.parametrize("fails", [False, True], ids=["left", "raises"])
async def test_replies_that_nobody_takes(mock_clock: MockClock, *, fails: bool) -> None:
    """S23: they hold up no close, and are not there afterwards."""
    peers = Peers()
    client = client_of(peers)
    with contextlib.suppress(ValueError):
        async with client:
            await client.bootstrap()
            for _ in range(3):
                await peers.say(0, b"a\n")
                await wait_all_tasks_blocked()
            assert (await client.receive()).message == b"a"
            await wait_all_tasks_blocked()
            if fails:
                raise ValueError
    assert counts(client) == NOTHING
    assert peers.connected == 0


async def test_a_handler_that_does_not_end(autojump_clock: MockClock) -> None:
    """S23: cut at the deadline of the drain."""
    peers = Peers()

    async def handle(connection: Connection[bytes]) -> None:
        await trio.sleep_forever()

    async with client_of(peers, handler=handle) as client:
        await client.send(b"a")
        began = trio.current_time()
        report = await client.aclose(DrainTimeouts(goodbye=1, wait=3))
        assert trio.current_time() - began == pytest.approx(3)
        assert report.cut == 1


async def test_a_close_that_is_cancelled_can_be_repeated(autojump_clock: MockClock) -> None:
    """S23, B6: the second call ends what the first began."""
    peers = Peers()

    async def handle(connection: Connection[bytes]) -> None:
        await trio.sleep_forever()

    async with client_of(peers, handler=handle) as client:
        await client.send(b"a")
        with trio.move_on_after(1) as scope:
            await client.aclose()
        assert scope.cancelled_caught
        assert counts(client) == (1, 0, 0, 0)
        with pytest.raises(PoolClosedError):
            await client.send(b"b")
        await client.aclose(DrainTimeouts(goodbye=0, wait=0))
        assert counts(client) == NOTHING


@pytest.mark.parametrize(
    "error",
    [ValueError("a"), KeyError(1), StopAsyncIteration(), StopIteration(), SystemExit(3)],
    ids=repr,
)
async def test_the_block_raises_plainly(mock_clock: MockClock, error: BaseException) -> None:
    """S23: the very exception, without a group around it, and without waiting for a drain."""
    peers, protocol = Peers(lockstep=True), Recording()
    caught: BaseException | None = None
    client = client_of(peers, protocol=protocol)
    try:
        async with client:
            await client.send(b"in doubt")
            await wait_all_tasks_blocked()
            await client.send(b"opens another")
            raise error
    except BaseException as raised:
        caught = raised
    assert caught is error
    assert counts(client) == NOTHING
    assert peers.connected == 0
    assert len(protocol.closed) == 2
    with pytest.raises(PoolClosedError):
        await client.send(b"b")


async def test_a_cancelled_block_does_not_drain(mock_clock: MockClock) -> None:
    """S23: it closes at once; a task outside that waits is told."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with client_of(
                peers, protocol=protocol, max_connections=1, max_outbox_messages=1
            ) as client:
                await client.send(b"in doubt")
                await wait_all_tasks_blocked()

                async def outside() -> None:
                    with pytest.raises(PoolClosedError):
                        await client.send(b"b")

                nursery.start_soon(outside)
                await wait_all_tasks_blocked()
                scope.cancel()
                await trio.sleep_forever()
        assert counts(client)[:3] == (0, 0, 0)
        assert peers.connected == 0
        assert len(protocol.closed) == 1


async def test_a_cancelled_block_that_takes_its_time(mock_clock: MockClock) -> None:
    """S23, B6: from the cancellation on nobody begins connections that cannot be."""
    peers = Peers(closed=True)
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with client_of(peers) as client:

                async def outside() -> None:
                    with pytest.raises(PoolClosedError):
                        await client.send(b"b")

                nursery.start_soon(outside)
                await wait_all_tasks_blocked()
                scope.cancel()
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                    assert counts(client) == NOTHING
                    assert len(peers.attempts) == 1
                await client.send(b"late")  # Cancelled, like everything here: no other error.
        assert scope.cancelled_caught


async def test_a_handlers_error_can_end_the_block() -> None:
    """S22: with propagate_errors it comes out plain; without, it ends its connection alone."""
    peers = Peers()

    async def handle(connection: Connection[bytes]) -> None:
        await connection.receive()
        raise LookupError("in the handler")

    async def block() -> None:
        async with client:
            await client.send(b"a")
            await peers.say(0, b"answer\n")
            await trio.sleep_forever()

    client = client_of(peers, handler=handle, propagate_errors=True)
    with pytest.raises(LookupError, match="in the handler"):
        await block()
    assert counts(client) == NOTHING


async def test_a_handlers_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """S22: with its traceback, by the client's logger; the pool goes on."""
    peers = Peers()

    async def handle(connection: Connection[bytes]) -> None:
        await connection.receive()
        raise LookupError("in the handler")

    async with client_of(peers, handler=handle) as client:
        await client.send(b"a")
        await peers.say(0, b"answer\n")
        await wait_all_tasks_blocked()
        assert client.statistics().pool.ended == {Cause.HANDLER_ERROR: 1}
        await client.send(b"b")
        assert await peers.read(1) == b"b\n"
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.name == "snowtrio.client"
    assert "in the handler" in caplog.text


async def test_close_all_keeps_the_client() -> None:
    """S24: what is there is cut, the next write opens another."""
    peers, protocol = Peers(lockstep=True), Recording()
    async with client_of(peers, protocol=protocol) as client:
        for message in (b"a", b"b", b"c"):
            await client.send(message)
        client.close_all()
        assert client.connections == []
        await wait_all_tasks_blocked()
        assert counts(client) == NOTHING
        assert client.statistics().pool.ended == {Cause.DROPPED: 3}
        await client.send(b"d")
        assert await peers.read(3) == b"d\n"


async def test_a_closed_connection_is_replaced() -> None:
    """S23: a user who closes one of the pool's connections closes that one alone."""
    peers = Peers()
    async with client_of(peers) as client:
        await client.send(b"a")
        [connection] = client.connections
        await connection.aclose()
        with pytest.raises(ConnectionClosedError):
            await connection.send(b"x")
        await client.send(b"b")
        assert await peers.read(1) == b"b\n"
