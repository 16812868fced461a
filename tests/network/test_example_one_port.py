"""JSON and WebSocket on one port: ``http_json_server``'s ``/ws``, and ``asgi_server``."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
import websockets.sync.client
from websockets.typing import Data

from snowtrio import UnixEndpoint
from snowtrio.http import HTTPClient
from snowtrio.testing.websocket import expect_close, expect_message, expect_pong
from snowtrio.websocket import open_websocket

from .examples import RunningExample, running_example
from .http_peers import write_certificates
from .peers import TIMEOUT, connected

MESSAGES: list[Data] = ["hello", "", b"", b"\x00\xff", "äöü", "x" * 70_000]


def echo(url: str, **options: Any) -> list[Data]:
    """Have some messages sent back by somebody else's client."""
    with websockets.sync.client.connect(url, proxy=None, **options) as socket:
        for message in MESSAGES:
            socket.send(message)
        return [socket.recv(TIMEOUT) for _ in MESSAGES]


async def in_thread(url: str, **options: Any) -> list[Data]:
    with trio.fail_after(TIMEOUT):
        return await trio.to_thread.run_sync(partial(echo, url, **options))


def complaints(example: RunningExample) -> list[str]:
    """Return what it has written, but for the log of what it was asked."""
    lines = example.read_errors().splitlines()
    return [line for line in lines if not line.startswith("snowtrio.http.access: ")]


@pytest.mark.parametrize(("name", "path"), [("http_json_server", "/ws"), ("asgi_server", "/")])
async def test_another_client_gets_its_messages_back(name: str, path: str) -> None:
    """W35."""
    async with running_example(name) as example:
        assert await in_thread(f"ws://127.0.0.1:{example.port}{path}") == MESSAGES
        await example.stop()
        assert complaints(example) == []


async def test_over_tls(
    ca: trustme.CA, server_cert: trustme.LeafCert, tmp_path: Path, client_ssl_context: Any
) -> None:
    """W35, W30."""
    files = write_certificates(ca, server_cert, tmp_path)
    arguments = ("--tls-cert", files.chain, "--tls-key", files.key)
    async with running_example("http_json_server", *arguments) as example:
        url = f"wss://localhost:{example.port}/ws"
        assert await in_thread(url, ssl=client_ssl_context) == MESSAGES


async def test_on_a_unix_socket(tmp_path: Path) -> None:
    """W35: by our own client, with JSON beside it."""
    path = str(tmp_path / "socket")
    async with running_example("http_json_server", "--unix", path):
        endpoint = UnixEndpoint(path)
        async with (
            HTTPClient(endpoint=endpoint) as client,
            open_websocket("ws://localhost/ws", endpoint=endpoint) as websocket,
        ):
            await websocket.send("hello")
            await expect_message(websocket, "hello")
            answer = await client.fetch("http://localhost/echo", json=[1])
            assert answer.json() == [1]
            await expect_pong(websocket)


async def test_one_connection_goes_from_json_to_messages() -> None:
    """W35, W1: all of it sent at once."""
    async with running_example("http_json_server") as example, connected(example) as peer:
        await peer.send(
            b"GET /stats HTTP/1.1\r\nHost: me\r\n\r\n"
            b"GET /ws HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            b"\x81\x85\x00\x00\x00\x00hello"
        )
        while b"hello" not in peer.received.partition(b" 101 ")[2]:
            assert await peer.fill()
        await peer.send(b"\x88\x80\x00\x00\x00\x00")
        came = await peer.rest()
    json_answer, _, rest = came.partition(b"}")
    assert json.loads(json_answer.split(b"\r\n\r\n")[1] + b"}")["sequence"] == 1
    head, _, frames = rest.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert frames == b"\x81\x05hello\x88\x00"


async def test_who_does_not_ask_for_a_websocket_is_told() -> None:
    """W35, W2: and its connection goes on."""
    async with running_example("http_json_server") as example, HTTPClient() as client:
        answer = await client.fetch(f"http://127.0.0.1:{example.port}/ws")
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        assert answer.json()["status"] == 426
        assert client.statistics().connections == 1


@pytest.mark.parametrize("name", ["http_json_server", "asgi_server"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_closes_with_1001(name: str, number: signal.Signals) -> None:
    """W35, W26: an application or handler that waits for messages ends."""
    async with running_example(name) as example:
        async with open_websocket(f"ws://127.0.0.1:{example.port}/ws") as websocket:
            await websocket.send("hello")
            await expect_message(websocket, "hello")
            example.process.send_signal(number)
            await expect_close(websocket, 1001, timeout=TIMEOUT)
        await example.wait_stopped()
        assert complaints(example) == []


@pytest.mark.parametrize("name", ["http_json_server", "asgi_server"])
async def test_a_client_that_just_leaves_is_no_error(name: str) -> None:
    """W35, W36."""
    async with running_example(name) as example:
        await leave(example)
        assert await in_thread(f"ws://127.0.0.1:{example.port}/ws") == MESSAGES
        await example.stop()
        assert complaints(example) == []


async def leave(example: RunningExample) -> None:
    async with connected(example) as peer:
        await peer.send(
            b"GET /ws HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await peer.line()).startswith("HTTP/1.1 101 ")
