"""Functions that block, in threads, as handlers and callbacks of WebSockets (row W32)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from snowtrio import Threads
from snowtrio.websocket import CloseCode, Message, WebSocket, WebSocketCallbacks

from ...serving import errors_in
from ..held import Held, holding
from ..tcp import reset, until
from .serving import opened, serving_websocket_on

MANY = 50


def blocking_echo(held: Held, threads: Threads) -> Any:
    @threads
    def answer(websocket: WebSocket, message: Message) -> Message:
        if message == "wait":
            held.hold()
        return message

    return answer


async def test_fifty_block_and_another_is_answered_and_pings_of_all_are() -> None:
    """Row W32: beside a function that blocks its own WebSocket goes on answering pings."""
    threads = Threads(MANY + 1)
    with holding() as held:
        async with (
            serving_websocket_on(blocking_echo(held, threads)) as server,
            AsyncExitStack() as stack,
        ):
            peers = [await opened(server) for _ in range(MANY)]
            for peer in peers:
                await stack.enter_async_context(peer.stream)
                await peer.say("wait")
            await held.wait_running(MANY)
            async with (other := await opened(server)).stream:
                assert await other.echoed("hello") == "hello"
            for peer in peers:
                assert await peer.ping(b"there?") == b"there?"
            held.let_go()
            for peer in peers:
                assert await peer.hear() == "wait"


async def test_messages_of_one_are_answered_in_order() -> None:
    """Row W32: one at a time, and to the last one before the close."""
    threads = Threads()
    with holding() as held:
        async with serving_websocket_on(blocking_echo(held, threads)) as server:
            peer = await opened(server)
            async with peer.stream:
                for message in ("wait", "a", "b", "wait", "c"):
                    await peer.say(message)
                await held.wait_running(1)
                held.let_go()
                heard = [await peer.hear() for _ in range(5)]
                assert heard == ["wait", "a", "b", "wait", "c"]
                assert await peer.close() == (1000, "")
            assert threads.statistics().peak == 1


async def test_an_error_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    """Row W32."""

    @Threads()
    def fail(websocket: WebSocket, message: Message) -> Message:
        raise KeyError(message)

    async with serving_websocket_on(fail) as server, (peer := await opened(server)).stream:
        await peer.say("hello")
        assert (await peer.told())[0] == CloseCode.INTERNAL_ERROR
        await peer.answer_close()
        await until(lambda: not server.websockets)
    (error,) = errors_in(caplog)
    assert isinstance(error, KeyError)


async def test_one_that_leaves_abandons_its_thread() -> None:
    """Row W32."""
    threads = Threads()
    with holding() as held:
        async with serving_websocket_on(blocking_echo(held, threads)) as server:
            peer = await opened(server)
            await peer.say("wait")
            await held.wait_running(1)
            assert hasattr(peer.stream, "socket")
            reset(peer.stream)  # type: ignore[arg-type]  # it is on a socket
            await until(lambda: not server.websockets)
            assert threads.statistics().abandoned == 1


async def test_callbacks_run_in_threads() -> None:
    """Rows W29 and W32: in their order; what `on_message` returns is sent."""
    threads = Threads()
    calls: list[object] = []

    class Callbacks(WebSocketCallbacks):
        @threads
        def on_open(self, websocket: WebSocket) -> None:
            calls.append("open")

        @threads
        def on_message(self, websocket: WebSocket, message: Message) -> Message:
            calls.append(message)
            return message

        @threads
        def on_close(self, websocket: WebSocket) -> None:
            calls.append(websocket.close_code)

    async with serving_websocket_on(Callbacks()) as server:
        async with (peer := await opened(server)).stream:
            assert await peer.echoed("a") == "a"
            assert await peer.echoed("b") == "b"
            await peer.close()
        await until(lambda: not server.websockets)
    assert calls == ["open", "a", "b", 1000]
    assert threads.statistics().finished == 4


async def test_a_callback_for_pings_has_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Row W32: it is called where frames are decoded."""

    class Callbacks(WebSocketCallbacks):
        on_ping: Any = Threads()(lambda self, websocket, payload: payload)

    async with serving_websocket_on(Callbacks()) as server, (await opened(server)).stream:
        await until(lambda: not server.websockets)
    (error,) = errors_in(caplog)
    assert "Callbacks.on_ping has to be a plain function" in str(error)
