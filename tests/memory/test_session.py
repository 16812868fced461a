"""Exclusive use of one connection of a client of requests."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import (
    ConnectionClosedError,
    ConnectionLostError,
    InOrder,
    PoolClosedError,
    RequestInDoubtError,
    RequestNotSentError,
    Session,
    WhenSlow,
)

from .asking import Asked, asking, start, start_all
from .cancelling import cancelled_at, every_suspension
from .client_peers import Peers

IN_ORDER: InOrder[bytes, bytes] = InOrder(is_push=lambda message: message.startswith(b"push"))


async def test_nothing_of_others_comes_in_between(autojump_clock: trio.testing.MockClock) -> None:
    """S14: the requests of others wait, or go elsewhere, until the session is left."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            async with client.session() as session:
                one = await start(nursery, lambda: session.request(b"MULTI"))
                other = await start(nursery, lambda: client.request(b"GET"))
                two = await start(nursery, lambda: session.request_batch([b"SET", b"EXEC"]))
                assert await peers.read_lines(0, 3) == [b"MULTI", b"SET", b"EXEC"]
                await peers.say(0, b"1\n2\n3\n")
                await two.done.wait()
                assert not other.done.is_set()
            assert await peers.read_lines(0, 1) == [b"GET"]
            await peers.say(0, b"4\n")
        assert (one.result, two.result, other.result) == (b"1", [b"2", b"3"], b"4")
        assert client.statistics().in_flight == 0


async def test_it_waits_for_the_replies_to_others(autojump_clock: trio.testing.MockClock) -> None:
    """S14: the least busy connection is the session's once its requests are answered."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        entered = trio.Event()

        async def use() -> bytes:
            async with client.session() as session:
                entered.set()
                return await session.request(b"mine")

        async with trio.open_nursery() as nursery:
            before = await start_all(nursery, client, b"a", b"b")
            asked = await start(nursery, use)
            await peers.say(0, b"1\n")
            await trio.testing.wait_all_tasks_blocked()
            assert not entered.is_set()
            await peers.say(0, b"2\n")
            await trio.testing.wait_all_tasks_blocked()
            assert entered.is_set()
            await peers.say(0, b"3\n")
        assert [each.result for each in (*before, asked)] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("again", range(8))
async def test_who_is_let_in_with_it_goes_before_it_or_after(
    again: int, autojump_clock: trio.testing.MockClock
) -> None:
    """S14: given room in the same moment, another request does not come in between."""
    peers = Peers()
    async with asking(peers, max_connections=1, max_pending=2) as client:

        async def use() -> None:
            async with client.session() as session:
                for message in (b"mine 1", b"mine 2"):
                    await session.request(message)

        async with trio.open_nursery() as nursery:
            await start_all(nursery, client, b"a", b"b")
            await start(nursery, use)
            await start_all(nursery, client, b"other")
            assert await peers.read_lines(0, 2) == [b"a", b"b"]
            await peers.say(0, b"1\n2\n")
            got: list[bytes] = []
            while len(got) < 3:
                got += await peers.read_lines(0, 1)
                await peers.say(0, b"x\n")
            assert got.index(b"mine 2") - got.index(b"mine 1") == 1


async def test_cancelled_while_it_waits_for_others(autojump_clock: trio.testing.MockClock) -> None:
    """B6: they do not suffer: their connection stays, and is everybody's again."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:

        async def use() -> None:
            async with client.session():
                raise AssertionError

        async with trio.open_nursery() as nursery:
            before = await start_all(nursery, client, b"a")
            asked = await start(nursery, use)
            behind = await start(nursery, lambda: client.request(b"b"))
            asked.scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert await peers.read_lines(0, 2) == [b"a", b"b"]
            await peers.say(0, b"1\n2\n")
        assert (before[0].result, behind.result) == (b"1", b"2")
        assert peers.connected == 1


@pytest.mark.parametrize(
    "end", ["well", "not kept", "raised", "cancelled", "open request", "notice"]
)
async def test_what_becomes_of_the_connection(
    end: str, autojump_clock: trio.testing.MockClock
) -> None:
    """S14, B6: it goes back to the others, unless nobody knows what is under way on it."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:

        async def use() -> None:
            async with client.session() as session:
                with trio.move_on_after(1):
                    await session.request(b"a")
                if end == "raised":
                    raise KeyError
                if end == "cancelled":
                    await trio.sleep_forever()
                if end == "open request":
                    with trio.move_on_after(1):
                        await session.request(b"b")
                if end == "notice":
                    await session.notify(b"told")
                session.keep = end != "not kept"

        async with trio.open_nursery() as nursery:
            asked = await start(nursery, use)
            await peers.say(0, b"1\n")
            await trio.testing.wait_all_tasks_blocked()
            asked.scope.cancel() if end == "cancelled" else None
            await asked.done.wait()
            await trio.testing.wait_all_tasks_blocked()
        assert peers.connected == (end in ("well", "notice"))
        if end == "notice":
            assert await peers.read_lines(0, 2) == [b"a", b"told"]
        assert client.statistics().in_flight == 0


async def test_its_connection_breaks(autojump_clock: trio.testing.MockClock) -> None:
    """S18, B5: its requests fail and do not move, even where those of others would."""
    peers = Peers(lockstep=True)
    async with asking(peers, max_connections=1, move_unsent=True) as client:
        async with trio.open_nursery() as nursery:
            async with client.session() as session:
                sent = await start(nursery, lambda: session.request(b"a"))
                peers.theirs[0].break_now()
                await sent.done.wait()
                with pytest.raises(RequestNotSentError):
                    await session.request(b"b")
                with pytest.raises(ConnectionLostError):
                    await session.notify(b"c")
                assert client.statistics().in_flight == 0
            assert isinstance(sent.result, RequestInDoubtError)
            again = await start(nursery, lambda: client.request(b"d"))
            assert await peers.read_lines(1, 1) == [b"d"]
            await peers.say(1, b"1\n")
        assert again.result == b"1"


async def test_unsent_requests_of_a_session_do_not_move(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S18: "none of them ever moves to another one", not even those that were not sent."""
    peers = Peers(lockstep=True)
    async with asking(peers, max_connections=1, move_unsent=True) as client:
        async with trio.open_nursery() as nursery, client.session() as session:
            asked = [
                await start(nursery, partial(session.request, message))
                for message in (b"a", b"b", b"c")
            ]
            peers.theirs[0].break_now()
            with trio.fail_after(100):
                for each in asked:
                    await each.done.wait()
        for each in asked:
            assert isinstance(each.result, Exception)
        assert len(peers.streams) == 1
        assert client.statistics().client.messages_moved == 0


