"""Applications whose clients are in memory: time, and cancellation at every step."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import attrs
import pytest
import trio

from snowtrio import DrainTimeouts
from snowtrio.asgi import ASGIServer, LifespanError, serve_asgi_listeners
from snowtrio.http import HTTPLimits
from snowtrio.testing import MemoryListener

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@attrs.frozen
class Served:
    """A server that runs, and its listener in memory."""

    server: ASGIServer
    listener: MemoryListener


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Served]:
    """Serve in memory for the time of a block."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_asgi_listeners, app, [listener], **options)
        yield Served(await nursery.start(serve), listener)
        nursery.cancel_scope.cancel()


async def respond(send: Send, data: bytes = b"abc") -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": data})


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    data = b""
    while piece := await stream.receive_some():
        data += piece
    return data


async def test_slow_application(autojump_clock: trio.testing.MockClock) -> None:
    """Z4: what the application takes its time for is no client's slowness."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await trio.sleep(1000)
        await respond(send)

    async with (
        serving(app, lifespan="off") as served,
        await served.listener.connect() as stream,
    ):
        await stream.send_all(REQUEST)
        assert (await stream.receive_some()).endswith(b"abc")


async def test_slow_body(autojump_clock: trio.testing.MockClock) -> None:
    """Z4: a body that stops is answered with 408, and the application told."""
    told: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            told.append(message["type"])
        told.append(message["type"])

    limits = HTTPLimits(body_timeout=10)
    async with (
        serving(app, lifespan="off", limits=limits) as served,
        await served.listener.connect() as stream,
    ):
        await stream.send_all(REQUEST[:-2] + b"Content-Length: 10\r\n\r\nabc")
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 408 ")
    assert told == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("behind", [False, True])
async def test_drain_deadline(behind: bool, autojump_clock: trio.testing.MockClock) -> None:
    """Z4: a drain waits as long as it is told, for what goes on behind a response too."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if behind:
            await respond(send)
        await trio.sleep_forever()

    async with (
        serving(app, lifespan="off") as served,
        await served.listener.connect() as stream,
    ):
        await stream.send_all(REQUEST)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await served.server.drain(DrainTimeouts(goodbye=1, wait=100))
        assert 100 <= trio.current_time() - began <= 102


async def test_failed_startup_closes_the_listeners() -> None:
    """Z4: nobody can connect to a server that did not start."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    listener = MemoryListener()
    with pytest.raises(LifespanError):
        await serve_asgi_listeners(app, [listener])
    with pytest.raises((OSError, trio.BrokenResourceError, trio.ClosedResourceError)):
        await listener.connect()


class Strike(trio.abc.Instrument):
    """Cancels a scope at the n-th step that any task takes."""

    def __init__(self, number: int, scope: trio.CancelScope) -> None:
        self.left = number
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self._scope.cancel()


async def serve_one(number: int, events: list[str]) -> bool:
    """Serve two requests and drain; cancel all of it at a step; say whether it came so far."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        events.append("in")
        try:
            if scope["type"] == "lifespan":
                for each in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{each}.complete"})
            else:
                while (await receive())["more_body"]:
                    pass
                await respond(send)
                for _ in range(5):  # Behind its response, while the next request is answered.
                    await trio.lowlevel.checkpoint()
        finally:
            events.append("out")

    with trio.CancelScope() as scope:
        strike = Strike(number, scope)
        trio.lowlevel.add_instrument(strike)
        try:
            async with trio.open_nursery() as nursery:
                listener = MemoryListener()
                server = await nursery.start(partial(serve_asgi_listeners, app, [listener]))
                async with await listener.connect() as stream:
                    await stream.send_all(REQUEST[:-2] + b"Content-Length: 2\r\n\r\n1")
                    await stream.send_all(b"2")
                    assert (await stream.receive_some()).endswith(b"abc")
                    await stream.send_all(REQUEST)
                    assert (await stream.receive_some()).endswith(b"abc")
                await server.drain()
        finally:
            trio.lowlevel.remove_instrument(strike)
    return scope.cancelled_caught


