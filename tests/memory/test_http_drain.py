"""Draining an HTTP server, and upgraded connections in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, DrainReport, DrainTimeouts, LineCodec, LocalProtocolError
from snowtrio.http import HTTPLimits, Request, Response
from snowtrio.testing import MemoryListener

from ..http_serving import GET, HTTPServed, Peer, request, serving_http
from ..serving import errors_in

OFFER = request("GET", "/", "Connection: upgrade", "Upgrade: lines")
LIMITS = HTTPLimits(linger_timeout=0.1)


async def answer(asked: Request) -> Response:
    if asked.path == "/slow":
        await trio.sleep(5)
    return Response(await asked.body())


class Drain:
    """Drains while the test goes on."""

    def __init__(self, served: HTTPServed) -> None:
        self.report: DrainReport | None = None
        served.nursery.start_soon(self._run, served)

    async def _run(self, served: HTTPServed) -> None:
        self.report = await served.server.drain(DrainTimeouts(goodbye=5, wait=50))


async def test_drain(autojump_clock: MockClock) -> None:
    """B3: idle ones are closed, what is under way or half-come is answered and is the last."""
    async with serving_http(answer, limits=LIMITS) as served:
        fresh = await served.connect()
        idle = await served.connect(GET)
        slow = await served.connect(request("GET", "/slow") + GET)
        half = await served.connect(GET[:20])
        body = await served.connect(request("POST", "/", "Content-Length: 4") + b"ab")
        assert (await idle.reply()).status == 200
        drain = Drain(served)
        await trio.testing.wait_all_tasks_blocked()
        for peer in (fresh, idle):
            assert await peer.rest() == b""
            await peer.stream.aclose()
        await half.send(GET[20:])
        await body.send(b"cd")
        for peer in (half, body, slow):
            reply = await peer.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert await peer.rest() == b""
            await peer.stream.aclose()
        await trio.sleep(1)
        assert drain.report is not None
        assert drain.report.clean
        assert [each.cause for each in drain.report.connections] == [Cause.DONE] * 5
        with pytest.raises(ConnectionRefusedError):
            await served.listener.connect()


async def test_a_response_without_an_end_learns_of_a_drain(autojump_clock: MockClock) -> None:
    """B3: asked for by its iterator, before the drain or in it; what it says last arrives."""

    async def lines(asked: Request) -> AsyncIterator[str]:
        while not asked.draining:
            yield "more\n"
            await asked.wait_draining()
        await asked.wait_draining()
        yield "last\n"

    async def forever(asked: Request) -> Response:
        return Response(lines(asked))

    async with serving_http(forever, limits=LIMITS) as served:
        peers = [await served.connect(GET) for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked()
        drain = Drain(served)
        for peer in peers:
            assert (await peer.reply()).body == b"more\nlast\n"
            assert await peer.rest() == b""
            await peer.stream.aclose()
        await trio.sleep(1)
        assert drain.report is not None
        assert drain.report.clean


async def test_close_all_cuts_and_serves_on() -> None:
    """S24."""
    async with serving_http(answer) as served:
        peer = await served.connect(request("GET", "/slow"))
        served.server.close_all()
        assert await peer.rest() == b""
        assert (await (await served.connect(GET)).reply()).status == 200


async def speak_lines(asked: Request, **options: object) -> Response | None:
    if asked.upgrade_offered is None:
        return Response("plain")
    connection = await asked.upgrade("lines", LineCodec(), {"X-A": "b"}, **options)  # type: ignore[arg-type]
    async for line in connection:
        await connection.send(line.upper())
    await connection.send(b"end")
    return None


@pytest.mark.parametrize("size", [1, 10_000])
async def test_upgrade_hands_over_what_came_behind(size: int, autojump_clock: MockClock) -> None:
    """Z4: the bytes behind the request are the new protocol's, however they come."""
    async with serving_http(speak_lines, limits=LIMITS) as served:
        peer = await served.connect()
        data = GET + OFFER + b"one\ntwo\n"
        for start in range(0, len(data), size):
            await peer.send(data[start : start + size])
            if size == 1:
                await trio.testing.wait_all_tasks_blocked()
        assert (await peer.reply()).body == b"plain"
        reply = await peer.reply()
        assert (reply.status, reply.headers["connection"]) == (101, "upgrade")
        assert (reply.headers["upgrade"], reply.headers["x-a"]) == ("lines", "b")
        await peer.send(b"three\n")
        await trio.sleep(1000)  # HTTP's deadlines do not hold any more.
        await peer.send(b"four\n")
        await trio.testing.wait_all_tasks_blocked()
        counts = served.counts
        assert (counts.upgraded, counts.under_way) == (1, 0)
        assert isinstance(peer.stream, trio.StapledStream)
        await peer.stream.send_eof()
        assert await peer.rest() == b"ONE\nTWO\nTHREE\nFOUR\nend\n"


