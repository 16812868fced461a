"""What a client does when it cannot connect (rows S17, P4 and B13)."""

from __future__ import annotations

import errno
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HostUnreachableError,
)

from .client_peers import NOTHING, Peers, client_of, counts, outcomes

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
NO_ROUTE = OSError(errno.ENETUNREACH, "Network is unreachable")


async def test_the_write_raises_with_all_causes(autojump_clock: MockClock) -> None:
    """S17: as many attempts as allowed, and each of their failures."""
    peers = Peers()
    peers.failures.extend([NO_ROUTE, REFUSED, NO_ROUTE])
    async with client_of(peers) as client:
        with pytest.raises(ConnectRefusedError, match="peers: Connection refused") as caught:
            await client.send(b"a")
        assert caught.value.errno == errno.ECONNREFUSED
        assert caught.value.causes == (NO_ROUTE, REFUSED, NO_ROUTE)
        assert isinstance(caught.value.__cause__, ExceptionGroup)
        assert counts(client) == NOTHING
        assert client.statistics().opens_failed == 1


async def test_one_attempt_chains_its_cause() -> None:
    """S17: the error that the system gave is the cause."""
    peers = Peers()
    peers.failures.append(NO_ROUTE)
    async with client_of(peers, connect_attempts=1) as client:
        with pytest.raises(HostUnreachableError) as caught:
            await client.send(b"a")
        assert caught.value.__cause__ is NO_ROUTE


async def test_pauses_between_attempts(autojump_clock: MockClock) -> None:
    """S17: exponential backoff with jitter."""
    peers = Peers()
    peers.always = REFUSED
    async with client_of(peers, connect_attempts=5, backoff=1, max_backoff=3) as client:
        with pytest.raises(ConnectRefusedError):
            await client.send(b"a")
    pauses = [later - earlier for earlier, later in pairwise(peers.attempts)]
    for pause, longest in zip(pauses, [1, 2, 3, 3], strict=True):
        assert longest / 2 <= pause <= longest
    assert any(pause != longest for pause, longest in zip(pauses, [1, 2, 3, 3], strict=True))


async def test_a_later_attempt_succeeds(autojump_clock: MockClock) -> None:
    """S17: the write does not hear of attempts that failed before."""
    peers = Peers()
    peers.failures.extend([REFUSED, REFUSED])
    async with client_of(peers) as client:
        await client.send(b"a")
        assert await peers.read(0) == b"a\n"
        assert client.statistics().opens_failed == 0


async def test_the_deadline_holds_over_all_attempts(autojump_clock: MockClock) -> None:
    """S17: no attempt is begun that the deadline would cut; the rest of the time is not spent."""
    peers = Peers()
    peers.always = REFUSED
    async with client_of(
        peers, connect_attempts=1000, backoff=1, max_backoff=1, connect_timeout=10
    ) as client:
        began = trio.current_time()
        with pytest.raises(ConnectRefusedError) as caught:
            await client.send(b"a")
        assert 9 <= trio.current_time() - began <= 10
        assert len(caught.value.causes) == len(peers.attempts) >= 10


async def test_nobody_answers(autojump_clock: MockClock) -> None:
    """P4, S17: silence is a timeout, told from a refusal, within the deadline."""
    peers = Peers(closed=True)
    async with client_of(peers, connect_timeout=7) as client:
        began = trio.current_time()
        with pytest.raises(ConnectTimeoutError, match="no answer within 7 seconds") as caught:
            await client.send(b"a")
        assert trio.current_time() - began == pytest.approx(7)
        assert caught.value.errno == errno.ETIMEDOUT
        assert counts(client) == NOTHING
        assert peers.connecting == 0


async def test_silence_after_a_refusal(autojump_clock: MockClock) -> None:
    """S17: what came before the silence is among the causes, and says more."""
    peers = Peers()
    peers.failures.append(REFUSED)
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ConnectRefusedError) as caught:
                await client.send(b"a")
            assert caught.value.causes[0] is REFUSED
            assert isinstance(caught.value.causes[1], TimeoutError)

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        peers.close()


async def test_a_live_connection_is_used(autojump_clock: MockClock) -> None:
    """S17: without waiting for another attempt."""
    peers = Peers(lockstep=True)
    async with client_of(peers) as client:
        await client.send(b"a")
        peers.always = REFUSED
        began = trio.current_time()
        await client.send(b"b")
        assert trio.current_time() == began
        assert await peers.read_lines(0, 2) == [b"a", b"b"]
        assert len(peers.attempts) == 2


async def test_the_next_write_tries_afresh(autojump_clock: MockClock) -> None:
    """S17: a failure is not remembered where no connection is open."""
    peers = Peers()
    peers.always = REFUSED
    async with client_of(peers) as client:
        for _ in range(3):
            with pytest.raises(ConnectRefusedError):
                await client.send(b"a")
        assert len(peers.attempts) == 9
        peers.always = None
        began = trio.current_time()
        await client.send(b"b")
        assert trio.current_time() == began
        assert await peers.read(0) == b"b\n"


