"""Requests with many replies, and messages that answer nothing."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import (
    ById,
    ConnectionLostError,
    InOrder,
    RequestClient,
    RequestInDoubtError,
    RequestNotSentError,
    WhenCancelled,
    WhenSlow,
)

from .asking import Asked, asking, start
from .client_peers import Peers

IN_ORDER: InOrder[bytes, bytes] = InOrder(is_push=lambda message: message.startswith(b"push"))
BY_FIRST: ById[bytes, bytes] = ById(lambda request: request[:1], lambda reply: reply[:1])


def ends(reply: bytes) -> bool:
    return reply.endswith(b"end")


async def take_all(client: Any, message: bytes, got: list[bytes]) -> None:
    async with client.stream(message, ends=ends) as replies:
        async for reply in replies:
            got.append(reply)


async def flood(peers: Peers, line: bytes) -> int:
    """Send lines until the client takes no more; return how many bytes of them it took."""
    end = peers.theirs[0]
    before, data = end.received, line * 64
    # What the peer has sent waits in memory: `received` is what was read of it.
    end.chunk_size = 4096
    for _ in range(200):
        await peers.say(0, data)
    await trio.testing.wait_all_tasks_blocked()
    return end.received - before


async def test_a_stream_up_to_its_last_reply(autojump_clock: trio.testing.MockClock) -> None:
    """S14: the replies of one request come in order, the last one too; others wait behind them."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        got: list[bytes] = []
        async with trio.open_nursery() as nursery:
            await start(nursery, partial(take_all, client, b"many", got))
            after = await start(nursery, lambda: client.request(b"one"))
            assert await peers.read_lines(0, 2) == [b"many", b"one"]
            for byte in b"1\n2\nend\nreply\n":
                await peers.say(0, b"%c" % byte)
        assert got == [b"1", b"2", b"end"]
        assert after.result == b"reply"
        found = client.statistics()
        assert (found.answered, found.in_flight) == (2, 0)


async def test_a_stream_that_nobody_takes_is_not_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13: from ``max_stream_replies`` on the bytes stay at the peer; taken, they come."""
    peers = Peers()
    async with asking(peers, max_connections=1, max_stream_replies=5) as client:
        async with client.stream(b"many", ends=ends) as replies:
            await trio.testing.wait_all_tasks_blocked()
            # One read is in the inbox and one may be behind it.
            assert await flood(peers, b"x\n") <= 3 * 4096
            await peers.say(0, b"end\n")
            assert [reply async for reply in replies] == [b"x"] * 64 * 200 + [b"end"]
        assert client.statistics().answered == 1


async def test_two_slow_streams_hold_their_connection_both(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S13: it is read again when there is room for all, not for the one that was full last."""
    peers = Peers()
    limits = {"max_connections": 1, "max_stream_replies": 4}
    async with (
        asking(peers, correlation=BY_FIRST, **limits) as client,
        client.stream(b"a", ends=ends) as slow,
        client.stream(b"b", ends=ends) as quick,
    ):
        await trio.testing.wait_all_tasks_blocked()
        peers.theirs[0].chunk_size = 64
        for _ in range(100):
            await peers.say(0, b"a\n" * 16 + b"b\n" * 16)
        with trio.move_on_after(10):
            async for _ in quick:
                pass
        held_at = peers.theirs[0].received
        assert held_at <= 5 * 64
        with trio.move_on_after(10):
            async for _ in slow:
                pass
        assert peers.theirs[0].received > held_at


