"""ASGI applications are asked for WebSockets, and accept or refuse."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from snowtrio.http import UpgradeRefusedError
from snowtrio.testing.websocket import Frame, Opcode, expect_close, expect_message, expect_pong

from .asgi_websockets import (
    HANDSHAKE,
    HTTP,
    Message,
    Receive,
    Send,
    accept,
    disconnected,
    echo,
    serving,
)


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


@pytest.mark.parametrize("answer", ["websocket.accept", "websocket.close"])
async def test_an_answer_while_another_task_receives(
    autojump_clock: MockClock, answer: str
) -> None:
    """W35, W1: what the client has sent early is the WebSocket's."""
    heard: list[Message] = []

    async def hear(receive: Receive) -> None:
        heard.append(await receive())

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear, receive)
            await trio.testing.wait_all_tasks_blocked()
            await send({"type": answer})

    async with serving(app) as served:
        early = Frame(Opcode.TEXT, b"early", masked=True).encode()
        peer = await served.connect(HANDSHAKE + early)
        head = await peer.receive_head()
        await trio.sleep(1)
    if answer == "websocket.accept":
        assert head.startswith(b"HTTP/1.1 101 ")
        assert heard == [{"type": "websocket.receive", "text": "early", "bytes": None}]
    else:
        assert head.startswith(b"HTTP/1.1 403 ")
        assert heard == [disconnected(1006)]
