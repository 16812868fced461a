"""A drain that leaves connections time, as for a rolling restart."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import Cause, Connection, DrainReport, DrainTimeouts, Phase
from snowtrio.http import HTTPLimits, Request, Response

from ..http_serving import GET, serving_http
from ..serving import ask, errors_in, read_all, serving
from .parting import Parting


async def test_a_connection_goes_on_until_the_time_is_over(autojump_clock: MockClock) -> None:
    """B3, W33: it is told nothing before, and one that ends by itself is not waited for longer."""
    async with serving(protocol=Parting()) as served:
        stays, leaves = await served.connect(), await served.connect()
        reports: list[DrainReport] = []

        async def drain() -> None:
            timeouts = DrainTimeouts(settle=10, goodbye=5, wait=60)
            assert timeouts.total == 75
            reports.append(await served.server.drain(timeouts))

        served.nursery.start_soon(drain)
        await trio.sleep(9)
        for stream in (stays, leaves):
            assert await ask(stream, b"still here") == b"still here"
        await leaves.aclose()
        await trio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            await served.listener.connect()
        assert await read_all(stays) == b"goodbye\n"
        await stays.aclose()
        await trio.sleep(1)
    (report,) = reports
    assert sorted((each.phase.value, each.cause) for each in report.connections) == [
        ("settle", Cause.PEER_CLOSED),
        ("wait", Cause.DONE),
    ]
    assert round(report.seconds[Phase.SETTLE], 3) == 10


async def test_nobody_left_ends_it_at_once(autojump_clock: MockClock) -> None:
    """B3."""
    async with serving() as served:
        began = trio.current_time()
        await served.server.drain(DrainTimeouts(settle=10))
        assert trio.current_time() == began


async def test_a_hook_that_fails_is_logged_and_the_others_are_told(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """B3, S22."""

    class Failing(Parting):
        def settle(self, connection: Connection[bytes]) -> None:
            self.told += 1
            raise LookupError("no notice")

    protocol = Failing()
    async with serving(protocol=protocol) as served:
        streams = [await served.connect() for _ in range(2)]
        with trio.move_on_after(1):
            await served.server.drain(DrainTimeouts(settle=2))
        assert protocol.told == 2
        for stream in streams:
            await stream.aclose()
    assert [type(error) for error in errors_in(caplog)] == [LookupError] * 2


async def test_a_hook_that_finds_nobody_has_not_failed(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """B3, S22: with errors that propagate, one peer that has left does not end the server."""

    class Announcing(Parting):
        def settle(self, connection: Connection[bytes]) -> None:
            self.told += 1
            connection.send_nowait(b"leaving")

    protocol = Announcing()
    async with serving(protocol=protocol, propagate_errors=True) as served:
        stream = await served.connect()
        assert await ask(stream, b"here") == b"here"
        for connection in served.server.connections:
            connection.drop()  # It ends, and is there until its hooks have run.
        report = await served.server.drain(DrainTimeouts(settle=2))
        await stream.aclose()
    assert protocol.told == 1
    assert report.clean
    assert not errors_in(caplog)


async def test_http_answers_one_more_request_and_says_that_it_is_the_last(
    autojump_clock: MockClock,
) -> None:
    """B3, W33: a request that was on its way when the drain began is answered."""

    async def answer(asked: Request) -> Response:
        return Response(b"")

    async with serving_http(answer, limits=HTTPLimits(linger_timeout=0.1)) as served:
        fresh, idle, silent = [await served.connect() for _ in range(3)]
        await idle.send(GET)
        assert "connection" not in (await idle.reply()).headers
        served.nursery.start_soon(served.server.drain, DrainTimeouts(settle=10))
        await trio.sleep(9)
        for peer in (fresh, idle):
            await peer.send(GET)
            assert (await peer.reply()).headers["connection"] == "close"
            assert await peer.rest() == b""
            await peer.stream.aclose()
        assert await silent.rest() == b""
        assert trio.current_time() >= 10
        await silent.stream.aclose()
        await trio.sleep(1)