async def test_a_failure_that_began_before_is_not_the_next_ones(autojump_clock: MockClock) -> None:
    """S17: who asks while an attempt is about to fail gets one of its own."""
    peers = Peers(closed=True)
    async with client_of(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:

            async def early() -> None:
                with pytest.raises(ConnectTimeoutError):
                    await client.send(b"early")

            nursery.start_soon(early)
            await trio.sleep(9.9)
            nursery.start_soon(client.send, b"late")
            await trio.sleep(1)
            assert counts(client) == (0, 1, 1, 1)
            peers.open()
        assert await peers.read(0) == b"late\n"


async def test_nobody_waits_much_longer_than_the_deadline(autojump_clock: MockClock) -> None:
    """S17: whenever it asks, and whatever others begin, a sender is told in its own time."""
    peers = Peers(closed=True)

    async def send(delay: float) -> float:
        await trio.sleep(delay)
        began = trio.current_time()
        with pytest.raises(ConnectTimeoutError):
            await client.send(b"a")
        return trio.current_time() - began

    async with client_of(peers, max_connections=2) as client:
        found = await outcomes(*[lambda delay=d: send(delay) for d in range(60)])
        assert all(isinstance(seconds, float) and seconds <= 10.001 for seconds in found), found
        await trio.sleep(20)
        assert counts(client) == NOTHING
        assert peers.peak == 2


async def test_every_waiter_has_an_error_of_its_own(autojump_clock: MockClock) -> None:
    """S17: one failure, many tracebacks."""
    peers = Peers()
    peers.always = NO_ROUTE
    async with client_of(peers, max_connections=1) as client:
        found = await outcomes(*[lambda: client.send(b"a")] * 5)
        assert {type(error) for error in found} == {HostUnreachableError}
        assert len(set(map(id, found))) == 5
        assert all(isinstance(error, ConnectError) and len(error.causes) == 3 for error in found)
        assert len(peers.attempts) == 3


async def test_several_endpoints_fail_over() -> None:
    """B13: at once where one refuses; the one that worked is the first the next time."""
    dead, live = Peers(name="dead"), Peers(name="live")
    dead.always = REFUSED
    async with client_of(dead, live, max_connections=1) as client:
        await client.send(b"a")
        assert await live.read(0) == b"a\n"
        client.close_all()
        await wait_all_tasks_blocked()
        await client.send(b"b")
        assert await live.read(1) == b"b\n"
        assert len(dead.attempts) == 1
        client.close_all()
        await wait_all_tasks_blocked()
        dead.always, live.always = None, REFUSED
        await client.send(b"c")
        assert await dead.read(0) == b"c\n"


async def test_an_endpoint_that_hangs_leaves_time_for_the_others(
    autojump_clock: MockClock,
) -> None:
    """B13: each has its share of the deadline."""
    hangs, hangs_too, live = Peers(closed=True), Peers(closed=True), Peers()
    async with client_of(hangs, hangs_too, live, connect_timeout=9) as client:
        began = trio.current_time()
        await client.send(b"a")
        assert trio.current_time() - began == pytest.approx(6)
        assert await live.read(0) == b"a\n"
        assert hangs.connecting == hangs_too.connecting == 0


async def test_all_endpoints_fail(autojump_clock: MockClock) -> None:
    """B13, S17: the error names them all."""
    one, two = Peers(name="one"), Peers(name="two")
    one.always, two.always = NO_ROUTE, REFUSED
    async with client_of(one, two, connect_attempts=2) as client:
        with pytest.raises(ConnectRefusedError, match="cannot connect to one, two: ") as caught:
            await client.send(b"a")
        assert caught.value.causes == (NO_ROUTE, REFUSED, NO_ROUTE, REFUSED)


async def test_a_way_that_breaks(autojump_clock: MockClock) -> None:
    """S17: a proxy's broken stream is a failure to connect as well."""
    peers = Peers()
    peers.always = trio.BrokenResourceError("the proxy hung up")
    async with client_of(peers) as client:
        with pytest.raises(ConnectError, match="peers: the proxy hung up"):
            await client.send(b"a")
        assert len(peers.attempts) == 3


async def test_a_mistake_is_raised_as_it_is() -> None:
    """S17: what is no failure of the network is not tried again, and leaves the client usable."""
    peers = Peers()
    peers.failures.append(ZeroDivisionError("a bug"))
    async with client_of(peers) as client:
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await client.send(b"a")
        assert counts(client) == NOTHING
        await client.send(b"b")
        assert await peers.read(0) == b"b\n"
