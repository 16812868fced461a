"""Clients that are too slow, in each phase."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio.http import BodyTimeoutError, HTTPLimits, Request, Response

from ..http_serving import GET, Peer, request, serving_http
from ..serving import Stopwatch

LIMITS = HTTPLimits(
    head_timeout=10, body_timeout=20, min_body_rate=10, keep_alive_timeout=60, linger_timeout=0
)
SLACK = 2.5
"""A look comes every quarter of the shortest timeout."""
UPLOAD = request("POST", "/", "Content-Length: 1000")


async def echo(asked: Request) -> Response:
    if asked.path == "/slow":
        await trio.sleep(1000)
    return Response(await asked.body())


@pytest.mark.parametrize(
    ("greeting", "answered", "seconds", "status"),
    [
        (b"", 0, 10, None),
        (b"G", 0, 10, 408),
        (GET[:-1], 0, 10, 408),
        (GET, 1, 60, None),
        (GET + b"GET / HT", 1, 10, 408),
        (UPLOAD, 0, 20, 408),
        (UPLOAD + b"x" * 100, 0, 30, 408),
        (GET + UPLOAD, 1, 20, 408),
    ],
    ids=[
        *("first byte", "head begun", "head unended", "next request", "second head"),
        *("no body", "some body", "second body"),
    ],
)
async def test_silence(
    greeting: bytes, answered: int, seconds: float, status: int | None, autojump_clock: MockClock
) -> None:
    """Z4: a client that has begun a request is told so with 408, another is just closed."""
    async with serving_http(echo, limits=LIMITS, patience=5000) as served:
        peer = await served.connect(greeting)
        watch = Stopwatch()
        for _ in range(answered):
            assert (await peer.reply()).status == 200
        if status is not None:
            reply = await peer.reply()
            assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert await peer.rest() == b""
        assert seconds <= watch.seconds <= seconds + 2 * SLACK
        assert served.counts.refused == ({status: 1} if status else {})


async def drip(peer: Peer, data: bytes, seconds: float) -> None:
    """Send a byte now and then until the server has had enough."""
    try:
        for byte in data:
            await peer.send(bytes([byte]))
            await trio.sleep(seconds)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


@pytest.mark.parametrize("phase", ["head", "body", "fast body", "next"])
async def test_drips(phase: str, autojump_clock: MockClock) -> None:
    """Z4: a byte now and then keeps nobody alive; above ``min_body_rate`` a body may take long."""
    data = {"head": GET * 100, "body": UPLOAD + b"x" * 1000, "next": GET * 2}
    async with serving_http(echo, limits=LIMITS, patience=5000) as served:
        peer, watch = await served.connect(), Stopwatch()
        async with trio.open_nursery() as nursery:
            if phase == "fast body":
                await peer.send(UPLOAD)
                nursery.start_soon(drip, peer, b"x" * 1000, 0.09)
                assert (await peer.reply()).body == b"x" * 1000
                assert watch.seconds > 80
            elif phase == "next":
                nursery.start_soon(drip, peer, data[phase], 0.3)
                for _ in range(2):
                    assert (await peer.reply()).status == 200
            else:
                if phase == "body":
                    await peer.send(UPLOAD)
                nursery.start_soon(drip, peer, data[phase][-3000:], 1)
                assert (await peer.reply()).status == 408
                assert watch.seconds <= (15 if phase == "head" else 30)
                await peer.rest()
                await peer.stream.aclose()


async def test_handlers_have_all_the_time_they_want(autojump_clock: MockClock) -> None:
    """Z4: only clients have deadlines; a handler's pauses do not count against its client."""

    async def handler(asked: Request) -> Response:
        pieces: list[bytes] = []
        async for piece in asked:
            pieces.append(piece)
            await trio.sleep(100)
        return Response(b"".join(pieces))

    async with serving_http(handler, limits=LIMITS, patience=5000) as served:
        peer = await served.connect(request("POST", "/", "Content-Length: 3") + b"a")
        await trio.sleep(90)
        await peer.send(b"b")
        await trio.sleep(95)
        assert (await peer.ask(b"c")).body == b"abc"


async def test_waits_for_a_body_add_up(autojump_clock: MockClock) -> None:
    """Z4: those between which a handler was busy, too."""
    errors: list[BodyTimeoutError] = []

    async def handler(asked: Request) -> Response:
        try:
            async for _ in asked:
                await trio.sleep(7)
        except BodyTimeoutError as error:
            errors.append(error)
        return Response("enough", 503)

    async with serving_http(handler, limits=LIMITS, patience=5000) as served:
        peer = await served.connect(request("POST", "/", "Content-Length: 100"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, peer, b"x" * 99, 12)
            reply = await peer.reply()
            assert (reply.status, reply.headers["connection"]) == (503, "close")
            await peer.stream.aclose()
    assert len(errors) == 1


async def test_body_that_nobody_reads_has_a_deadline(autojump_clock: MockClock) -> None:
    """Z5: the response has gone out; the rest of the request is waited for no longer than that."""

    async def handler(asked: Request) -> Response:
        return Response("no", 403)

    async with serving_http(handler, limits=LIMITS, patience=5000) as served:
        peer, watch = await served.connect(UPLOAD), Stopwatch()
        assert (await peer.reply()).status == 403
        assert watch.seconds == 0
        assert await peer.rest() == b""
        assert 20 <= watch.seconds <= 20 + 2 * SLACK


async def test_new_limits_hold_at_once(autojump_clock: MockClock) -> None:
    """B2: for connections that are there as well, where deadlines are concerned."""
    async with serving_http(echo, limits=LIMITS, patience=5000) as served:
        peer, watch = await served.connect(GET), Stopwatch()
        await peer.reply()
        served.server.limits = HTTPLimits(keep_alive_timeout=2, max_body_size=5, linger_timeout=0)
        assert served.server.limits.max_body_size == 5
        assert (await peer.ask(request("POST", "/", body=b"123456"))).status == 413
        assert await peer.rest() == b""
        assert watch.seconds <= 3


async def test_others_are_served_meanwhile(autojump_clock: MockClock) -> None:
    """Z4: while clients are slow in every phase."""
    async with serving_http(echo, limits=LIMITS, patience=5000) as served:
        for greeting in (b"", b"G", GET, UPLOAD, request("GET", "/slow")):
            for _ in range(5):
                await served.connect(greeting)
        peer = await served.connect()
        for _ in range(50):
            assert (await peer.ask(GET)).status == 200
            await trio.sleep(1)
        await trio.sleep(40)
        assert served.connections == 5 + 1
