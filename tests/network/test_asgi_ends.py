"""Applications that fail, clients that leave, and what goes on behind a response."""

from __future__ import annotations

import logging
import socket
import struct

import pytest
import trio

from snowtrio.asgi import ClientDisconnectedError

from .asgi import (
    CLOSE,
    KEEP,
    Message,
    Receive,
    Send,
    ask,
    body,
    connect,
    read_all,
    read_answer,
    read_until,
    sending,
    serving,
    start,
)

START = start(200, (b"x-a", b"b"))


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]


def reset(stream: trio.SocketStream) -> None:
    """Leave as rudely as one can."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


# Applications


@pytest.mark.parametrize("messages", [[], [START]])
async def test_raises_before_the_response(
    messages: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    """Z5: an application that raises is logged and answered for with 500; the next is served."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(*messages)(scope, receive, send)
        raise LookupError("lost")

    async with serving(app, lifespan="off") as server:
        answer = await ask(server, KEEP + CLOSE)
    assert answer.status == 500
    assert answer.values("x-a") == []
    assert answer.body.count(b"HTTP/1.1 500") == 1
    assert errors_in(caplog) == ["the application failed: GET /"] * 2
    assert "LookupError: lost" in caplog.text


async def test_raises_in_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: the client can tell that the response is not whole."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(START, body(b"abc", more=True))(scope, receive, send)
        raise LookupError("lost")

    async with serving(app, lifespan="off") as server:
        answer = await ask(server)
    assert answer.body == b"3\r\nabc\r\n"
    assert errors_in(caplog) == ["the application failed: GET /"]


async def test_raises_behind_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: what fails behind the response is logged, and the connection goes on."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(START, body(b"abc"))(scope, receive, send)
        raise LookupError("lost")

    async with serving(app, lifespan="off") as server:
        answer = await ask(server, KEEP + CLOSE)
    assert answer.body.endswith(b"\r\n\r\nabc")
    assert errors_in(caplog) == ["the application failed: GET /"] * 2


@pytest.mark.parametrize("messages", [[], [START], [START, body(b"abc", more=True)]])
async def test_returns_without_a_response(
    messages: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    """Z5: one that returns too early has failed as well."""
    async with serving(sending(*messages)) as server:
        answer = await ask(server)
    assert answer.status == (200 if len(messages) == 2 else 500)
    assert not answer.body.endswith(b"0\r\n\r\n")
    assert errors_in(caplog) == ["the application left a response incomplete: GET /"]


async def test_background() -> None:
    """Z5: what is done behind a response holds up neither the connection nor others."""
    waiting: list[trio.Event] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(START, body(b"abc"))(scope, receive, send)
        waiting.append(trio.Event())
        await waiting[-1].wait()
        waiting.pop()

    async with serving(app, lifespan="off") as server:
        async with await connect(server) as stream:
            for number in range(1, 4):
                await stream.send_all(KEEP)
                await read_until(stream, b"abc")
                assert len(waiting) == number
        for each in list(waiting):
            each.set()
        await trio.testing.wait_all_tasks_blocked()
        assert not waiting


async def test_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """B7: each request has its line when it is answered, whatever goes on behind it."""
    go_on = trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] == "/fails":
            raise LookupError("lost")
        await sending(START, body(b"abc"))(scope, receive, send)
        if scope["path"] == "/behind":
            await go_on.wait()

    with caplog.at_level(logging.INFO, "snowtrio.http.access"):
        async with serving(app, lifespan="off") as server:
            behind, fails = (KEEP.replace(b"/", b"/" + each, 1) for each in (b"behind", b"fails"))
            await ask(server, behind + KEEP + fails + CLOSE)
            go_on.set()
    lines = [each.getMessage() for each in caplog.records if each.name.endswith("access")]
    assert [line.split()[2] for line in lines] == ["/behind", "/", "/fails", "/"]
    assert [line.split()[4] for line in lines] == ["200", "200", "500", "200"]


async def test_background_is_bounded() -> None:
    """Z5: with as much in the background as may be, a connection waits for its own."""
    waiting: list[trio.Event] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(START, body(b"abc"))(scope, receive, send)
        waiting.append(trio.Event())
        await waiting[-1].wait()

    async with (
        serving(app, lifespan="off", max_background=1) as server,
        await connect(server) as stream,
    ):
        for _ in range(2):
            await stream.send_all(KEEP)
            await read_until(stream, b"abc")
        await stream.send_all(KEEP)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(waiting) == 2
        waiting[1].set()
        await read_until(stream, b"abc")
        assert len(waiting) == 3