@pytest.mark.parametrize("how", ["broken", "ended", "cut", "left"])
async def test_its_pushes_end_with_it(how: str, autojump_clock: trio.testing.MockClock) -> None:
    """B5: what came is taken, then it raises; where it was left there are no more."""
    peers = Peers()
    async with asking(peers, correlation=IN_ORDER, max_connections=1) as client:
        got: list[bytes] = []

        async def take(session: Session[bytes]) -> None:
            async for message in session.pushes:
                got.append(message)

        async with trio.open_nursery() as nursery:
            async with client.session() as session:
                taking: Asked = await start(nursery, lambda: take(session))
                await peers.say(0, b"push 1\npush 2\n")
                await trio.testing.wait_all_tasks_blocked()
                if how == "broken":
                    peers.theirs[0].break_now()
                elif how == "ended":
                    await peers.streams[0].aclose()
                elif how == "cut":
                    client._client.close_all()
                if how != "left":
                    with trio.fail_after(100):
                        await taking.done.wait()
            with trio.fail_after(100):
                await taking.done.wait()
        assert got == [b"push 1", b"push 2"]
        expected: dict[str, Any] = {"cut": ConnectionClosedError, "left": type(None)}
        assert isinstance(taking.result, expected.get(how, ConnectionLostError))


async def test_pushes_are_those_of_the_session(autojump_clock: trio.testing.MockClock) -> None:
    """B8: what comes on its connection is its own, before and after it is the client's."""
    peers = Peers()
    async with asking(peers, correlation=IN_ORDER, max_connections=1, max_pushes=2) as client:
        await client.bootstrap()
        await peers.say(0, b"push 1\n")
        await trio.testing.wait_all_tasks_blocked()
        async with client.session() as session:
            await peers.say(0, b"push 2\npush 3\npush 4\n")
            await trio.testing.wait_all_tasks_blocked()
            assert session.pushes.received == 3
            assert session.pushes.dropped == 1
            assert await session.pushes.receive() == b"push 3"
        await peers.say(0, b"push 5\n")
        assert await client.pushes.receive() == b"push 1"
        assert await client.pushes.receive() == b"push 5"
        assert client.statistics().pushes == 2


async def test_pushes_that_wait_in_a_session_that_is_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B8: left with a connection that is not read for them, it is read again."""
    peers = Peers()
    options: dict[str, Any] = {"correlation": IN_ORDER, "when_pushes_wait": WhenSlow.WAIT}
    async with asking(peers, max_connections=1, max_pushes=2, **options) as client:
        async with client.session():
            await peers.say(0, b"push 1\npush 2\n")
            await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            await peers.say(0, b"1\n")
        assert asked.result == b"1"


async def test_a_session_when_the_client_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    """S23: who waits for one is told; one that is open may get the replies that are due."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:

        async def use() -> None:
            async with client.session():
                pass

        async with trio.open_nursery() as nursery, client.session() as session:
            asked = await start(nursery, lambda: session.request(b"a"))
            waits = await start(nursery, use)
            await start(nursery, client.aclose)
            assert isinstance(waits.result, PoolClosedError)
            await peers.say(0, b"1\n")
            await asked.done.wait()
            assert asked.result == b"1"


async def test_cancelled_at_every_await() -> None:
    """B6: wherever a session is struck, the next request gets its own reply."""

    async def run(suspension: int) -> bool:
        peers = Peers()
        async with asking(peers, max_connections=1) as client, trio.open_nursery() as nursery:
            served: set[int] = set()

            async def serve() -> None:
                while True:
                    for index in range(len(peers.streams)):
                        if index not in served:
                            served.add(index)
                            nursery.start_soon(_echo_slowly, peers, index)
                    await trio.lowlevel.checkpoint()

            async def use() -> None:
                async with client.session() as session:
                    assert await session.request(b"1") == b"1"
                    assert await session.request_batch([b"2", b"3"]) == [b"2", b"3"]

            nursery.start_soon(serve)
            other = Asked()
            nursery.start_soon(other.run, lambda: client.request(b"other"))
            late = await cancelled_at(suspension, use)
            assert await client.request(b"last") == b"last"
            await other.done.wait()
            assert other.result == b"other"
            while client.statistics().in_flight:
                await trio.lowlevel.checkpoint()
            assert client.statistics().client.waiting == 0
            await client.aclose()
            nursery.cancel_scope.cancel()
        return late

    struck = [suspension async for suspension in every_suspension(run)]
    assert len(struck) >= 3


async def _echo_slowly(peers: Peers, index: int) -> None:
    try:
        while data := await peers.read(index):
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            await peers.say(index, data)
        await peers.streams[index].aclose()
    except trio.BrokenResourceError:
        pass
