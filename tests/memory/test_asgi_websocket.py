"""ASGI applications with WebSockets, whose clients are in memory."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import attrs
import pytest
import trio
from trio.testing import MockClock

from snowtrio import DrainTimeouts, Side, StreamEndpoint
from snowtrio.asgi import ASGIServer, ClientDisconnectedError, serve_asgi_listeners
from snowtrio.http import UpgradeRefusedError
from snowtrio.testing import MemoryListener
from snowtrio.testing.websocket import Opcode, WirePeer, expect_close, expect_message, expect_pong
from snowtrio.websocket import Close, WebSocket, WebSocketLimits, open_websocket

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@attrs.frozen
class Served:
    """A server that runs, and its listener in memory."""

    server: ASGIServer
    listener: MemoryListener

    def open(self, path: str = "/ws", **options: Any) -> AbstractAsyncContextManager[WebSocket]:
        endpoint = StreamEndpoint(self.listener.connect)
        return open_websocket(f"ws://memory{path}", endpoint=endpoint, **options)

    async def connect(self, greeting: bytes = HANDSHAKE) -> WirePeer:
        """Return a peer in the test's hands, which has asked for something."""
        peer = WirePeer(Side.CLIENT, await self.listener.connect())
        await peer.send(greeting)
        return peer


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Served]:
    """Serve in memory for the time of a block."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_asgi_listeners, app, [listener], lifespan="off", **options)
        yield Served(await nursery.start(serve), listener)
        nursery.cancel_scope.cancel()


async def accept(receive: Receive, send: Send, **more: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def disconnected(code: int, reason: str = "") -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


async def test_messages_both_ways(autojump_clock: MockClock) -> None:
    """W35: text and bytes, a ping, an empty message."""
    async with serving(echo) as served, served.open() as client:
        for message in ("hello", b"hello", "", b"", "x" * 100_000):
            await client.send(message)
            await expect_message(client, message)
        await expect_pong(client)


async def test_scope(autojump_clock: MockClock) -> None:
    """W35, W4: what an application knows before it answers."""
    scopes: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await accept(receive, send)

    options: Any = {"subprotocols": ["a", "b"], "headers": {"X-Name": "emma"}}
    async with (
        serving(app, root_path="/api") as served,
        served.open("/w%20s?x=%20", **options) as client,
    ):
        await expect_close(client, 1000)
    (scope,) = scopes
    headers = dict(scope.pop("headers"))
    assert headers[b"x-name"] == b"emma"
    assert headers[b"sec-websocket-protocol"] == b"a, b"
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/api/w s",
        "raw_path": b"/api/w%20s",
        "query_string": b"x=%20",
        "root_path": "/api",
        "client": None,
        "server": None,
        "subprotocols": ["a", "b"],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


async def test_accept_with_a_subprotocol_and_headers(autojump_clock: MockClock) -> None:
    """W35, W5."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        headers = [(b"x-name", b"emma"), (b"connection", b"keep-alive")]
        await accept(receive, send, subprotocol="b", headers=headers)

    async with serving(app) as served, served.open(subprotocols=["a", "b"]) as client:
        assert client.subprotocol == "b"
        assert client.response_headers["x-name"] == "emma"
        assert client.response_headers.getall("connection") == ["upgrade"]


@pytest.mark.parametrize(
    "accepted",
    [
        {"subprotocol": "c"},
        {"headers": [(b"Sec-WebSocket-Protocol", b"a")]},
        {"headers": [(b"x-name", b"a\r\nb: c")]},
        {"headers": [("x-name", "emma")]},
    ],
)
async def test_accept_that_cannot_be(
    autojump_clock: MockClock, accepted: Message, caplog: pytest.LogCaptureFixture
) -> None:
    """W35: the application's mistake, told to it; the client gets 500."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send, **accepted)

    async with serving(app) as served:
        with pytest.raises(UpgradeRefusedError) as caught:
            async with served.open(subprotocols=["a"]):
                pass
    assert caught.value.status == 500
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# Refusals


async def test_close_before_accept(autojump_clock: MockClock) -> None:
    """W35, W4: 403 at once, and the connection goes on when the application has ended."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"next"})
            return
        await send({"type": "websocket.close", "code": 4000})
        await receive()
        told.append(await receive())
        await trio.sleep(100)

    async with serving(app) as served:
        peer = await served.connect(HANDSHAKE + HTTP)
        assert b" 403 " in await peer.receive_head()
        began = trio.current_time()
        assert b" 200 " in await peer.receive_head()
        assert trio.current_time() == began + 100
    assert told == [disconnected(1006)]