async def test_background_outlives_its_client() -> None:
    """Z5: a client that resets its connection does not cancel what is done behind a response."""
    gone, done = trio.Event(), trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(START, body(b"abc"))(scope, receive, send)
        await gone.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        done.set()

    async with serving(app, lifespan="off") as server:
        stream = await connect(server, KEEP)
        await read_until(stream, b"abc")
        reset(stream)
        gone.set()
        await done.wait()


# Clients


@pytest.mark.parametrize("rudely", [False, True])
async def test_client_leaves_before_the_response(
    rudely: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Z5: the application is told, once and for all, and not cancelled."""
    told: list[str] = []
    called, over = trio.Event(), trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        called.set()
        told.append((await receive())["type"])
        told.append((await receive())["type"])
        await trio.testing.wait_all_tasks_blocked(0.05)
        over.set()

    async with serving(app, lifespan="off") as server:
        stream = await connect(server, KEEP)
        await called.wait()
        if rudely:
            reset(stream)
        else:
            await stream.aclose()
        await over.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert server.statistics().server.pool.connections == 0
    assert told == ["http.disconnect"] * 2
    assert errors_in(caplog) == []


async def test_half_closed_client_gets_its_response() -> None:
    """Z5: a client may end its input behind its request, as ``nc -N`` does."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await sending(START, body(b"ab", more=True), body(b"c"))(scope, receive, send)

    async with serving(app, lifespan="off") as server, await connect(server, KEEP) as stream:
        await stream.send_eof()
        assert read_answer(await read_all(stream)).body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


async def test_client_leaves_in_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: sending raises an OSError, which is no failure of the application."""
    raised: list[Exception] = []
    over = trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        try:
            while True:
                await send(body(bytes(65536), more=True))
        except OSError as error:
            raised.append(error)
            raise
        finally:
            over.set()

    async with serving(app, lifespan="off") as server:
        stream = await connect(server, KEEP)
        await read_until(stream, b"\0")
        reset(stream)
        await over.wait()
    assert [type(error) for error in raised] == [ClientDisconnectedError]
    assert errors_in(caplog) == []


async def test_response_waits_for_the_client() -> None:
    """Z5: the application cannot send without bound to a client that takes nothing."""
    sent = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(START)
        for _ in range(400):
            await send(body(bytes(65536), more=True))
            sent += 1
        await send(body())

    async with serving(app, lifespan="off") as server, await connect(server, CLOSE) as stream:
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert 0 < sent < 300
        assert len(await read_all(stream)) > 400 * 65536
    assert sent == 400


async def test_end_of_the_response_wakes_who_receives() -> None:
    """Z5: who waits for the client to leave is told when the response is complete.

    The request that has come meanwhile is not lost.
    """
    told: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            while (message := await receive())["type"] != "http.disconnect":
                pass
            told.append(message["type"])

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            await sending(START, body(b"ab", more=True))(scope, receive, send)
            await trio.testing.wait_all_tasks_blocked()
            await send(body(b"c"))

    async with serving(app, lifespan="off") as server, await connect(server, KEEP) as stream:
        data = await read_until(stream, b"ab")
        await stream.send_all(CLOSE)
        data += await read_all(stream)
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.count(b"0\r\n\r\n") == 2
    assert told == ["http.disconnect"] * 6


async def test_pipelining() -> None:
    """Z4: requests that come together are answered in order."""
    numbers = iter(range(1000))

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"<%d>" % next(numbers)))

    async with serving(app, lifespan="off") as server:
        data = (await ask(server, KEEP * 100 + CLOSE)).body
    at = [data.find(b"<%d>" % number) for number in range(101)]
    assert at == sorted(at)
    assert at[0] >= 0


async def test_cancelled() -> None:
    """Z5: with its server cancelled, the application is cancelled."""
    called, cancelled = trio.Event(), trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        called.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with serving(app, lifespan="off") as server:
        stream = await connect(server, KEEP)
        await called.wait()
    assert cancelled.is_set()
    assert await read_all(stream) == b""
    await stream.aclose()
