"""What a server makes of its handlers, however they end."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio.http import HTTPLimits
from snowtrio.websocket import (
    Close,
    Message,
    WebSocket,
    WebSocketClosedError,
    WebSocketLimits,
)

from ...serving import errors_in
from ...websocket_serving import WebSocketPeer, echo, handshake, serving_websocket

PATIENT: dict[str, Any] = {"patience": 5000.0}


# The kinds


def shout(websocket: WebSocket, message: Message) -> Message | None:
    assert isinstance(message, str)
    if message == "quiet":
        return None
    if message == "who":
        return websocket.path
    return message.upper()


async def test_a_plain_function() -> None:
    """W8: is called with each message; what it returns is sent, unless it is None."""
    async with serving_websocket(shout) as served:
        peer = await served.open(target="/me")
        for message in ("hello", "quiet", "who"):
            await peer.say(message)
        assert await peer.hear() == "HELLO"
        assert await peer.hear() == "/me"
        assert await peer.ping() == b"?"
        assert await peer.close(3000) == (3000, "")
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert served.counts.closed == {3000: 1}


class Shouter:
    """An object that is called like a coroutine function."""

    async def __call__(self, websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send(str(message).upper())


async def test_an_object_that_is_called() -> None:
    """W8: is a coroutine function where its call is one."""
    async with serving_websocket(Shouter()) as served:
        assert await (await served.open()).echoed("hello") == "HELLO"


async def test_text_is_str_and_binary_is_bytes() -> None:
    """W8: and each goes back as what it was."""
    kinds: list[type] = []

    def handler(websocket: WebSocket, message: Message) -> Message:
        kinds.append(type(message))
        return message

    async with serving_websocket(handler) as served:
        peer = await served.open()
        assert await peer.echoed("äöü 🐉") == "äöü 🐉"
        assert await peer.echoed(b"\x00\xff") == b"\x00\xff"
        assert await peer.echoed("") == ""
        assert kinds == [str, bytes, str]


async def test_a_handler_pushes_with_no_input() -> None:
    """W6: code runs after the 101, whatever the client does."""

    async def push(websocket: WebSocket) -> None:
        for number in range(3):
            await websocket.send(str(number))
        await trio.sleep_forever()

    async with serving_websocket(push) as served:
        peer = await served.open()
        assert [await peer.hear() for _ in range(3)] == ["0", "1", "2"]


async def test_one_connection_in_order_and_two_at_the_same_time() -> None:
    """W7: messages of one WebSocket one after the other, two WebSockets beside each other."""
    running: list[str] = []
    most: list[int] = []
    gate = trio.Event()

    async def handler(websocket: WebSocket) -> None:
        async for message in websocket:
            running.append(websocket.path)
            most.append(len(running))
            assert running.count(websocket.path) == 1
            await gate.wait()
            running.remove(websocket.path)
            await websocket.send(message)

    async with serving_websocket(handler) as served:
        peers = [await served.open(target=f"/{name}") for name in "ab"]
        for peer in peers:
            for number in range(5):
                await peer.say(str(number))
        await wait_all_tasks_blocked()
        assert max(most) == 2
        gate.set()
        for peer in peers:
            assert [await peer.hear() for _ in range(5)] == list("01234")


# The ends


async def leave_early(websocket: WebSocket) -> None:
    await websocket.receive()


@pytest.mark.parametrize("answers", [True, False])
async def test_a_handler_that_returns_early(answers: bool, autojump_clock: MockClock) -> None:
    """W12: closes with 1000, though messages are unread; whoever never answers is cut."""
    async with serving_websocket(leave_early, **PATIENT) as served:
        peer = await served.open()
        for number in range(100):
            await peer.say(str(number))
        late = peer.framed("one more on its way")
        assert await peer.told() == (1000, "")
        began = trio.current_time()
        if answers:
            await peer.send(late)
            await peer.answer_close()
        assert await peer.rest() == b""
        assert trio.current_time() - began <= (1 if answers else WebSocketLimits().close_timeout)
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert served.connections == 0
        assert served.counts.closed == {1000: 1}


async def test_a_handler_that_closes_by_itself() -> None:
    """W12: with its own code and reason, of which there is one."""

    async def handler(websocket: WebSocket) -> None:
        await websocket.close(4321, "enough")
        assert websocket.close_sent == Close(4321, "enough")
        assert websocket.close_received == Close(1000, "")

    async with serving_websocket(handler) as served:
        peer = await served.open()
        assert await peer.told() == (4321, "enough")
        await peer.answer_close()
        assert await peer.rest() == b""
        await peer.stream.aclose()


@pytest.mark.parametrize("kind", ["coroutine", "plain", "group"])
async def test_a_handler_that_fails(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """W8: its client is told 1011, the log once and with a traceback; others go on."""
    problem = ZeroDivisionError("mine")

    async def fail(websocket: WebSocket) -> None:
        async for message in websocket:
            await websocket.send("not " + str(message))
            raise problem

    def fail_plainly(websocket: WebSocket, message: Message) -> Message:
        if message == "boom":
            raise problem
        return "not " + str(message)

    async def fail_together(websocket: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, websocket)
            nursery.start_soon(trio.sleep_forever)

    handlers: dict[str, Any] = {
        "coroutine": fail,
        "plain": fail_plainly,
        "group": fail_together,
    }
    async with serving_websocket(handlers[kind]) as served:
        peer, other = await served.open(target="/the/path"), await served.open()
        assert await peer.echoed("yet") == "not yet"
        if kind == "plain":
            await peer.say("boom")
        assert await peer.told() == (1011, "")
        await peer.answer_close()
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        (logged,) = errors_in(caplog)
        assert logged is not None
        notes = logged.__notes__
        if isinstance(logged, BaseExceptionGroup):
            (logged,) = logged.exceptions
        assert logged is problem
        (where,) = notes
        assert where.startswith("in the handler of <WebSocket server ")
        assert where.endswith(" /the/path")
        assert served.counts.closed == {1011: 1}
        assert await other.ping() == b"?"


async def test_several_errors_together(caplog: pytest.LogCaptureFixture) -> None:
    """W8: are logged as the group that they are."""

    async def fail(error: Exception) -> None:
        raise error

    async def handler(websocket: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, KeyError("a"))
            nursery.start_soon(fail, ValueError("b"))

    async with serving_websocket(handler) as served:
        peer = await served.open()
        assert await peer.told() == (1011, "")
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        (group,) = errors_in(caplog)
        assert isinstance(group, ExceptionGroup)
        assert {type(error) for error in group.exceptions} == {KeyError, ValueError}


async def test_errors_that_propagate() -> None:
    """W8: end the server where that is wanted, once the client was told."""
    problem = ZeroDivisionError("mine")
    peers: list[WebSocketPeer] = []

    async def fail(websocket: WebSocket) -> None:
        raise problem

    async def serve() -> None:
        async with serving_websocket(fail, propagate_errors=True) as served:
            peers.append(await served.open())
            assert await peers[0].told() == (1011, "")
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await serve()
    assert caught.group_contains(ZeroDivisionError)


# Departures


async def just_send(websocket: WebSocket) -> None:
    while True:
        await websocket.send("x" * 1000)
        await trio.sleep(0.01)


async def receive_all(websocket: WebSocket) -> None:
    while True:
        await websocket.receive()


async def in_a_nursery(websocket: WebSocket) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all, websocket)
        nursery.start_soon(just_send, websocket)


@pytest.mark.parametrize("handler", [echo, just_send, receive_all, in_a_nursery])
@pytest.mark.parametrize("way", ["close", "vanish"])
async def test_departures_are_silent(
    handler: Any, way: str, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """W9: a handler that only ends because its client has left has not failed."""
    caplog.set_level(logging.INFO, "snowtrio")
    async with serving_websocket(handler, **PATIENT) as served:
        peer = await served.open()
        if way == "close":
            await peer.send(CLOSE)
            await peer.rest()
        await peer.stream.aclose()
        await trio.sleep(1)
        assert served.connections == 0
        assert served.counts.closed == {1000 if way == "close" else 1006: 1}
    told = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert told == []


# A masked close with 1000.
CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


@pytest.mark.parametrize("way", ["close", "vanish"])
async def test_a_handler_that_never_receives(way: str, autojump_clock: MockClock) -> None:
    """W13: its client's close is answered at once; the handler is cut at its deadline."""
    ended: list[float] = []

    async def handler(websocket: WebSocket) -> None:
        began = trio.current_time()
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time() - began)

    limits = WebSocketLimits(handler_timeout=5)
    async with serving_websocket(handler, limits=limits, **PATIENT) as served:
        peer = await served.open()
        if way == "close":
            assert await peer.close(1000) == (1000, "")
            assert await peer.rest() == b""
        await peer.stream.aclose()
        await trio.sleep(100)
        assert served.connections == 0
        assert ended
        assert ended[0] <= 6