async def test_tunnel() -> None:
    """Z4: a CONNECT that is taken, and one that is not."""

    async def handler(asked: Request) -> Response | None:
        if asked.target == "good:80":
            connection = await asked.upgrade("", LineCodec())
            await connection.send(b"through " + await connection.receive())
            return None
        return Response("ok")

    async with serving_http(handler, limits=LIMITS) as served:
        peer = await served.connect(b"CONNECT bad:80 HTTP/1.1\r\nHost: bad:80\r\n\r\n" + GET)
        assert (await peer.reply()).status == 501
        assert await peer.rest() == b""  # What follows was meant for somebody else.
        peer = await served.connect()
        await peer.send(b"CONNECT good:80 HTTP/1.1\r\nHost: good:80\r\n\r\nline\n")
        assert (await peer.reply(bodiless=True)).status == 200
        assert await peer.rest() == b"through line\n"


async def test_offers_that_are_none(caplog: pytest.LogCaptureFixture) -> None:
    """Z4: what was not offered cannot be taken; then the request is a plain one."""

    async def handler(asked: Request) -> Response:
        with pytest.raises(LocalProtocolError):
            await asked.upgrade("other", LineCodec())
        return Response(str(asked.upgrade_offered))

    async with serving_http(handler) as served:
        peer = await served.connect()
        assert (await peer.ask(GET)).body == b"None"
        assert (await peer.ask(OFFER)).body == b"lines"
        old = OFFER.replace(b"HTTP/1.1", b"HTTP/1.0")
        assert (await peer.ask(old)).status == 200
    assert not errors_in(caplog)


async def test_upgraded_connections_are_parted_from(autojump_clock: MockClock) -> None:
    """B3: as their protocol wants it; by default their handler sees the end of input."""

    async def part(connection: Connection[bytes]) -> None:
        await connection.send(b"goodbye")
        connection.stop_receiving()

    for handler, last in (
        (speak_lines, b"end\n"),
        (partial(speak_lines, goodbye=part), b"goodbye\nend\n"),
    ):
        async with serving_http(handler, limits=LIMITS) as served:
            peer = await served.connect(OFFER)
            assert (await peer.reply()).status == 101
            drain = Drain(served)
            assert await peer.rest() == last
            await peer.stream.aclose()
            await trio.sleep(1)
            assert drain.report is not None
            assert drain.report.clean


async def test_upgrade_while_the_server_drains(autojump_clock: MockClock) -> None:
    """B3: nobody begins to speak another protocol then."""

    async def handler(asked: Request) -> Response | None:
        await trio.sleep(1)
        return await speak_lines(asked)

    async with serving_http(handler, limits=LIMITS) as served:
        peer = await served.connect(OFFER)
        drain = Drain(served)
        reply = await peer.reply()
        assert (reply.status, reply.headers["connection"]) == (503, "close")
        await peer.rest()
        await peer.stream.aclose()
        await trio.sleep(1)
        assert drain.report is not None


async def test_drain_while_an_upgrade_is_on_its_way(autojump_clock: MockClock) -> None:
    """B3: it was asked to end before it had a protocol to part in, and is asked again then."""

    async def handler(asked: Request) -> Response | None:
        return await speak_lines(asked) or Response(b"x" * 10_000)

    limits = HTTPLimits(linger_timeout=0.1, max_outbox_messages=1)
    listener = MemoryListener(lockstep=True)
    async with serving_http(handler, limits=limits, listener=listener) as served:
        peer = Peer(await listener.connect())
        await peer.send(GET + OFFER)
        await trio.testing.wait_all_tasks_blocked()
        drain = Drain(served)
        await trio.testing.wait_all_tasks_blocked()
        assert (await peer.reply()).status == 200
        assert (await peer.reply()).status == 101
        assert await peer.rest() == b"end\n"
        await peer.stream.aclose()
        await trio.sleep(1)
        assert drain.report is not None


async def test_error_of_the_other_protocol(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """Z4: a client that leaves is no mistake; what a handler raises is one, and ends it."""

    async def handler(asked: Request) -> None:
        connection = await asked.upgrade("lines", LineCodec(max_message_size=10))
        if await connection.receive() == b"fail":
            raise LookupError("a mistake")
        await connection.receive()

    async with serving_http(handler, limits=LIMITS) as served:
        for words in (b"go\n" + b"x" * 100, b"fail\n", b"go\n"):
            peer: Peer = await served.connect(OFFER + words)
            await peer.reply()
            if words == b"go\n":
                await peer.stream.aclose()
            else:
                assert await peer.rest() == b""
        await trio.sleep(1)
        assert served.connections == 0
    assert [type(error) for error in errors_in(caplog)] == [LookupError]
