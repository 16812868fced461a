"""HTTP and WebSocket behind one router (row W35)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from snowtrio import StreamEndpoint
from snowtrio.http import (
    HTTPClient,
    HTTPError,
    HTTPServer,
    Request,
    Response,
    Router,
    UpgradeRefusedError,
    serve_http_listeners,
)
from snowtrio.testing import MemoryListener
from snowtrio.testing.websocket import expect_close, expect_message
from snowtrio.websocket import accept_websocket, open_websocket


def make_router(events: list[str]) -> Router:
    router = Router()

    @router.get("/books")
    async def list_books(request: Request) -> Response:
        return Response.json(["Emma"])

    @router.get("/rooms/{name}")
    async def talk(request: Request) -> None:
        if request.query_string != "token=emma":
            raise HTTPError(401, "who are you?")
        async with accept_websocket(request, subprotocols=["chat"]) as websocket:
            async for message in websocket:
                await websocket.send(f"{request.params['name']}: {message!s}")
        events.append("closed")

    return router


@asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[tuple[HTTPServer, StreamEndpoint]]:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_http_listeners, handler, [listener]))
        yield server, StreamEndpoint(listener.connect)
        nursery.cancel_scope.cancel()


async def test_a_route_is_a_websocket(autojump_clock: MockClock) -> None:
    """W35: a handler that returns None, with what stood in the path."""
    events: list[str] = []
    async with serving(make_router(events)) as (server, endpoint):
        async with (
            HTTPClient(endpoint=endpoint) as client,
            open_websocket(
                "ws://test/rooms/7?token=emma", endpoint=endpoint, subprotocols=["chat"]
            ) as websocket,
        ):
            assert websocket.subprotocol == "chat"
            await websocket.send("hello")
            await expect_message(websocket, "7: hello")
            assert (await client.fetch("http://test/books")).json() == ["Emma"]
            statistics = server.statistics()
            assert (statistics.upgraded, statistics.requests) == (1, 2)
        await trio.sleep(1)
        assert server.statistics().upgraded == 0
    assert events == ["closed"]


@pytest.mark.parametrize(("path", "status"), [("/rooms/7", 401), ("/nowhere", 404)])
async def test_what_is_refused(autojump_clock: MockClock, path: str, status: int) -> None:
    """W35, W4."""
    async with serving(make_router([])) as (_, endpoint):
        with pytest.raises(UpgradeRefusedError) as caught:
            async with open_websocket(f"ws://test{path}", endpoint=endpoint):
                pass
    assert caught.value.status == status


@pytest.mark.parametrize(("method", "status"), [("GET", 426), ("HEAD", 426), ("POST", 405)])
async def test_what_asks_for_no_websocket(
    autojump_clock: MockClock, method: str, status: int
) -> None:
    """W35, W2: a plain request where a WebSocket is."""
    async with serving(make_router([])) as (_, endpoint), HTTPClient(endpoint=endpoint) as client:
        answer = await client.fetch("http://test/rooms/7?token=emma", method=method)
        assert answer.status == status
        assert (await client.fetch("http://test/books")).json() == ["Emma"]


async def test_a_drain_ends_both(autojump_clock: MockClock) -> None:
    """W35, W26."""
    events: list[str] = []
    async with serving(make_router(events)) as (server, endpoint):
        url = "ws://test/rooms/7?token=emma"
        async with (
            HTTPClient(endpoint=endpoint) as client,
            open_websocket(url, endpoint=endpoint) as websocket,
        ):
            await client.fetch("http://test/books")
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.drain)
                await expect_close(websocket, 1001)
            assert trio.current_time() - began < 5
    assert events == ["closed"]
