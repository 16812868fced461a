"""How the WebSockets of ASGI applications end."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from snowtrio.asgi import ClientDisconnectedError
from snowtrio.testing.websocket import Opcode, expect_close, expect_message
from snowtrio.websocket import Close, WebSocketLimits

from .asgi_websockets import Message, Receive, Send, accept, disconnected, echo, serving


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


async def test_a_client_that_leaves_before_it_is_accepted(autojump_clock: MockClock) -> None:
    """W35, W13: an application that waits is told, and its place is free."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        told.append(await receive())

    async with serving(app) as served:
        peer = await served.connect()
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