async def test_a_handler_that_waits_for_something_else(autojump_clock: MockClock) -> None:
    """W13: finds out by the next send."""
    errors: list[WebSocketClosedError] = []

    async def handler(websocket: WebSocket) -> None:
        await trio.sleep(3)
        try:
            await websocket.send("are you there")
        except WebSocketClosedError as error:
            errors.append(error)
            raise

    async with serving_websocket(handler, **PATIENT) as served:
        peer = await served.open()
        assert await peer.close(4000, "bye") == (4000, "")
        await peer.stream.aclose()
        await trio.sleep(10)
        assert served.connections == 0
    (error,) = errors
    assert (error.code, error.reason) == (4000, "bye")


# Looking at it


async def test_what_the_server_knows() -> None:
    """B7: those that are open, and how the others ended."""
    found: dict[str, WebSocket] = {}

    async def handler(websocket: WebSocket) -> None:
        found[websocket.path] = websocket
        await echo(websocket)

    async with serving_websocket(handler) as served:
        server = served.server
        view = server.websockets
        assert (len(view), server.statistics().open) == (0, 0)
        peers = [await served.open(target=f"/{number}") for number in range(3)]
        assert list(view) == [found["/0"], found["/1"], found["/2"]]
        assert found["/1"] in view
        assert await peers[1].close(3001) == (3001, "")
        await peers[1].stream.aclose()
        await peers[2].stream.aclose()
        await wait_all_tasks_blocked()
        assert list(view) == [found["/0"]]
        counts = server.statistics()
        assert (counts.open, counts.opened) == (1, 3)
        assert counts.closed == {3001: 1, 1006: 1}
        assert counts.http.requests == 3
        assert counts.http.upgraded == 1