async def test_what_fails_while_a_connection_is_held_ends_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B5: a failure in the read that fills a stream is not forgotten, and shifts no reply."""
    peers = Peers()

    def is_push(message: bytes) -> bool:
        if message == b"bad":
            raise RuntimeError("a predicate that fails")
        return False

    limits = {"max_connections": 1, "max_stream_replies": 2}
    async with asking(peers, correlation=InOrder(is_push=is_push), **limits) as client:
        async with trio.open_nursery() as nursery:
            got: list[bytes] = []

            async def slowly() -> None:
                async with client.stream(b"many", ends=ends) as replies:
                    await trio.sleep(5)
                    async for reply in replies:
                        got.append(reply)

            slow = await start(nursery, slowly)
            other = await start(nursery, lambda: client.request(b"other"))
            await peers.say(0, b"1\n2\nbad\nend\nnot the reply to other\n")
            await slow.done.wait()
            await other.done.wait()
        assert got == [b"1", b"2"]
        for asked in (slow, other):
            assert isinstance(asked.result, RequestInDoubtError)
            assert isinstance(asked.result.__cause__, RuntimeError)
        assert client.statistics().in_flight == 0


@pytest.mark.parametrize("when", list(WhenCancelled))
async def test_a_stream_that_is_left_early(
    when: WhenCancelled, autojump_clock: trio.testing.MockClock
) -> None:
    """B6: what is left of it is thrown away as it comes, or its connection is."""
    peers = Peers()
    limits = {"max_connections": 1, "max_stream_replies": 2}
    async with asking(peers, when_cancelled=when, **limits) as client:
        async with client.stream(b"many", ends=ends) as replies:
            await trio.testing.wait_all_tasks_blocked()
            await peers.say(0, b"1\n2\n3\n4\n")
            assert await anext(replies) == b"1"
        with pytest.raises(trio.ClosedResourceError):
            await anext(replies)
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"next"))
            last = len(peers.streams) - 1
            assert last == (when is WhenCancelled.CLOSE_CONNECTION)
            await peers.say(last, b"mine\n" if last else b"5\nend\nmine\n")
        assert asked.result == b"mine"
        found = client.statistics()
        assert (found.abandoned, found.replies_dropped) == (1, 1 - last)
        assert found.in_flight == 0


async def test_a_stream_that_breaks(autojump_clock: trio.testing.MockClock) -> None:
    """B5: the replies that came are taken first, then it raises."""
    for orderly in (True, False):
        peers = Peers()
        async with asking(peers, max_connections=1) as client:
            got: list[bytes] = []
            async with trio.open_nursery() as nursery:
                asked = await start(nursery, partial(take_all, client, b"many", got))
                await peers.say(0, b"1\n2\n")
                await trio.testing.wait_all_tasks_blocked()
                if orderly:
                    await peers.streams[0].aclose()
                else:
                    peers.theirs[0].break_now()
            assert got == [b"1", b"2"]
            assert isinstance(asked.result, RequestInDoubtError)
            assert isinstance(asked.result.__cause__, ConnectionLostError)


async def test_a_predicate_that_fails(autojump_clock: trio.testing.MockClock) -> None:
    """B5: from there on nobody knows which reply is whose: the connection ends."""
    peers = Peers()

    def failing(_: bytes) -> bool:
        raise ZeroDivisionError

    async def stream(client: RequestClient[bytes]) -> None:
        async with client.stream(b"many", ends=failing) as replies:
            async for _ in replies:
                pass

    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            one = await start(nursery, lambda: stream(client))
            other = await start(nursery, lambda: client.request(b"other"))
            await peers.say(0, b"1\n2\n")
        for asked in (one, other):
            assert isinstance(asked.result, RequestInDoubtError)
            assert isinstance(asked.result.__cause__, ZeroDivisionError)
        assert client.statistics().in_flight == 0


async def test_a_stream_is_not_silent_while_its_replies_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S17: each reply is a sign of life; and who does not read cannot call the peer silent."""
    peers = Peers()
    limits = {"max_connections": 1, "reply_timeout": 4.0, "max_stream_replies": 2}
    async with asking(peers, **limits) as client:
        async with client.stream(b"many", ends=ends) as replies:
            for _ in range(10):
                await trio.sleep(3)
                await peers.say(0, b"x\n")
                assert await anext(replies) == b"x"
            await peers.say(0, b"1\n2\n")
            await trio.sleep(60)
            assert [await anext(replies), await anext(replies)] == [b"1", b"2"]
            await trio.sleep(3)
            await peers.say(0, b"end\n")
            assert [reply async for reply in replies] == [b"end"]
        async with client.stream(b"many", ends=ends) as replies:
            with pytest.raises(RequestInDoubtError, match="4 seconds"):
                await anext(replies)


# Messages that answer nothing


