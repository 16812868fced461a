"""UDP servers whose handler sees one peer as a connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import (
    Cause,
    ConnectionClosedError,
    DrainTimeouts,
    NetstringCodec,
    Phase,
    Refusal,
    SocketOptions,
)
from snowtrio.udp import (
    Datagram,
    UDPServerLimits,
    UDPSession,
    connect_udp_endpoint,
)

from .datagrams import TIMEOUT, plain_socket, serving


async def echo(session: UDPSession) -> None:
    async for data in session:
        await session.send(data)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something of the server's is so."""
    with trio.fail_after(TIMEOUT):
        while not condition():
            await trio.sleep(0.001)


async def test_each_peer_has_a_session_of_its_own() -> None:
    """Row P2: and the messages of each are in order."""
    begun: list[object] = []

    async def count(session: UDPSession) -> None:
        begun.append(session.peer_address)
        number = 0
        async for data in session:
            number += 1
            await session.send(b"%d %s" % (number, data))

    async with serving(count) as server, trio.open_nursery() as nursery:

        async def talk(name: bytes) -> None:
            async with await connect_udp_endpoint("127.0.0.1", server.port) as endpoint:
                for number in range(1, 6):
                    await endpoint.send(name)
                    with trio.fail_after(TIMEOUT):
                        assert (await endpoint.receive()).data == b"%d %s" % (number, name)

        for name in (b"ann", b"bob", b"eve"):
            nursery.start_soon(talk, name)
        await until(lambda: server.statistics().opened == 3)
    assert len(set(begun)) == 3
    assert server.statistics().ended == {Cause.CANCELLED: 3}


async def test_batches_both_ways() -> None:
    """Row P2: all that is there, in one step."""

    async def echo_batches(session: UDPSession) -> None:
        while True:
            batch = await session.receive_batch()
            await session.send_batch([b"%d" % len(batch), *batch])

    async with serving(echo_batches) as server:
        with plain_socket() as peer:
            for number in range(10):
                peer.sendto(b"%d" % number, ("127.0.0.1", server.port))
            await until(lambda: server.statistics().endpoints[0].sent == 11)
            assert peer.recv(100) == b"10"
            (session,) = server.sessions
            counts = session.statistics()
            assert (counts.received, counts.sent, counts.inbox) == (10, 11, 0)


async def test_an_idle_session_ends_and_the_next_datagram_begins_another() -> None:
    """Row P2: datagrams in either direction keep it."""
    ends: list[bytes] = []

    async def talk(session: UDPSession) -> None:
        async for data in session:
            await session.send(data)
        await session.send(b"too long")
        ends.append(b"end")

    limits = UDPServerLimits(idle_timeout=0.2)
    async with serving(talk, limits=limits) as server:
        async with await connect_udp_endpoint("127.0.0.1", server.port) as endpoint:
            for number in range(1, 3):
                for _ in range(8):  # longer than the timeout, all in all
                    await endpoint.send(b"x")
                    await trio.sleep(0.05)
                    assert len(server.sessions) == 1
                await until(lambda: not server.sessions)
                assert len(ends) == number
                batch = [datagram.data for datagram in await endpoint.receive_batch()]
                assert batch == [b"x"] * 8 + [b"too long"]
        counts = server.statistics()
        assert counts.ended == {Cause.IDLE: 2}
        assert (counts.opened, counts.peak_sessions, counts.memory_held) == (2, 1, 0)


async def test_a_session_that_only_sends_is_not_idle() -> None:
    """Row P2."""

    async def tick(session: UDPSession) -> None:
        for _ in range(10):
            await session.send(b"tick")
            await trio.sleep(0.05)

    async with serving(tick, limits=UDPServerLimits(idle_timeout=0.2)) as server:
        with plain_socket() as peer:
            peer.sendto(b"begin", ("127.0.0.1", server.port))
            await until(lambda: bool(server.statistics().ended))
        assert server.statistics().ended == {Cause.DONE: 1}
        assert server.statistics().endpoints[0].sent == 10


async def test_a_handler_that_ignores_the_end_is_cancelled() -> None:
    """Row P2: nobody sits on a place for ever."""

    async def sleep(session: UDPSession) -> None:
        await trio.sleep_forever()

    limits = UDPServerLimits(idle_timeout=0.05, end_timeout=0.05)
    async with serving(sleep, limits=limits) as server:
        with plain_socket() as peer:
            peer.sendto(b"x", ("127.0.0.1", server.port))
            await until(lambda: server.statistics().ended == {Cause.IDLE: 1})
        assert server.sessions == []
        assert server.statistics().dropped == 1  # It was never received.


