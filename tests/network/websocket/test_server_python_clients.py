"""Other WebSocket clients: ``websockets``, on asyncio and in threads, and ``trio-websocket``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio_websocket
import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client
from websockets.typing import Subprotocol

from snowtrio.websocket import Close, Deflate, WebSocket, WebSocketLimits, WebSocketServer

from ...serving import LIMIT
from ..tcp import until
from .serving import serving_websocket_on

SPOKEN = [Subprotocol("b"), Subprotocol("a")]
LARGE = b"abcdefghij" * 50_000
MESSAGES: list[str | bytes] = ["hello", "", b"", "äöü 🐉", b"\x00\xff", LARGE, LARGE.decode()]


def url(server: WebSocketServer, scheme: str = "ws") -> str:
    host = "localhost" if scheme == "wss" else "127.0.0.1"
    return f"{scheme}://{host}:{server.port}/"


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a client that knows nothing of Trio."""
    with trio.fail_after(LIMIT):
        return await trio.to_thread.run_sync(partial(function, *arguments))


async def in_asyncio(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Likewise, one of asyncio."""

    async def run() -> Any:
        return await function(*arguments)

    return await in_thread(lambda: asyncio.run(run()))


# websockets on asyncio


async def echoes_on_asyncio(where: str, context: ssl.SSLContext | None, deflate: bool) -> None:
    compression = "deflate" if deflate else None
    async with websockets.asyncio.client.connect(
        where,
        ssl=context,
        compression=compression,
        proxy=None,
        subprotocols=SPOKEN,
    ) as socket:
        assert socket.subprotocol == "a"
        assert bool(socket.protocol.extensions) is deflate
        for message in MESSAGES:
            await socket.send(message)
            assert await socket.recv() == message
        for message in MESSAGES:
            await socket.send(message)
        assert [await socket.recv() for _ in MESSAGES] == MESSAGES
        await socket.send(["frag", "", "men", "ted"])
        assert await socket.recv() == "fragmented"
        for _ in range(3):
            assert await (await socket.ping()) < LIMIT
        await socket.close(4000, "done")
    assert (socket.close_code, socket.close_reason) == (4000, "")


@pytest.mark.parametrize("deflate", [False, True])
async def test_websockets_on_asyncio(deflate: bool) -> None:
    """W8, W10, W12, W15, W22: everything that it can do."""
    compression = Deflate() if deflate else None
    serving = serving_websocket_on(compression=compression, subprotocols=["a", "b"])
    async with serving as server:
        await in_asyncio(echoes_on_asyncio, url(server), None, deflate)
        await until(lambda: server.statistics().closed == {4000: 1})


async def test_websockets_over_tls(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W30."""
    options: dict[str, Any] = {"ssl_context": server_ssl_context, "subprotocols": ["a"]}
    async with serving_websocket_on(**options) as server:
        await in_asyncio(echoes_on_asyncio, url(server, "wss"), client_ssl_context, False)


async def test_websockets_is_refused() -> None:
    """W4, W5: and sees why."""

    async def ask(where: str) -> int:
        try:
            async with websockets.asyncio.client.connect(where, proxy=None):
                return 101
        except websockets.exceptions.InvalidStatus as error:
            return error.response.status_code

    async with serving_websocket_on(origins=["https://a.example"]) as server:
        assert await in_asyncio(ask, url(server)) == 403


# websockets in a thread


def sends_too_much(where: str) -> tuple[int, str]:
    with websockets.sync.client.connect(where, proxy=None) as socket:
        socket.send(b"x" * 1000)
        assert socket.recv() == b"x" * 1000
        try:
            socket.send(b"x" * 1001)
            socket.recv()
        except websockets.exceptions.ConnectionClosedError as error:
            return received(error)
    return 0, ""


def received(error: websockets.exceptions.ConnectionClosed) -> tuple[int, str]:
    """Return the close that the client has received."""
    assert error.rcvd is not None
    return error.rcvd.code, error.rcvd.reason


async def test_too_large_a_message() -> None:
    """W16: is told as 1009, not by a connection that is simply cut."""
    async with serving_websocket_on(limits=WebSocketLimits(max_message_size=1000)) as server:
        code, reason = await in_thread(sends_too_much, url(server))
        assert code == 1009
        assert "1000" in reason
        await until(lambda: server.statistics().closed == {1009: 1})


def is_parted_from(where: str) -> object:
    with websockets.sync.client.connect(where, proxy=None) as socket:
        try:
            return [socket.recv(), socket.recv()]
        except websockets.exceptions.ConnectionClosed as error:
            return received(error)


@pytest.mark.parametrize("kind", ["returns", "closes", "fails", "drains"])
async def test_the_ways_in_which_a_server_parts(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """W8, W12, W26: each by its code."""
    ends: list[Close | None] = []

    async def handler(websocket: WebSocket) -> None:
        try:
            if kind == "closes":
                await websocket.close(4001, "enough")
            elif kind == "fails":
                raise ZeroDivisionError
            elif kind == "drains":
                drain.set()
                await websocket.receive()
        finally:
            ends.append(websocket.close_received)

    drain = trio.Event()
    expected = {"returns": 1000, "closes": 4001, "fails": 1011, "drains": 1001}
    async with serving_websocket_on(handler) as server, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            await drain.wait()
            await server.drain()

        told = await in_thread(is_parted_from, url(server))
        assert told == (expected[kind], "enough" if kind == "closes" else "")
        nursery.cancel_scope.cancel()
    assert len(ends) == 1


async def test_many_clients_at_a_time() -> None:
    """W7: each gets its own."""

    async def one(where: str, number: int) -> None:
        async with websockets.asyncio.client.connect(where, proxy=None) as socket:
            for turn in range(10):
                await socket.send(f"{number} {turn}")
                assert await socket.recv() == f"{number} {turn}"

    async def all_of_them(where: str) -> None:
        await asyncio.gather(*[one(where, number) for number in range(50)])

    async with serving_websocket_on() as server:
        await in_asyncio(all_of_them, url(server))
        await until(lambda: server.statistics().closed == {1000: 50})


# trio-websocket


async def test_trio_websocket() -> None:
    """W8, W10, W12: echoes, a ping, the end."""
    async with serving_websocket_on(subprotocols=["a"]) as server:
        async with trio_websocket.open_websocket_url(url(server), subprotocols=["a"]) as socket:
            assert socket.subprotocol == "a"
            for message in MESSAGES:
                await socket.send_message(message)
                assert await socket.get_message() == message
            await socket.ping(b"payload")
            await socket.aclose(4000, "done")
        assert socket.closed is not None
        assert (socket.closed.code, socket.closed.reason) == (4000, None)
        await until(lambda: server.statistics().closed == {4000: 1})


async def test_trio_websocket_over_tls(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W30."""
    async with (
        serving_websocket_on(ssl_context=server_ssl_context) as server,
        trio_websocket.open_websocket_url(url(server, "wss"), client_ssl_context) as socket,
    ):
        await socket.send_message("hello")
        assert await socket.get_message() == "hello"


async def test_trio_websocket_that_does_not_receive() -> None:
    """W10: pings are answered while its application reads nothing, and ours go through."""

    async def handler(websocket: WebSocket) -> None:
        for _ in range(3):
            assert await websocket.ping() < LIMIT
        await websocket.send("done")
        # It is the client that closes: where its peer does, it may leave its socket open.
        await websocket.wait_closed()

    async with (
        serving_websocket_on(handler) as server,
        trio_websocket.open_websocket_url(url(server)) as socket,
    ):
        assert await socket.get_message() == "done"
