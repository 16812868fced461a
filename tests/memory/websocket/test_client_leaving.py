"""Leaving the block of a WebSocket: what the server is told, and what its user sees."""

from __future__ import annotations

import pytest
import trio
from wsproto.events import CloseConnection, Ping, TextMessage

from snowtrio import StreamEndpoint
from snowtrio.http import HTTPClient, Timeouts
from snowtrio.testing import FaultyStream
from snowtrio.websocket import (
    AbnormalCloseError,
    WebSocket,
    WebSocketClosedError,
    WebSocketLimits,
    open_websocket,
)

from ...websocket_answering import URL, Answerer, Answering
from ..cancelling import cancelled_at, every_suspension

quiet = trio.testing.wait_all_tasks_blocked


async def test_left_in_order() -> None:
    """Row W12: 1000, and the server's answer is waited for; what was sent before has gone."""
    server = Answering()
    async with trio.open_nursery() as nursery:
        answered = False

        @nursery.start_soon
        async def serve() -> None:
            nonlocal answered
            peer = await server.accept()
            await peer.agree()
            assert await peer.hear() == "last words"
            assert await peer.told() == 1000
            await quiet()
            answered = True
            await peer.send(b"\x81\x04late" + peer.closed(1000))
            await peer.stream.aclose()

        async with open_websocket(URL, endpoint=server.endpoint) as websocket:
            await websocket.send("last words")
        assert answered
        assert str(websocket.close_received) == str(websocket.close_sent) == "1000"
        with pytest.raises(WebSocketClosedError):
            await websocket.send("more")


async def test_a_server_that_never_answers(autojump_clock: trio.testing.MockClock) -> None:
    """Row W12: it is cut after ``close_timeout``."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.agree()
            assert await peer.told() == 1000
            assert await peer.ended()

        limits = WebSocketLimits(close_timeout=3)
        began = trio.current_time()
        async with open_websocket(URL, limits=limits, endpoint=server.endpoint):
            pass
        assert trio.current_time() - began == pytest.approx(3)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_block_that_raises(answers: bool, autojump_clock: trio.testing.MockClock) -> None:
    """Row W12: 1011; its own error is raised, in no group, and soon though nobody answers."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.agree()
            assert await peer.told() == 1011
            if answers:
                await peer.send(peer.closed(1011))
                await peer.stream.aclose()
            else:
                assert await peer.ended()

        began = trio.current_time()
        with pytest.raises(KeyError, match="mine"):
            async with open_websocket(URL, endpoint=server.endpoint):
                raise KeyError("mine")
        assert trio.current_time() - began == pytest.approx(0 if answers else 1, abs=0.01)


async def test_a_group_stays_one() -> None:
    """Row W12: what a nursery of the block raises is not changed."""
    server = Answering()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_close_politely, server)

        async def fail(error: Exception) -> None:
            raise error

        async def work() -> None:
            async with open_websocket(URL, endpoint=server.endpoint), trio.open_nursery() as inner:
                inner.start_soon(fail, KeyError())
                inner.start_soon(fail, ValueError())

        with pytest.raises(ExceptionGroup) as caught:
            await work()
        assert {type(each) for each in caught.value.exceptions} == {KeyError, ValueError}


async def test_cancelled_at_every_await() -> None:
    """Rows W12, W27: opening, using, closing: no task, no place, no connection is left."""

    async def scenario(suspension: int) -> bool:
        server = Answering()
        async with trio.open_nursery() as nursery, HTTPClient(endpoint=server.endpoint) as client:

            @nursery.start_soon
            async def serve() -> None:
                while True:
                    nursery.start_soon(echo, await server.accept())

            async def work() -> None:
                async with open_websocket(URL, client=client) as websocket:
                    await websocket.send("a")
                    assert await websocket.receive() == "a"
                    await websocket.ping()

            struck = await cancelled_at(suspension, work)
            await work()
            await quiet()
            assert client.statistics().connections == 0
            nursery.cancel_scope.cancel()
        return struck

    async def echo(peer: Answerer) -> None:
        try:
            await peer.agree()
            while True:
                event = await peer.event()
                if not isinstance(event, TextMessage):
                    await peer.send(peer.frames.send(event.response()))  # type: ignore[attr-defined]
                    if isinstance(event, CloseConnection):
                        break
                else:
                    await peer.send(peer.framed(event.data))
            await peer.stream.aclose()
        except (EOFError, trio.BrokenResourceError):
            pass

    strikes = [strike async for strike in every_suspension(scenario)]
    assert len(strikes) > 5


async def test_a_dead_server(autojump_clock: trio.testing.MockClock) -> None:
    """Row W31: who receives is told within interval plus timeout, and who pings."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.agree()
            assert isinstance(await peer.event(), Ping)
            assert await peer.ended()

        limits = WebSocketLimits(ping_interval=5, ping_timeout=2)
        began = trio.current_time()
        async with open_websocket(URL, limits=limits, endpoint=server.endpoint) as websocket:
            with pytest.raises(AbnormalCloseError, match="1006"):
                await websocket.receive()
            assert trio.current_time() - began == pytest.approx(7, abs=0.1)
            with pytest.raises(AbnormalCloseError):
                await websocket.ping()


@pytest.mark.parametrize("timeout", [5, Timeouts(send=7), Timeouts(send=None)])
async def test_a_server_that_takes_nothing(
    timeout: float | Timeouts, autojump_clock: trio.testing.MockClock
) -> None:
    """Rows B4, W31: a ping behind what it does not take cannot be missed; yet nobody waits on."""
    stalled: list[FaultyStream] = []

    async def connect() -> trio.abc.Stream:
        stalled.append(FaultyStream(await server.endpoint.open_stream()))
        return stalled[0]

    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            await (await server.accept()).agree()

        limits = WebSocketLimits(ping_interval=2, ping_timeout=2)
        async with open_websocket(
            URL, limits=limits, timeout=timeout, endpoint=StreamEndpoint(connect)
        ) as websocket:
            stalled[0].stall()
            began = trio.current_time()
            with trio.move_on_after(1000) as scope:
                with pytest.raises(AbnormalCloseError, match="took nothing"):
                    await send_on(websocket)
            patience = timeout.send if isinstance(timeout, Timeouts) else 60
            assert scope.cancelled_caught == (patience is None)
            assert trio.current_time() - began == pytest.approx(patience or 1000)


async def send_on(websocket: WebSocket) -> None:
    while True:
        await websocket.send(b"x" * 100_000)


async def _close_politely(server: Answering) -> None:
    peer = await server.accept()
    await peer.agree()
    await peer.send(peer.closed(await peer.told()))
    await peer.stream.aclose()