async def test_sessions_are_bounded_and_strangers_leave_no_trace() -> None:
    """Row P2: whatever addresses they write on their datagrams."""
    limits = UDPServerLimits(max_sessions=2)
    async with serving(echo, limits=limits) as server:
        address = ("127.0.0.1", server.port)
        with plain_socket() as one, plain_socket() as other:
            for peer in (one, other):
                peer.sendto(b"in", address)
            await until(lambda: len(server.sessions) == 2)
            for _ in range(50):
                with plain_socket() as stranger:
                    stranger.sendto(b"me too", address)
            await until(lambda: server.statistics().refused == {Refusal.FULL: 50})
            for peer in (one, other):
                peer.sendto(b"still in", address)
            await until(lambda: server.statistics().endpoints[0].sent == 4)
            assert [one.recv(100), one.recv(100)] == [b"in", b"still in"]
            server.limits = UDPServerLimits(max_sessions=3)
            with plain_socket() as third:
                third.sendto(b"now", address)
                await until(lambda: len(server.sessions) == 3)


async def test_sessions_of_a_host_are_bounded() -> None:
    """Row P2: and a place comes back with the end of one."""
    limits = UDPServerLimits(max_sessions_per_host=1)
    async with serving(echo_once, limits=limits) as server:
        address = ("127.0.0.1", server.port)
        with plain_socket() as one, plain_socket() as other, plain_socket("127.0.0.2") as another:
            one.sendto(b"x", address)
            other.sendto(b"x", address)
            await until(lambda: server.statistics().refused == {Refusal.PEER: 1})
            another.sendto(b"x", address)
            await until(lambda: len(server.sessions) == 2)
            one.sendto(b"end", address)
            await until(lambda: len(server.sessions) == 1)
            other.sendto(b"x", address)
            await until(lambda: len(server.sessions) == 2)


async def echo_once(session: UDPSession) -> None:
    async for data in session:
        if data == b"end":
            return


async def test_a_peer_is_admitted_when_it_has_shown_where_it_is() -> None:
    """Row P2: a cookie is sent back before anything is remembered."""
    asked: list[bytes] = []

    def admit(datagram: Datagram) -> bytes | bool:
        asked.append(datagram.data)
        if datagram.data == b"rude":
            return False
        cookie = b"cookie for %d" % datagram.sender[1]
        return datagram.data == cookie or cookie

    async with serving(echo, admit=admit) as server:
        async with await connect_udp_endpoint("127.0.0.1", server.port) as endpoint:
            with trio.fail_after(TIMEOUT):
                await endpoint.send(b"rude")
                await endpoint.send(b"hello")
                cookie = (await endpoint.receive()).data
                assert cookie == b"cookie for %d" % endpoint.port
                assert server.sessions == []
                for data in (cookie, b"hello"):
                    await endpoint.send(data)
                    assert (await endpoint.receive()).data == data
        assert asked == [b"rude", b"hello", cookie]
        assert server.statistics().not_admitted == 2
        assert server.statistics().opened == 1


@pytest.mark.parametrize(
    "limits",
    [
        UDPServerLimits(max_session_datagrams=5),
        UDPServerLimits(max_session_bytes=599),
        UDPServerLimits(memory_budget=500),
    ],
    ids=["datagrams", "bytes", "all sessions"],
)
async def test_a_session_whose_handler_is_away_is_bounded(limits: UDPServerLimits) -> None:
    """Row P2: what has no room is dropped and counted; the others do not notice."""
    back = trio.Event()
    received: list[bytes] = []

    async def away(session: UDPSession) -> None:
        await back.wait()
        received.extend(await session.receive_batch())
        await echo(session)

    async with serving(away, limits=limits) as server:
        with plain_socket() as peer:
            for number in range(20):
                peer.sendto(bytes([number]) * 100, ("127.0.0.1", server.port))
            await until(lambda: server.statistics().dropped == 15)
            (session,) = server.sessions
            counts = session.statistics()
            assert (counts.received, counts.dropped, counts.inbox) == (5, 15, 5)
            assert server.statistics().memory_held == counts.inbox_bytes == 500
            back.set()
            await until(lambda: server.statistics().memory_held == 0)
            assert received == [bytes([number]) * 100 for number in range(5)]
            peer.sendto(b"goes on", ("127.0.0.1", server.port))
            assert await trio.to_thread.run_sync(peer.recv, 100) == b"goes on"


