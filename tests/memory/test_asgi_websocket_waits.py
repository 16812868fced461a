"""ASGI applications with WebSockets that are slow, drained, or cancelled at every step."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from snowtrio import DrainTimeouts, StreamEndpoint
from snowtrio.asgi import serve_asgi_listeners
from snowtrio.http import UpgradeRefusedError
from snowtrio.testing import MemoryListener
from snowtrio.testing.websocket import Opcode, expect_close, expect_pong
from snowtrio.websocket import WebSocketLimits, open_websocket

from .asgi_websockets import Message, Receive, Send, accept, disconnected, echo, serving

# Slow ones


async def test_an_application_that_does_not_receive(autojump_clock: MockClock) -> None:
    """W35, W10: pings are answered, and reading stops at the bounds; nothing is lost."""
    go = trio.Event()
    received: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await go.wait()
        while (message := await receive())["type"] == "websocket.receive":
            received.append(message["text"])

    limits = WebSocketLimits(max_queued_messages=3)
    async with serving(app, websocket_limits=limits) as served, served.open() as client:
        await client.send("first")
        await expect_pong(client)
        for number in range(100):
            await client.send(str(number))
        await trio.testing.wait_all_tasks_blocked()
        go.set()
        await expect_pong(client)
    assert received == ["first", *map(str, range(100))]


async def test_an_application_that_never_hears_of_the_end(autojump_clock: MockClock) -> None:
    """W35: it is cancelled, and its place is free."""
    ended: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    limits = WebSocketLimits(handler_timeout=10)
    for closes in (True, False):
        ended.clear()
        async with serving(app, websocket_limits=limits) as served:
            peer = await served.connect()
            await peer.receive_head()
            began = trio.current_time()
            if closes:
                await peer.send_close()
                await peer.expect_close()
            await peer.aclose()
            await trio.sleep(1000)
            assert served.server.statistics().server.pool.connections == 0
        (when,) = ended
        assert 9 <= when - began <= 12


async def test_an_application_that_has_heard_goes_on(autojump_clock: MockClock) -> None:
    """W35: as long as it likes."""
    ended: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await receive()
        await trio.sleep(500)
        ended.append(trio.current_time())

    async with serving(app) as served:
        peer = await served.connect()
        await peer.receive_head()
        began = trio.current_time()
        await peer.aclose()
        await trio.sleep(1000)
    assert 499 <= ended[0] - began <= 502


async def test_a_client_that_takes_nothing(autojump_clock: MockClock) -> None:
    """W35: the application waits, as it does with a response."""
    sent = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await accept(receive, send)
        while True:
            await send({"type": "websocket.send", "bytes": bytes(100_000)})
            sent += 1

    listener = MemoryListener(lockstep=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_asgi_listeners, app, [listener], lifespan="off"))
        endpoint = StreamEndpoint(listener.connect)
        limits = WebSocketLimits(ping_interval=None)
        async with open_websocket("ws://memory/", endpoint=endpoint, limits=limits) as client:
            await trio.testing.wait_all_tasks_blocked()
            assert 0 < sent < 100
            stopped = sent
            for _ in range(200):
                await client.receive()
            assert sent > stopped
            nursery.cancel_scope.cancel()


# Drains


async def test_a_drain_says_1001(autojump_clock: MockClock) -> None:
    """W35, W26: the application is told, and what it still does is waited for."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        told.append(await receive())
        await trio.sleep(5)
        told.append({"done": True})

    async with serving(app) as served, served.open() as client:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain)
            await expect_close(client, 1001)
        assert 5 <= trio.current_time() - began <= 7
    assert told == [disconnected(1001), {"done": True}]


async def test_a_drain_has_a_deadline(autojump_clock: MockClock) -> None:
    """W35, W26: an application that does not end is cancelled."""
    ended: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    limits = WebSocketLimits(handler_timeout=None)
    async with serving(app, websocket_limits=limits) as served, served.open() as client:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain, DrainTimeouts(goodbye=1, wait=50))
            await expect_close(client, 1001)
        assert 49 <= trio.current_time() - began <= 53
    assert len(ended) == 1