async def test_denial_response(autojump_clock: MockClock) -> None:
    """W35, W4: any status, headers and body."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert "websocket.http.response" in scope["extensions"]
        await receive()
        headers = [(b"x-why", b"stranger")]
        kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": 401, "headers": headers})
        await send({"type": f"{kind}.body", "body": b"who ", "more_body": True})
        await send({"type": f"{kind}.body", "body": b"are you?"})
        assert await receive() == disconnected(1006)

    async with serving(app) as served:
        with pytest.raises(UpgradeRefusedError) as caught:
            async with served.open():
                pass
        assert caught.value.status == 401
        response: Any = caught.value.response
        assert response.headers["x-why"] == "stranger"
        peer = await served.connect(HANDSHAKE[:-2] + b"Connection: close\r\n\r\n")
        assert (await peer.receive_head()).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("mistake", ["nothing", "raise", "half", "send", "twice"])
async def test_an_application_that_does_not_answer(
    autojump_clock: MockClock, mistake: str, caplog: pytest.LogCaptureFixture
) -> None:
    """W35: 500, and it is logged."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        if mistake == "raise":
            raise ZeroDivisionError
        if mistake == "half":
            await send({"type": "websocket.http.response.start", "status": 200})
        if mistake == "send":
            await send({"type": "websocket.send", "text": "too early"})
        if mistake == "twice":
            await send({"type": "websocket.http.response.start", "status": 200})
            await send({"type": "websocket.accept"})

    async with serving(app) as served:
        with pytest.raises(UpgradeRefusedError) as caught:
            async with served.open():
                pass
    assert caught.value.status == 500
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    ("field", "status"),
    [(b"Sec-WebSocket-Version: 12", b"426"), (b"Sec-WebSocket-Version: 13\r\nX: y", b"400")],
)
async def test_a_bad_handshake_is_not_the_applications(field: bytes, status: bytes) -> None:
    """W35, W2: it is never called."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise AssertionError

    bad = HANDSHAKE.replace(b"Sec-WebSocket-Version: 13", field)
    if status == b"400":
        bad = bad.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short")
    async with serving(app) as served:
        peer = await served.connect(bad)
        assert (await peer.receive_head()).startswith(b"HTTP/1.1 " + status)


# The end


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4000, "enough"), (1005, "")])
async def test_the_client_closes(autojump_clock: MockClock, code: int, reason: str) -> None:
    """W35, W13: the application has its code and reason, and sends no more; asked again too."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        told.append(await receive())
        told.append(await receive())
        await send({"type": "websocket.send", "text": "nobody listens"})

    async with serving(app) as served:
        peer = await served.connect()
        await peer.receive_head()
        await peer.send_close(None if code == 1005 else code, reason)
        await peer.expect_close(code)
        await peer.expect_end()
    assert told == [disconnected(code, reason)] * 2


async def test_send_after_the_client_has_closed(autojump_clock: MockClock) -> None:
    """W35, W12: an OSError, as ASGI has it; to end by it is no failure."""
    raised: list[Exception] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await trio.sleep(10)
        try:
            await send({"type": "websocket.send", "text": "nobody listens"})
        except OSError as error:
            raised.append(error)
            raise

    async with serving(app) as served, served.open() as client:
        await client.close()
        await trio.sleep(20)
    assert [type(error) for error in raised] == [ClientDisconnectedError]