async def test_cancelled_at_every_step() -> None:
    """Z4: wherever it is cancelled, every call of the application has ended afterwards."""
    number, cancelled = 1, True
    events: list[str] = []
    while cancelled:
        events.clear()
        with trio.fail_after(20):
            cancelled = await serve_one(number, events)
        assert events.count("in") == events.count("out")
        number += 1
    assert number > 20
    assert events.count("out") == 3


class Breaking(MemoryListener):
    """A listener that can be made to break."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = trio.Event()
        self._used = False

    async def accept(self) -> trio.abc.Stream:
        if not self._used:
            self._used = True
            return await super().accept()
        await self.broken.wait()
        raise OSError(errno.EBADF, "broken")


@pytest.mark.parametrize("behind", [False, True])
async def test_listener_breaks(behind: bool, autojump_clock: trio.testing.MockClock) -> None:
    """Z4: a server that fails does not wait for applications, but cancels them."""
    ended: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            if behind:
                await respond(send)
            await trio.sleep(1000)
        finally:
            ended.append(trio.current_time())

    listener = Breaking()
    began = trio.current_time()
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the listener is what fails it
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_asgi_listeners, app, [listener], lifespan="off"))
            stream = await listener.connect()
            await stream.send_all(REQUEST)
            await trio.testing.wait_all_tasks_blocked()
            listener.broken.set()
    assert caught.group_contains(OSError, match="broken")
    assert len(ended) == 1
    assert ended[0] - began < 100


async def test_context_variables() -> None:
    """Z4: what a request sets in its context is not seen by the next one on its connection."""
    variable: ContextVar[int] = ContextVar("variable", default=0)
    seen: list[int] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        token = variable.set(variable.get() + 1)
        await trio.lowlevel.checkpoint()
        seen.append(variable.get())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(respond, send)
        if len(seen) == 2:
            variable.reset(token)

    async with serving(app, lifespan="off") as served, await served.listener.connect() as stream:
        for _ in range(3):
            await stream.send_all(REQUEST)
            assert (await stream.receive_some()).endswith(b"abc")
    assert seen == [1, 1, 1]


async def test_response_by_another_task() -> None:
    """Z5: however a response was completed, what goes on behind it is in nobody's way."""
    calls = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(respond, send)
            await trio.sleep_forever()

    async with serving(app, lifespan="off") as served, await served.listener.connect() as stream:
        for number in range(1, 4):
            await stream.send_all(REQUEST)
            assert (await stream.receive_some()).endswith(b"abc")
            assert calls == number


async def test_application_that_is_no_coroutine_function() -> None:
    """Z4: whatever can be awaited is an application's run."""

    class Answer:
        def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
            self._send = send

        def __await__(self) -> Generator[Any, Any, None]:
            return respond(self._send).__await__()

    async with (
        serving(Answer, lifespan="off") as served,
        await served.listener.connect() as stream,
    ):
        await stream.send_all(REQUEST)
        assert (await stream.receive_some()).endswith(b"abc")


async def test_frames_of_an_application() -> None:
    """Z4: who looks at what a program's tasks wait for sees where an application stands."""
    tasks: list[trio.lowlevel.Task] = []

    async def inner() -> None:
        await trio.sleep_forever()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        tasks.append(trio.lowlevel.current_task())
        await inner()

    async with serving(app, lifespan="off") as served, await served.listener.connect() as stream:
        await stream.send_all(REQUEST)
        await trio.testing.wait_all_tasks_blocked()
        names = [frame.f_code.co_name for frame, _ in tasks[0].iter_await_frames()]
    assert names.index("app") < names.index("inner")


async def test_idle_timeout_while_an_application_runs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Z5: a connection that the server ends is left when its application has returned."""
    told: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        told.append((await receive())["type"])
        await trio.sleep(1000)
        told.append("returned")

    limits = HTTPLimits(idle_timeout=10)
    async with (
        serving(app, lifespan="off", limits=limits) as served,
        await served.listener.connect() as stream,
    ):
        await stream.send_all(REQUEST)
        assert await read_to_end(stream) == b""
        assert told == ["http.disconnect", "returned"]
