"""Deadlines of handshakes, places, and how a server drains."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import DrainTimeouts
from snowtrio.http import HTTPLimits, Request, Response
from snowtrio.websocket import Message, WebSocket, WebSocketClosedError, WebSocketLimits

from ...serving import Stopwatch
from ...websocket_serving import WebSocketPeer, echo, handshake, serving_websocket

PATIENT: dict[str, Any] = {"patience": 5000.0}
QUICK = HTTPLimits(head_timeout=4, max_head_size=1000, max_fields=20, linger_timeout=1)

# Handshakes


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (handshake("X-Long: " + "x" * 1000), 431),
        (handshake(*[f"X-{number}: 1" for number in range(20)]), 431),
        (handshake(target="/" + "x" * 10_000), 431),
    ],
    ids=["bytes", "fields", "target"],
)
@pytest.mark.parametrize("slowly", [False, True])
async def test_handshakes_that_are_too_large(data: bytes, status: int, slowly: bool) -> None:
    """W3: 431, as soon as it is known; nothing of ours has run."""

    def process(request: Request) -> object:
        raise AssertionError("this was no request")

    async with serving_websocket(process_request=process, http_limits=QUICK) as served:
        peer = await served.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                drip if slowly else peer.send, *([peer, data, 0] if slowly else [data])
            )
            assert (await peer.reply()).status == status
            await peer.rest()
            await peer.stream.aclose()


async def drip(peer: WebSocketPeer, data: bytes, seconds: float) -> None:
    """Send a byte now and then, until the server has had enough."""
    try:
        for byte in data:
            await peer.send(bytes([byte]))
            await trio.sleep(seconds)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0, 3.9])
async def test_a_slow_drip(seconds: float, autojump_clock: MockClock) -> None:
    """W3: is cut at one deadline for all of the handshake, however it is spread."""
    async with serving_websocket(http_limits=QUICK, **PATIENT) as served:
        peer, watch = await served.connect(), Stopwatch()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, peer, handshake("X-Fill: " + "x" * 900), seconds)
            assert (await peer.reply()).status == 408
            assert watch.seconds <= 4 * 1.25 + seconds
            await peer.rest()
            await peer.stream.aclose()
        await trio.sleep(2)
        assert served.connections == 0
        assert served.counts.opened == 0


async def test_who_says_nothing(autojump_clock: MockClock) -> None:
    """W3: is closed."""
    async with serving_websocket(http_limits=QUICK, **PATIENT) as served:
        peer, watch = await served.connect(), Stopwatch()
        assert await peer.rest() == b""
        assert watch.seconds <= 4 * 1.25 + 1
        await peer.stream.aclose()


async def test_an_open_one_has_no_deadline_of_http(autojump_clock: MockClock) -> None:
    """W3: what holds for handshakes does not for WebSockets, silent as they may be."""
    limits = WebSocketLimits(ping_interval=None)
    async with serving_websocket(http_limits=QUICK, limits=limits, **PATIENT) as served:
        peer = await served.open()
        await trio.sleep(1000)
        assert await peer.echoed("still") == "still"


async def test_the_application_may_take_its_time(autojump_clock: MockClock) -> None:
    """W4: its own waits do not count against the client; one that leaves then is no failure."""

    async def process(request: Request) -> None:
        await trio.sleep(100)

    options: dict[str, Any] = {**PATIENT, "limits": WebSocketLimits(ping_interval=None)}
    async with serving_websocket(process_request=process, http_limits=QUICK, **options) as served:
        peer = await served.open()
        assert await peer.echoed("x") == "x"
        peer = await served.connect()
        await peer.send(handshake())
        await peer.stream.aclose()
        await trio.sleep(200)
        assert served.connections == 1


@pytest.mark.parametrize("own", [True, False])
async def test_a_connection_that_ends_meanwhile(own: bool) -> None:
    """W4: its own is no failure and no rejection; one of the application's is 500."""

    async def process(request: Request) -> None:
        if own:
            served.server.close_all()
        raise trio.BrokenResourceError

    async with serving_websocket(process_request=process) as served:
        peer = await served.connect()
        await peer.send(handshake())
        await wait_all_tasks_blocked()
        assert served.counts.rejected == ({} if own else {500: 1})
        await peer.stream.aclose()


# Places


async def test_no_place() -> None:
    """W23: an open WebSocket keeps its place; the refused gets 503, or what was set."""
    limits = HTTPLimits(max_connections=1)
    for answer, status in ((None, 503), (Response("full", 529), 529)):
        async with serving_websocket(http_limits=limits, when_full=answer) as served:
            first = await served.open()
            second = await served.connect()
            reply = await second.ask(handshake())
            assert reply.status == status
            assert await second.rest() == b""
            await second.stream.aclose()
            assert await first.close() == (1000, "")
            await first.stream.aclose()
            await wait_all_tasks_blocked()
            assert await (await served.open()).echoed("x") == "x"


async def test_waiting_for_a_place() -> None:
    """W23: who waits is served when another one leaves."""
    limits = HTTPLimits(max_connections=1)
    async with serving_websocket(http_limits=limits, when_full="wait") as served:
        first, second = await served.open(), WebSocketPeer(await served.listener.connect())
        await second.send(handshake())
        await wait_all_tasks_blocked()
        assert served.counts.open == 1
        assert await first.close() == (1000, "")
        await first.stream.aclose()
        assert (await second.reply()).status == 101


