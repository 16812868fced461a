"""nginx stands in front of a WebSocket server, as it does where it is deployed."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import websockets.sync.client
from websockets.typing import Data

from snowtrio import UnixEndpoint
from snowtrio.http import HTTPClient, UpgradeRefusedError
from snowtrio.testing.websocket import expect_close, expect_message, expect_pong
from snowtrio.websocket import (
    Close,
    WebSocket,
    WebSocketLimits,
    open_websocket,
    serve_websocket,
)

from .examples import needs_program, running_example
from .nginx import nginx
from .peers import TIMEOUT
from .tcp import until

pytestmark = needs_program("nginx")

# As nginx's own guide has it: what is no WebSocket gets a Connection of its own.
MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"
UPGRADING = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    "proxy_set_header Connection $connection_upgrade;"
)
QUIET = WebSocketLimits(ping_interval=None)


@asynccontextmanager
async def in_front_of(
    port: int, folder: Path, *, location: str = "", accepted: str = "[warn]"
) -> AsyncGenerator[str, None]:
    """Run nginx before a server, and give the path of its socket."""
    outside = f"{MAP} upstream service {{ server 127.0.0.1:{port}; keepalive 8; }}"
    inside = f"location / {{ proxy_pass http://service; {UPGRADING} {location} }}"
    async with nginx(folder, inside, outside, accepted=accepted) as path:
        yield path


def echo_of_another(path: str, messages: list[Data]) -> list[Data]:
    with websockets.sync.client.unix_connect(path, "ws://service/") as socket:
        for message in messages:
            socket.send(message)
        return [socket.recv(TIMEOUT) for _ in messages]


async def test_messages_go_through(tmp_path: Path) -> None:
    """W35, W1: of all sizes, by another client and ours, with a ping, a subprotocol, a close."""
    messages: list[Data] = ["hello", b"\x00\xff", "", "x" * 100_000, bytes(500_000)]
    async with (
        running_example("websocket_echo_server") as example,
        in_front_of(example.port, tmp_path) as path,
    ):
        with trio.fail_after(TIMEOUT):
            echoed = partial(echo_of_another, path, messages)
            assert await trio.to_thread.run_sync(echoed) == messages
            endpoint = UnixEndpoint(path)
            async with open_websocket("ws://service/", endpoint=endpoint) as websocket:
                for message in messages:
                    await websocket.send(message)
                for message in messages:
                    await expect_message(websocket, message, timeout=TIMEOUT)
                await expect_pong(websocket, timeout=TIMEOUT)
                await websocket.close(4000, "enough")
            assert websocket.close_received == Close(4000)


async def test_json_beside_it(tmp_path: Path) -> None:
    """W35: both by one location; what is refused is refused by us."""
    async with (
        running_example("http_json_server") as example,
        in_front_of(example.port, tmp_path) as path,
        HTTPClient(endpoint=UnixEndpoint(path)) as client,
    ):
        endpoint = UnixEndpoint(path)
        async with open_websocket("ws://service/ws", endpoint=endpoint) as websocket:
            await websocket.send("hello")
            await expect_message(websocket, "hello", timeout=TIMEOUT)
            answer = await client.fetch("http://service/echo", json=[1])
            assert answer.json() == [1]
        with pytest.raises(UpgradeRefusedError) as caught:
            async with open_websocket("ws://service/nowhere", endpoint=endpoint):
                pass
        assert caught.value.status == 404


async def test_without_the_upgrade_it_is_426(tmp_path: Path) -> None:
    """W35, W2: nginx as it comes does not pass the offer on."""
    inside = "location / { proxy_pass http://127.0.0.1:PORT; }"
    async with (
        running_example("websocket_echo_server") as example,
        nginx(tmp_path, inside.replace("PORT", str(example.port))) as path,
    ):
        with pytest.raises(UpgradeRefusedError) as caught:
            async with open_websocket("ws://service/", endpoint=UnixEndpoint(path)):
                pass
    assert caught.value.status in (400, 426)


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[int, list[Close | None]], None]:
    """Serve what waits for messages, and give its port and what each client said at the end."""
    ends: list[Close | None] = []

    async def wait(websocket: WebSocket) -> None:
        try:
            async for message in websocket:
                await websocket.send(message)
        finally:
            ends.append(websocket.close_received)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, wait, 0, **options))
        yield server.port, ends
        with trio.fail_after(TIMEOUT):
            await server.drain()


async def test_nginx_cuts_what_is_idle(tmp_path: Path) -> None:
    """W35, W13: both sides see 1006 when nobody says anything for proxy_read_timeout."""
    location = "proxy_read_timeout 500ms;"
    async with (
        serving(limits=QUIET) as (port, ends),
        in_front_of(port, tmp_path, location=location, accepted="upstream timed out") as path,
    ):
        endpoint = UnixEndpoint(path)
        async with open_websocket("ws://service/", endpoint=endpoint, limits=QUIET) as websocket:
            await expect_close(websocket, 1006, timeout=TIMEOUT)
        await until(lambda: len(ends) == 1)
        assert ends == [None]


@pytest.mark.parametrize("server_pings", [True, False])
async def test_a_heartbeat_keeps_it(tmp_path: Path, server_pings: bool) -> None:
    """W31: pings of either side are enough for nginx."""
    location = "proxy_read_timeout 1s; proxy_send_timeout 1s;"
    pinging = WebSocketLimits(ping_interval=0.1)
    server, client = (pinging, QUIET) if server_pings else (QUIET, pinging)
    async with (
        serving(limits=server) as (port, _),
        in_front_of(port, tmp_path, location=location) as path,
    ):
        endpoint = UnixEndpoint(path)
        async with open_websocket("ws://service/", endpoint=endpoint, limits=client) as websocket:
            with trio.move_on_after(2.5) as waited:
                await websocket.receive()
            assert waited.cancelled_caught
            await websocket.send("hello")
            await expect_message(websocket, "hello", timeout=TIMEOUT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_drain_is_told_through_nginx(tmp_path: Path, number: signal.Signals) -> None:
    """W26: 1001, and the server ends."""
    async with (
        running_example("websocket_echo_server") as example,
        in_front_of(example.port, tmp_path) as path,
    ):
        endpoint = UnixEndpoint(path)
        async with open_websocket("ws://service/", endpoint=endpoint) as websocket:
            await websocket.send("hello")
            await expect_message(websocket, "hello", timeout=TIMEOUT)
            example.process.send_signal(number)
            await expect_close(websocket, 1001, timeout=TIMEOUT)
        await example.wait_stopped()
        assert example.read_errors() == ""


async def test_a_client_that_leaves_is_noticed_behind_nginx(tmp_path: Path) -> None:
    """W13: by the server, at once."""
    async with serving() as (port, ends), in_front_of(port, tmp_path) as path:
        stream = await trio.open_unix_socket(path)
        await stream.send_all(
            b"GET / HTTP/1.1\r\nHost: service\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await stream.aclose()
        with trio.fail_after(TIMEOUT):
            await until(lambda: len(ends) == 1)
        assert ends == [None]