async def test_a_drain_before_the_answer(autojump_clock: MockClock) -> None:
    """W35, W26: the client is told to come again."""
    raised: list[Exception] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await trio.sleep(5)
        try:
            await accept(receive, send)
        except OSError as error:
            raised.append(error)
            raise

    async with serving(app) as served, trio.open_nursery() as nursery:

        async def drain() -> None:
            await trio.sleep(1)
            await served.server.drain()

        nursery.start_soon(drain)
        with pytest.raises(UpgradeRefusedError) as caught:
            async with served.open():
                pass
    assert caught.value.status == 503
    assert len(raised) == 1


async def test_a_server_that_is_cancelled(autojump_clock: MockClock) -> None:
    """W35: cancels its applications."""
    ended = trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with serving(app) as served:
        peer = await served.connect()
        await peer.receive_head()
    assert ended.is_set()


class Strike(trio.abc.Instrument):
    """Cancels a scope at the n-th step that any task takes."""

    def __init__(self, number: int, scope: trio.CancelScope) -> None:
        self._left = number
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def talk_once(number: int, events: list[str]) -> bool:
    """Open, talk, close and drain; cancel all of it at a step; say whether it came so far."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        events.append("in")
        try:
            await echo(scope, receive, send)
        finally:
            events.append("out")

    with trio.CancelScope() as scope:
        strike = Strike(number, scope)
        trio.lowlevel.add_instrument(strike)
        try:
            async with serving(app) as served:
                peer = await served.connect()
                await peer.receive_head()
                await peer.send_frame(Opcode.TEXT, b"hello")
                await peer.expect_frame(Opcode.TEXT, b"hello")
                await peer.send_close()
                await peer.expect_close(1000)
                await served.server.drain()
        finally:
            trio.lowlevel.remove_instrument(strike)
    return scope.cancelled_caught


async def test_cancelled_at_every_step(autojump_clock: MockClock) -> None:
    """W35: wherever it is cancelled, every call of the application has ended afterwards."""
    number, cancelled = 1, True
    events: list[str] = []
    while cancelled:
        events.clear()
        cancelled = await talk_once(number, events)
        assert events.count("in") == events.count("out")
        number += 1
    assert number > 20
    assert events == ["in", "out"]


async def accept_once(number: int) -> bool:
    """Have an application accept, and cancel what it does at a step; say whether that was so."""
    cancelled, answered = False, False

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal cancelled, answered
        await receive()
        with trio.CancelScope() as accepting:
            strike = Strike(number, accepting)
            trio.lowlevel.add_instrument(strike)
            try:
                await send({"type": "websocket.accept"})
                answered = True
                await send({"type": "websocket.send", "text": "hello"})
                await receive()
                await send({"type": "websocket.close"})
            finally:
                trio.lowlevel.remove_instrument(strike)
        cancelled = accepting.cancelled_caught

    async with serving(app) as served:
        peer = await served.connect()
        head = await peer.receive_head()
        if head.startswith(b"HTTP/1.1 101 "):
            await peer.send_frame(Opcode.TEXT, b"hello")
            while (frame := await peer.receive_frame()) is not None:
                assert frame.opcode in (Opcode.TEXT, Opcode.CLOSE)
                if frame.opcode == Opcode.CLOSE:
                    with suppress(trio.BrokenResourceError):  # Its close was cancelled: it is cut.
                        await peer.send_frame(Opcode.CLOSE, frame.payload)
        else:
            assert head.startswith(b"HTTP/1.1 500 ")
            assert not answered
    return cancelled


async def test_an_application_that_cancels_its_own_calls(autojump_clock: MockClock) -> None:
    """W35: the client has an answer all the same: 500, or a WebSocket that is closed."""
    number = 1
    with trio.fail_after(1000):
        while await accept_once(number):
            number += 1
    assert number > 5