async def test_bounds_are_replaced() -> None:
    """B2: for WebSockets that are opened from then on."""
    async with serving_websocket(limits=WebSocketLimits(max_message_size=4)) as served:
        server = served.server
        before = await served.open()
        assert server.limits.max_message_size == 4
        server.limits = WebSocketLimits(max_message_size=8)
        after = await served.open()
        assert await after.echoed("12345678") == "12345678"
        await before.say("12345")
        assert (await before.told())[0] == 1009
        server.http_limits = HTTPLimits(max_connections=2)
        assert server.http_limits.max_connections == 2


async def test_cut_all_and_go_on() -> None:
    """S24: nobody is told why, and the next one is welcome."""
    async with serving_websocket() as served:
        peer = await served.open()
        served.server.close_all()
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert served.counts.closed == {1006: 1}
        assert await (await served.open()).echoed("x") == "x"


async def test_a_violation_is_counted() -> None:
    """W11: by the code that the client was told."""
    async with serving_websocket() as served:
        peer = await served.open()
        await peer.send(b"\xf1\x80\x00\x00\x00\x00")
        assert (await peer.told())[0] == 1002
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert served.counts.closed == {1002: 1}
        assert served.connections == 0


async def test_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """W36: at level DEBUG, by loggers of our own: who came, who was rejected, who left and how."""
    caplog.set_level(logging.DEBUG, "snowtrio")
    async with serving_websocket() as served:
        peer = await served.connect()
        await peer.ask(handshake(target="/bad", without=("Upgrade",)))
        peer = await served.open(target="/good")
        await peer.close(4000)
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
    ours = [each for each in caplog.records if each.name == "snowtrio.websocket.server"]
    assert {each.levelname for each in ours} == {"DEBUG"}
    rejected, opened, closed = [each.getMessage() for each in ours]
    assert "GET /bad" in rejected
    assert "400 the Upgrade field" in rejected
    assert opened.endswith("/good")
    assert closed.endswith("/good: 4000")
    assert all(each.name.startswith("snowtrio.") for each in caplog.records)


async def test_messages_piece_by_piece() -> None:
    """W15: of any size where that is asked for; what is received whole keeps its bound."""

    async def count(websocket: WebSocket) -> None:
        size = 0
        async for piece in await websocket.receive_stream():
            size += len(piece)
        await websocket.send(str(size))
        await websocket.receive()

    limits = WebSocketLimits(max_message_size=1000, pieces=True)
    async with serving_websocket(count, limits=limits) as served:
        peer = await served.open()
        assert await peer.echoed(b"x" * 50_000) == "50000"
        await peer.say(b"x" * 1001)
        assert (await peer.told())[0] == 1009