async def pushes_of(client: RequestClient[bytes]) -> list[bytes]:
    got: list[bytes] = []
    with contextlib.suppress(trio.WouldBlock):
        while True:
            got.append(client.pushes.receive_nowait())
    return got


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (WhenSlow.DROP_OLDEST, [b"push 3", b"push 4"]),
        (WhenSlow.DROP_NEWEST, [b"push 1", b"push 2"]),
        (WhenSlow.DISCONNECT, [b"push 1", b"push 2"]),
    ],
)
async def test_pushes_that_nobody_takes(
    policy: WhenSlow, kept: list[bytes], autojump_clock: trio.testing.MockClock
) -> None:
    """B8: beyond ``max_pushes`` the oldest or the newest is thrown away, or the connection cut."""
    peers = Peers()
    options: dict[str, Any] = {"correlation": IN_ORDER, "when_pushes_wait": policy}
    async with asking(peers, max_connections=1, max_pushes=2, **options) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            await peers.say(0, b"push 1\npush 2\npush 3\npush 4\n")
            await trio.testing.wait_all_tasks_blocked()
            if policy is not WhenSlow.DISCONNECT:
                await peers.say(0, b"reply\n")
        if policy is WhenSlow.DISCONNECT:
            assert isinstance(asked.result, RequestInDoubtError)
            assert "came unasked" in str(asked.result)
        else:
            assert asked.result == b"reply"
        assert await pushes_of(client) == kept
        found = client.statistics()
        assert (found.pushes, found.pushes_dropped) == (4, 2)


async def test_pushes_that_wait(autojump_clock: trio.testing.MockClock) -> None:
    """B8: the connection is not read until some are taken, and no reply behind them is lost."""
    peers = Peers()
    options: dict[str, Any] = {"correlation": IN_ORDER, "when_pushes_wait": WhenSlow.WAIT}
    limits = {"max_connections": 1, "max_pushes": 2, "reply_timeout": 4.0}
    async with asking(peers, **limits, **options) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            assert await flood(peers, b"push\n") <= 3 * 4096
            await peers.say(0, b"reply\n")
            await trio.sleep(100)
            assert not asked.done.is_set()
            for _ in range(64 * 200):
                assert await client.pushes.receive() == b"push"
            await asked.done.wait()
        assert asked.result == b"reply"
        assert client.statistics().pushes_dropped == 0


async def test_pushes_end_with_the_client(autojump_clock: trio.testing.MockClock) -> None:
    """S23: who takes them is told when the client is closed, also from within its block."""
    peers = Peers()
    async with asking(peers, correlation=IN_ORDER, max_connections=1) as client:
        await client.bootstrap()
        got: list[bytes] = []

        async def take() -> None:
            async for message in client.pushes:
                got.append(message)

        async with trio.open_nursery() as nursery:
            taking = [await start(nursery, take) for _ in range(2)]
            await peers.say(0, b"push 1\npush 2\n")
            await trio.testing.wait_all_tasks_blocked()
            with trio.fail_after(100):
                await client.aclose()
                for each in taking:
                    await each.done.wait()
        assert sorted(got) == [b"push 1", b"push 2"]
        with pytest.raises(trio.EndOfChannel):
            await client.pushes.receive()


async def test_a_cancelled_taker_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """B6: cancelled while it waits, or when a message comes, the message is there for others."""
    peers = Peers()
    async with asking(peers, correlation=IN_ORDER, max_connections=1) as client:
        await client.bootstrap()
        async with trio.open_nursery() as nursery:
            taking = [await start(nursery, client.pushes.receive) for _ in range(3)]
            taking[0].scope.cancel()
            await peers.say(0, b"push 1\npush 2\n")
            await trio.testing.wait_all_tasks_blocked()
        assert sorted(each.result for each in taking[1:]) == [b"push 1", b"push 2"]


async def test_a_stream_whose_request_cannot_be_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B5: a stream that breaks before its request was sent says so."""
    peers = Peers(lockstep=True)
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            first = await start(nursery, lambda: client.request(b"a"))
            got: list[bytes] = []
            asked: Asked = await start(nursery, partial(take_all, client, b"many", got))
            peers.theirs[0].break_now()
        assert isinstance(first.result, RequestInDoubtError)
        assert isinstance(asked.result, RequestNotSentError)
        assert got == []
