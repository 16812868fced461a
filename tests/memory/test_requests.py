"""Requests and replies over a client's pool, whose far ends are in memory."""

from __future__ import annotations

import pytest
import trio

from snowtrio import (
    ById,
    ClientLimits,
    ConnectionClosedError,
    ConnectionLostError,
    JSONLinesCodec,
    LineCodec,
    RequestClient,
    RequestLimits,
    RequestNotSentError,
    Subscriber,
)

from .client_peers import Peers


async def test_replies_come_to_who_asked_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """S14: several requests on one connection get their replies in the order of the requests."""
    peers = Peers()
    replies: list[tuple[bytes, bytes]] = []

    async def ask(client: RequestClient[bytes], message: bytes) -> None:
        replies.append((message, await client.request(message)))

    limits = RequestLimits(max_connections=1)
    async with RequestClient(LineCodec(), peers.endpoint, limits=limits) as client:
        async with trio.open_nursery() as nursery:
            for message in (b"a", b"b", b"c"):
                nursery.start_soon(ask, client, message)
                await trio.testing.wait_all_tasks_blocked()
            assert await peers.read_lines(0, 3) == [b"a", b"b", b"c"]
            await peers.say(0, b"1\n2\n3\n")
        assert sorted(replies) == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
        statistics = client.statistics()
    assert (statistics.answered, statistics.in_flight, statistics.in_flight_peak) == (3, 0, 3)
    assert statistics.latency.count == 3


async def test_a_cancelled_request_shifts_no_reply(autojump_clock: trio.testing.MockClock) -> None:
    """B6: the reply to a cancelled request is dropped, and the next one's is its own."""
    peers = Peers()
    limits = RequestLimits(max_connections=1)
    async with RequestClient(LineCodec(), peers.endpoint, limits=limits) as client:
        with trio.move_on_after(1):
            await client.request(b"gone")
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert await client.request(b"here") == b"for here"

            nursery.start_soon(ask)
            assert await peers.read_lines(0, 2) == [b"gone", b"here"]
            await peers.say(0, b"for gone\nfor here\n")
        statistics = client.statistics()
    assert (statistics.abandoned, statistics.replies_dropped, statistics.answered) == (1, 1, 1)


async def test_replies_find_their_requests_by_id(autojump_clock: trio.testing.MockClock) -> None:
    """S14: with ids, replies may come in any order, and what has none is a push."""
    peers = Peers()
    correlation = ById[dict[str, object], dict[str, object]](
        lambda request: request["id"], lambda reply: reply.get("id")
    )
    client = RequestClient(
        JSONLinesCodec(),
        peers.endpoint,
        correlation=correlation,
        limits=RequestLimits(max_connections=1),
    )
    async with client:
        replies: dict[int, object] = {}

        async def ask(number: int) -> None:
            replies[number] = await client.request({"id": number})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 1)
            nursery.start_soon(ask, 2)
            await trio.testing.wait_all_tasks_blocked()
            await peers.read_lines(0, 2)
            await peers.say(0, b'{"push": 1}\n{"id": 2}\n{"id": 1}\n')
        assert replies == {1: {"id": 1}, 2: {"id": 2}}
        assert await client.pushes.receive() == {"push": 1}


async def test_a_session_that_is_over_asks_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """B6: after the block its connection is everybody's, so the session refuses to use it."""
    peers = Peers()
    async with RequestClient(LineCodec(), peers.endpoint) as client:
        async with client.session() as session:
            await session.notify(b"in")
        for ask in (session.request, session.notify):
            with pytest.raises(ConnectionClosedError, match="over"):
                await ask(b"after")
        assert client.statistics().in_flight == 0
        assert await peers.read_lines(0, 1) == [b"in"]


async def test_a_drain_does_not_wait_for_a_connection_that_was_cut(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B3: a session that raises cuts its connection; the reply that was due there never comes."""
    peers = Peers()
    async with RequestClient(LineCodec(), peers.endpoint) as client:
        with trio.move_on_after(1):
            async with client.session() as session:
                await session.request(b"in vain")
        began = trio.current_time()
        report = await client.aclose()
        assert trio.current_time() - began < 1
        assert report.cut == 0


async def test_the_end_of_a_sessions_connection_is_told_as_it_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B5: a session whose connection the peer has closed says that nothing was sent."""
    peers = Peers()
    async with RequestClient(LineCodec(), peers.endpoint) as client, client.session() as session:
        await peers.streams[0].aclose()
        await trio.sleep(10)
        with pytest.raises(RequestNotSentError, match="connection of this session has ended"):
            await session.request(b"late")
        with pytest.raises(ConnectionLostError, match="connection of this session has ended"):
            await session.notify(b"late")


def test_limits_of_another_kind_are_refused() -> None:
    """B7: who gives a pool's limits to a client of requests is told which ones it needs."""
    with pytest.raises(TypeError, match="must be RequestLimits, not ClientLimits"):
        RequestClient(LineCodec(), "localhost", 1, limits=ClientLimits())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be SubscriberLimits, not ClientLimits"):
        Subscriber(LineCodec(), "localhost", 1, limits=ClientLimits())  # type: ignore[arg-type]