async def test_every_datagram_is_accounted_for() -> None:
    """Row P2: a handler has it or one count, whatever handlers do and however many peers are."""
    handled = 0

    async def one_of_many(session: UDPSession[bytes, bytes]) -> None:
        nonlocal handled
        kind = session.peer_address[1] % 4
        async for _ in session:
            handled += 1
            if kind == 1:
                await session.aclose()
            elif kind == 2:
                return
            elif kind == 3:
                await trio.sleep_forever()

    def admit(datagram: Datagram[bytes]) -> bool:
        if datagram.data == b"fail":
            raise LookupError("as it was told")
        return datagram.data != b"no"

    messages = [b"1:a,", b"junk", *[b"1:b,"] * 20, b"2:no,", b"4:fail,", b""]
    limits = UDPServerLimits(max_sessions=30, max_session_datagrams=5, memory_budget=100)
    everything: dict[str, Any] = {
        "codec": NetstringCodec(),
        "admit": admit,
        "limits": limits,
        "options": SocketOptions(receive_buffer_size=64 * 1024),
    }
    async with serving(one_of_many, **everything) as server:
        with ExitStack() as stack:
            peers = [stack.enter_context(plain_socket()) for _ in range(80)]
            for message in [b"2:no,", b"4:fail,", *messages]:
                for peer in peers:
                    peer.sendto(message, ("127.0.0.1", server.port))
                await trio.lowlevel.checkpoint()
            sent = 80 * (len(messages) + 2)
            with trio.fail_after(TIMEOUT):
                await server.drain(DrainTimeouts(wait=0.1))
            counts = server.statistics()
            (endpoint,) = counts.endpoints
            assert endpoint.kernel_drops is not None
            assert endpoint.received + endpoint.kernel_drops == sent
            unhandled = [counts.dropped, counts.not_admitted]
            unhandled += [counts.undecodable, counts.handler_errors]
            assert all(unhandled)
            assert counts.refused[Refusal.FULL]
            refused = sum(counts.refused.values())
            assert handled + sum(unhandled) + refused == endpoint.received
            assert counts.memory_held == 0


async def test_a_handler_that_only_answers_loses_nothing() -> None:
    """Row P2: it gets its turn between what is taken from the system at a time."""
    options = SocketOptions(receive_buffer_size=1024 * 1024)
    async with serving(echo, options=options) as server:
        with plain_socket(buffer=1024 * 1024) as peer:
            for number in range(600):
                peer.sendto(b"%d" % number, ("127.0.0.1", server.port))

            def all_echoed() -> bool:
                (counts,) = server.statistics().endpoints
                assert counts.kernel_drops is not None
                return counts.sent == counts.received == 600 - counts.kernel_drops

            await until(all_echoed)
            assert server.statistics().dropped == 0