# Drains


async def test_all_are_told(autojump_clock: MockClock) -> None:
    """W26: 1001, behind what was accepted; the report says that all ended by themselves."""
    ended: list[str] = []

    async def handler(websocket: WebSocket) -> None:
        try:
            async for message in websocket:
                await websocket.send(message)
        finally:
            await trio.lowlevel.checkpoint()
            ended.append(websocket.path)

    async with serving_websocket(handler, **PATIENT) as served:
        peers = [await served.open(target=f"/{number}") for number in range(5)]

        async def part(peer: WebSocketPeer) -> None:
            assert await peer.told() == (1001, "")
            await peer.answer_close()
            assert await peer.rest() == b""
            await peer.stream.aclose()

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(part, peer)
            watch = Stopwatch()
            report = await served.server.drain()
            assert sorted(ended) == ["/0", "/1", "/2", "/3", "/4"]
        assert watch.seconds < 2
        assert report.clean
        assert len(report.connections) == 5
        assert served.counts.closed == {1000: 5}


async def test_who_never_answers_is_cut(autojump_clock: MockClock) -> None:
    """W26: at ``close_timeout``, or when the drain's patience ends."""
    limits = WebSocketLimits(close_timeout=3)
    async with serving_websocket(limits=limits, **PATIENT) as served:
        await served.open()
        watch = Stopwatch()
        await served.server.drain()
        assert watch.seconds <= 3.5
    async with serving_websocket(limits=limits, **PATIENT) as served:
        await served.open()
        watch = Stopwatch()
        report = await served.server.drain(DrainTimeouts(goodbye=1, wait=1))
        assert watch.seconds <= 2
        assert report.cut == 1


async def test_a_handler_that_does_not_end(autojump_clock: MockClock) -> None:
    """W26: it has a deadline, unlike elsewhere; its last steps are done before drain returns."""
    ended: list[bool] = []

    async def stubborn(websocket: WebSocket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
            ended.append(True)

    async with serving_websocket(stubborn, **PATIENT) as served:
        peer = await served.open()
        watch = Stopwatch()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                assert await peer.told() == (1001, "")
                await peer.answer_close()

            report = await served.server.drain(DrainTimeouts(goodbye=1, wait=4))
        assert ended == [True]
        assert 4 <= watch.seconds <= 6
        assert report.cut == 1


async def test_a_handler_that_has_last_words(autojump_clock: MockClock) -> None:
    """W26: cannot send them any more: the close is the last frame; it is told so."""
    errors: list[Exception] = []

    async def handler(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(message)
        try:
            await websocket.send("and another thing")
        except WebSocketClosedError as error:
            errors.append(error)

    async with serving_websocket(handler, **PATIENT) as served:
        peer = await served.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain)
            assert await peer.told() == (1001, "")
            await peer.answer_close()
            assert await peer.rest() == b""
            await peer.stream.aclose()
    assert len(errors) == 1


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_messages_before_the_drain_are_answered(kind: str) -> None:
    """W26: what was accepted leaves before the close."""

    def again(websocket: WebSocket, message: Message) -> Message:
        return message

    handler: Any = again if kind == "plain" else echo
    async with serving_websocket(handler) as served:
        peer = await served.open()
        for number in range(50):
            await peer.say(str(number))
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain)
            assert [await peer.hear() for _ in range(50)] == [str(n) for n in range(50)]
            assert await peer.told() == (1001, "")
            await peer.answer_close()
            await peer.rest()
            await peer.stream.aclose()


async def test_a_handshake_under_way(autojump_clock: MockClock) -> None:
    """W26: is answered with 503, one that has not begun with the end."""

    async def process(request: Request) -> None:
        await trio.sleep(2)

    async with serving_websocket(process_request=process, **PATIENT) as served:
        asking, silent = await served.connect(), await served.connect()
        await asking.send(handshake())
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain)
            assert await silent.rest() == b""
            reply = await asking.reply()
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            for peer in asking, silent:
                await peer.rest()
                await peer.stream.aclose()
        assert served.counts.opened == 0


async def test_drains_from_several_tasks(autojump_clock: MockClock) -> None:
    """W26: all get the same report; a handler's task may begin one that it does not wait for."""
    reports: list[object] = []
    async with serving_websocket(**PATIENT) as served:
        peer = await served.open()

        async def drain() -> None:
            reports.append(await served.server.drain())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(drain)
            assert await peer.told() == (1001, "")
            await peer.stream.aclose()
        assert len({id(report) for report in reports}) == 1


async def test_cancelling_the_server(autojump_clock: MockClock) -> None:
    """W26: cuts at once, and handlers have ended when it returns."""
    ended: list[str] = []

    async def handler(websocket: WebSocket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(websocket.path)

    watch = Stopwatch()
    async with serving_websocket(handler, **PATIENT) as served:
        await served.open(target="/a")
        await served.open(target="/b")
    assert sorted(ended) == ["/a", "/b"]
    assert watch.seconds < 1