async def test_a_lost_connection(autojump_clock: MockClock) -> None:
    """W35, W13: 1006."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        while (message := await receive())["type"] != "websocket.disconnect":
            pass
        told.append(message)

    async with serving(app) as served:
        peer = await served.connect()
        await peer.receive_head()
        await peer.send_frame(Opcode.TEXT, b"hello")
        await peer.aclose()
        await trio.sleep(1)
    assert told == [disconnected(1006)]


async def test_a_client_that_breaks_the_protocol(autojump_clock: MockClock) -> None:
    """W35, W14: it is told 1002, and the application too."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        told.append(await receive())

    async with serving(app) as served:
        peer = await served.connect()
        await peer.receive_head()
        await peer.send_frame(Opcode.TEXT, b"hello", masked=False)
        await peer.expect_close(1002)
    (message,) = told
    assert (message["type"], message["code"]) == ("websocket.disconnect", 1002)
    assert message["reason"]


async def test_the_bounds_of_messages(autojump_clock: MockClock) -> None:
    """W35, W16."""
    limits = WebSocketLimits(max_message_size=10)
    async with serving(echo, websocket_limits=limits) as served, served.open() as client:
        await client.send("0123456789")
        await expect_message(client, "0123456789")
        await client.send("0123456789+")
        await expect_close(client, 1009)


@pytest.mark.parametrize(
    ("message", "close"),
    [({}, Close(1000)), ({"code": 4000, "reason": "enough"}, Close(4000, "enough"))],
)
async def test_the_application_closes(
    autojump_clock: MockClock, message: Message, close: Close
) -> None:
    """W35, W12: what it sends afterwards is its mistake."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "text": "last"})
        await send({"type": "websocket.close", **message})
        told.append(await receive())
        with pytest.raises(Exception, match="closed"):
            await send({"type": "websocket.send", "text": "nobody listens"})
        with pytest.raises(Exception, match="closed"):
            await send({"type": "websocket.close"})

    async with serving(app) as served, served.open() as client:
        await expect_message(client, "last")
        assert await expect_close(client) == close
        await trio.sleep(1)
    assert told == [disconnected(close.code)]  # As the client has echoed it.


async def test_a_close_while_another_task_receives(autojump_clock: MockClock) -> None:
    """W35, W12: whichever came first."""
    told: list[Message] = []

    async def hear(receive: Receive) -> None:
        told.append(await receive())

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        async with trio.open_nursery() as nursery:
            if scope["path"] == "/receive":
                nursery.start_soon(hear, receive)
                await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(send, {"type": "websocket.close", "code": 4000})
            await trio.testing.wait_all_tasks_blocked()
            if scope["path"] == "/close":
                nursery.start_soon(hear, receive)

    async with serving(app) as served:
        for path in ("/receive", "/close"):
            async with served.open(path) as client:
                await trio.sleep(1)
                await expect_close(client, 4000)
    assert told == [disconnected(4000)] * 2


async def test_a_code_that_cannot_be_sent(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W35, W12: the application's mistake; its failure is 1011."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close", "code": 1006})

    async with serving(app) as served, served.open() as client:
        await expect_close(client, 1011)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    "message", [{}, {"text": "a", "bytes": b"a"}, {"text": b"a"}, {"bytes": "a"}, {"text": 1}]
)
async def test_messages_that_are_none(
    autojump_clock: MockClock, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    """W35."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "bytes": bytearray(b"ok"), "text": None})
        await send({"type": "websocket.send", **message})

    async with serving(app) as served, served.open() as client:
        await expect_message(client, b"ok")
        await expect_close(client, 1011)
    assert "ASGI has" in str(caplog.records[0].exc_info)


async def test_an_application_that_fails(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W35, W8: 1011, and what it has sent arrives; logged once."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "text": "last"})
        raise ZeroDivisionError

    async with serving(app) as served, served.open() as client:
        await expect_message(client, "last")
        await expect_close(client, 1011)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("snowtrio.asgi", "ERROR")
    assert "WebSocket /ws" in record.getMessage()


async def test_frameworks_fail_when_their_client_leaves(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W35, W36: that is no error."""
    caplog.set_level(logging.INFO)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        assert (await receive())["type"] == "websocket.receive"

    async with serving(app) as served:
        async with served.open():
            pass
        await trio.sleep(1)
    assert {record.levelname for record in caplog.records} <= {"INFO", "DEBUG"}


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