async def test_a_handler_that_fails_ends_its_own_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row P2: one line in a second; and an end that was not handled is no failure."""

    async def fail(session: UDPSession) -> None:
        if await session.receive() == b"fail":
            raise LookupError("as it was told")
        await session.receive()

    async with serving(fail, limits=UDPServerLimits(idle_timeout=0.1)) as server:
        address = ("127.0.0.1", server.port)
        with plain_socket() as good:
            good.sendto(b"good", address)
            for _ in range(10):
                with plain_socket() as bad:
                    bad.sendto(b"fail", address)
            await until(
                lambda: server.statistics().ended == {Cause.HANDLER_ERROR: 10, Cause.IDLE: 1}
            )
        assert server.statistics().handler_errors == 10
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "127.0.0.1" in record.getMessage()


async def test_a_closed_session_sends_and_receives_no_more() -> None:
    """Row P2: whoever waits is woken; what had come is thrown away."""
    done = trio.Event()

    async def close(session: UDPSession) -> None:
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                assert await session.receive() == b"first"
                with pytest.raises(ConnectionClosedError):
                    await session.receive()

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await session.receive()
            await session.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await session.send(b"x")
        with pytest.raises(trio.ClosedResourceError):
            session.send_nowait(b"x")
        assert "ended" in repr(session)
        done.set()

    async with serving(close) as server:
        with plain_socket() as peer:
            peer.sendto(b"first", ("127.0.0.1", server.port))
            with trio.fail_after(TIMEOUT):
                await done.wait()
            await until(lambda: server.statistics().ended == {Cause.CLOSED: 1})


async def test_what_another_task_has_taken_is_not_the_end() -> None:
    """Row P2: whoever was woken for it goes on waiting, whichever of them runs first."""
    taken: list[bytes] = []

    async def share(session: UDPSession) -> None:
        async def wait() -> None:
            taken.append(await session.receive())

        async def snatch() -> None:
            before = session.statistics().received
            while session.statistics().received == before:
                await trio.lowlevel.checkpoint()
            if session.statistics().inbox:
                assert await session.receive() == b"x"
                await session.send(b"once more")

        async for _ in session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(snatch)
                await session.send(b"go on")
            await session.send(b"done")

    async with (
        serving(share) as server,
        await connect_udp_endpoint("127.0.0.1", server.port) as peer,
    ):
        for _ in range(30):
            await peer.send(b"begin")
            with trio.fail_after(TIMEOUT):
                while (await peer.receive()).data != b"done":
                    await peer.send(b"x")
    assert taken == [b"x"] * 30


async def test_messages_of_a_codec() -> None:
    """Row P2: what is none begins no session, and ends none."""

    async def join(session: UDPSession) -> None:
        async for message in session:
            await session.send(message + b"!")

    async with serving(join, codec=NetstringCodec()) as server:
        with plain_socket() as peer:
            address = ("127.0.0.1", server.port)
            peer.sendto(b"junk", address)
            await until(lambda: server.statistics().undecodable == 1)
            assert server.sessions == []
            for data in (b"2:hi,", b"junk", b"2:ho,"):
                peer.sendto(data, address)
            await until(lambda: server.statistics().endpoints[0].sent == 2)
            assert [peer.recv(100), peer.recv(100)] == [b"3:hi!,", b"3:ho!,"]
            (session,) = server.sessions
            assert session.statistics().undecodable == 1


async def test_a_drain_lets_sessions_end_and_cuts_those_that_do_not() -> None:
    """Row P2: what had come is received first, and last words leave."""

    async def talk(session: UDPSession) -> None:
        if await session.receive() == b"stay":
            await trio.sleep_forever()
        async for data in session:
            await session.send(data)
        await session.send(b"bye")

    async with serving(talk) as server:
        address = ("127.0.0.1", server.port)
        with plain_socket() as leaving, plain_socket() as staying:
            leaving.sendto(b"leave", address)
            staying.sendto(b"stay", address)
            await until(lambda: len(server.sessions) == 2)
            leaving.sendto(b"one more", address)  # In the system's buffer when the drain begins.
            with trio.fail_after(TIMEOUT):
                report = await server.drain(DrainTimeouts(wait=0.1))
            assert [leaving.recv(100), leaving.recv(100)] == [b"one more", b"bye"]
            endings = {each.peer_address: (each.phase, each.cause) for each in report.connections}
            assert endings == {
                leaving.getsockname(): (Phase.WAIT, Cause.DONE),
                staying.getsockname(): (Phase.CANCEL, Cause.DROPPED),
            }
            assert report.cut == 1
            assert server.statistics().ended == {Cause.DONE: 1, Cause.DROPPED: 1}


async def test_a_drain_gives_handlers_their_turn_between_what_has_come() -> None:
    """Row P2: what waits in the system may be more than the inbox of a session holds."""
    limits = UDPServerLimits(max_inbox_datagrams=64, max_session_datagrams=256)
    options = SocketOptions(receive_buffer_size=1024 * 1024)
    async with serving(echo, limits=limits, options=options) as server:
        with plain_socket() as peer:
            for number in range(500):
                peer.sendto(b"%d" % number, ("127.0.0.1", server.port))
            with trio.fail_after(TIMEOUT):
                assert (await server.drain()).clean
            counts = server.statistics()
            assert counts.dropped == 0
            assert counts.endpoints[0].sent == counts.endpoints[0].received > 256


async def test_all_sessions_can_be_cut_and_the_server_goes_on() -> None:
    """Row P2."""
    async with serving(echo) as server:
        with plain_socket() as peer:
            for number in range(1, 3):
                peer.sendto(b"x", ("127.0.0.1", server.port))
                assert await trio.to_thread.run_sync(peer.recv, 100) == b"x"
                server.close_all()
                await until(lambda: not server.sessions)
                assert server.statistics().ended == {Cause.DROPPED: number}


async def test_a_handler_that_is_cancelled_takes_no_message_with_it() -> None:
    """Row P2: a receive that is cancelled has taken none."""
    received: list[bytes] = []

    async def impatient(session: UDPSession) -> None:
        while len(received) < 50:
            with trio.move_on_after(0.001):
                received.append(await session.receive())

    async with serving(impatient) as server:
        with plain_socket() as peer:
            for number in range(50):
                peer.sendto(b"%d" % number, ("127.0.0.1", server.port))
                await trio.sleep(0.001)
            await until(lambda: server.statistics().ended == {Cause.DONE: 1})
    assert received == [b"%d" % number for number in range(50)]
