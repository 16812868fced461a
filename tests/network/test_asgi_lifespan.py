"""Applications that are told of the server's begin and end, and drains."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
import trio

from snowtrio import DrainTimeouts
from snowtrio.asgi import LifespanError, serve_asgi

from .asgi import (
    CLOSE,
    KEEP,
    TIMEOUT,
    Application,
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

HELLO = sending(start(), body(b"hello"))
NO_TIME = DrainTimeouts(goodbye=0, wait=0)


def living(events: list[str], app: Application = HELLO) -> Application:
    """Return an application with a lifespan around another one."""

    async def living_app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        for expected in ("startup", "shutdown"):
            assert await receive() == {"type": f"lifespan.{expected}"}
            events.append(expected)
            scope["state"][expected] = True
            await send({"type": f"lifespan.{expected}.complete"})

    return living_app


async def serve(app: Application, **options: Any) -> None:
    """Serve until that ends by itself."""
    with trio.fail_after(TIMEOUT):
        await serve_asgi(app, 0, **options)


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_lifespan(mode: str) -> None:
    """Z4: startup comes before the server listens, shutdown behind the last request."""
    events: list[str] = []
    async with trio.open_nursery() as nursery:
        options: dict[str, Any] = {"lifespan": mode}
        server = await nursery.start(partial(serve_asgi, living(events), 0, **options))
        assert events == ["startup"]
        assert (await ask(server)).body == b"hello"
        await server.drain()
        assert events == ["startup", "shutdown"]


async def test_state_is_copied() -> None:
    """Z4: each request sees what the startup has left, and not what other requests have."""
    states: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        states.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await HELLO(scope, receive, send)

    async with serving(living([], app)) as server:
        await ask(server, KEEP + CLOSE)
    assert states == [{"startup": True}] * 2


async def failing(scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    raise LookupError("no database")


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_startup_fails(mode: str) -> None:
    """Z4: a failed startup ends the server before it listens, and says why."""
    with pytest.raises(LifespanError, match="did not start: no database") as caught:
        await serve(failing, lifespan=mode)
    assert isinstance(caught.value.__cause__, LookupError)


async def ignorant(scope: Message, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await HELLO(scope, receive, send)


async def silent(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await HELLO(scope, receive, send)


@pytest.mark.parametrize("app", [ignorant, silent])
async def test_no_lifespan(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    """Z4: an application that knows nothing of it is served, unless it has to know."""
    async with serving(app) as server:
        assert (await ask(server)).body == b"hello"
        await server.drain()
    assert not [each for each in caplog.records if each.levelno > logging.INFO]
    with pytest.raises(LifespanError, match="at startup"):
        await serve(app, lifespan="on")


async def test_lifespan_off() -> None:
    """Z4: an application need not be asked."""
    events: list[str] = []
    async with serving(living(events), lifespan="off") as server:
        assert (await ask(server)).body == b"hello"
        await server.drain()
    assert events == []


async def test_no_such_mode() -> None:
    """Z4: a word that is none of the three is refused."""
    with pytest.raises(ValueError, match="maybe"):
        await serve(HELLO, lifespan="maybe")


@pytest.mark.parametrize("with_message", [False, True])
async def test_shutdown_fails(with_message: bool) -> None:
    """Z4: a failed shutdown is the server's failure, once all is closed."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if with_message:
            await send({"type": "lifespan.shutdown.failed", "message": "it leaks"})
        raise LookupError("it leaks")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the drain is what fails it
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_asgi, app, 0))
            await server.drain()
    (error,) = caught.value.exceptions
    assert isinstance(error, LifespanError)
    assert "it leaks" in str(error)
    with pytest.raises(OSError, match=r".*"):
        await connect(server)


async def test_lifespan_dies(caplog: pytest.LogCaptureFixture) -> None:
    """Z4: a lifespan that fails in between is logged; requests are served."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await HELLO(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise LookupError("dead")

    async with serving(app) as server:
        assert (await ask(server)).body == b"hello"
        await server.drain()
    assert "the application's lifespan failed while it serves" in caplog.text


@pytest.mark.parametrize(
    "kind", ["lifespan.shutdown.complete", "lifespan.startup", "http.response.start"]
)
async def test_lifespan_out_of_order(kind: str) -> None:
    """Z4: what does not belong there raises in the application."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": kind})

    with pytest.raises(LifespanError) as caught:
        await serve(app, lifespan="on")
    assert "at its startup" in str(caught.value.__cause__)


async def test_port_in_use() -> None:
    """Z4: where the server cannot listen, an application that has started up shuts down."""
    events: list[str] = []
    async with serving(HELLO) as server:
        with pytest.raises(OSError, match="in use"):
            await serve_asgi(living(events), server.port)
    assert events == ["startup", "shutdown"]


async def test_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """Z4: a cancelled server cancels the lifespan, whose context managers see that."""
    ended: list[BaseException] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        except BaseException as error:
            await send({"type": "lifespan.shutdown.failed", "message": "cancelled"})
            ended.append(error)
            raise

    async with serving(app):
        pass
    assert not [each for each in caplog.records if each.levelno > logging.INFO]
    assert [type(error) for error in ended] == [trio.Cancelled]


# Drains


@pytest.mark.parametrize("mode", ["on", "off"])
async def test_drain_waits(mode: str) -> None:
    """Z4: a slow request is completed, its background too, and only then is shut down."""
    events: list[str] = []
    called, go_on, answered, behind = (trio.Event() for _ in range(4))

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"abc", more=True))
        called.set()
        await go_on.wait()
        await send(body(b"def"))
        await answered.wait()
        events.append("background")
        behind.set()

    async with trio.open_nursery() as nursery:
        options: dict[str, Any] = {"lifespan": mode}
        serve = partial(serve_asgi, living(events, app), 0, **options)
        server = await nursery.start(serve)
        async with await connect(server, KEEP) as stream, await connect(server) as idle:
            await called.wait()
            nursery.start_soon(server.drain)
            assert await read_all(idle) == b""
            with pytest.raises(OSError, match=r".*"):
                await connect(server)
            go_on.set()
            assert read_answer(await read_all(stream)).body.endswith(b"def\r\n0\r\n\r\n")
            answered.set()
            await behind.wait()
    expected = ["startup", "background", "shutdown"] if mode == "on" else ["background"]
    assert events == expected


async def test_drain_cancels() -> None:
    """Z4: what takes longer than a drain may is cancelled; the shutdown comes all the same."""
    events: list[str] = []
    called = trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        called.set()
        try:
            if scope["path"] == "/behind":
                await HELLO(scope, receive, send)
            await trio.sleep_forever()
        except trio.Cancelled:
            events.append("cancelled")
            raise

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_asgi, living(events, app), 0))
        async with (
            await connect(server, KEEP) as one,
            await connect(server, KEEP.replace(b"/", b"/behind", 1)) as two,
        ):
            await called.wait()
            await read_until(two, b"hello")
            with trio.fail_after(TIMEOUT):
                await server.drain(NO_TIME)
            await read_all(one)
    assert events == ["startup", "cancelled", "cancelled", "shutdown"]
