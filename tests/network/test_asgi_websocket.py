"""WebSockets of Starlette and FastAPI applications, opened by ``websockets``."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
import trio
import websockets.exceptions
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from snowtrio.asgi import ASGIServer
from snowtrio.websocket import Deflate

from .asgi import TIMEOUT, read_until, serving

pytest.importorskip("starlette")
pytest.importorskip("fastapi")
from fastapi import Depends, FastAPI, WebSocket, WebSocketException

from .starlette_app import make_starlette


def opening(
    server: ASGIServer, path: str, *, context: ssl.SSLContext | None = None, **options: Any
) -> ClientConnection:
    """Return what opens a WebSocket, in a thread."""
    scheme, host = ("ws", "127.0.0.1") if context is None else ("wss", "localhost")
    url = f"{scheme}://{host}:{server.port}{path}"
    opened: ClientConnection = connect(url, ssl=context, proxy=None, **options)
    return opened


async def in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    with trio.fail_after(TIMEOUT):
        return await trio.to_thread.run_sync(partial(function, *arguments, **options))


def echo(server: ASGIServer, compressed: bool = False, **options: Any) -> None:
    subprotocols = [Subprotocol("chat")]
    with opening(server, "/ws/echo/emma", subprotocols=subprotocols, **options) as socket:
        assert socket.subprotocol == "chat"
        assert bool(socket.protocol.extensions) is compressed
        for message in ("hello", "", 1, ["\u00e4\U0001f409"], "x" * 100_000):
            socket.send(json.dumps(message))
            assert json.loads(socket.recv()) == {"emma": message}
        socket.send('"state"')
        assert json.loads(socket.recv()) == {"emma": "open"}
        assert socket.ping().wait(TIMEOUT)
        socket.close(4000, "enough")


@pytest.mark.parametrize("compression", [None, Deflate()])
async def test_starlette(compression: Deflate | None) -> None:
    """W35: JSON, a subprotocol, the lifespan's state, a ping, the client's close."""
    events: list[str] = []
    app = make_starlette(events)
    async with serving(app, lifespan="on", websocket_compression=compression) as server:
        await in_thread(echo, server, compression is not None)
        await server.drain()
    assert events == ["startup", "4000 enough", "shutdown"]


async def test_starlette_over_tls(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """W35, W30."""
    events: list[str] = []
    async with serving(make_starlette(events), ssl_context=server_ssl_context) as server:
        await in_thread(echo, server, context=client_ssl_context)


async def test_starlette_endpoint() -> None:
    """W35: its class of hooks, and bytes."""

    def repeat(server: ASGIServer) -> None:
        with opening(server, "/ws/repeat") as socket:
            for size in (0, 1, 125, 126, 70_000):
                socket.send(bytes(size))
                assert socket.recv() == bytes(2 * size)

    async with serving(make_starlette([])) as server:
        await in_thread(repeat, server)


@pytest.mark.parametrize(
    ("path", "status"), [("/ws/end/refuse", 403), ("/nowhere", 403), ("/ws/echo/x?secret", 401)]
)
async def test_starlette_refuses(path: str, status: int) -> None:
    """W35, W4: by a close, since there is no route, and with a response of its own."""

    def ask(server: ASGIServer) -> websockets.exceptions.InvalidStatus:
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught, opening(server, path):
            pass
        return caught.value

    async with serving(make_starlette([])) as server:
        response = (await in_thread(ask, server)).response
    assert response.status_code == status
    if status == 401:
        assert response.headers["x-why"] == "stranger"
        assert response.body == b"who are you?"


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [("close", 4000, "enough"), ("policy", 1008, "not you"), ("fail", 1011, "")],
)
async def test_starlette_ends(
    how: str, code: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """W35, W8: a failure is logged, once."""

    def wait(server: ASGIServer) -> tuple[int | None, str | None]:
        with opening(server, f"/ws/end/{how}") as socket:
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                socket.recv(TIMEOUT)
            return socket.close_code, socket.close_reason

    async with serving(make_starlette([])) as server:
        assert await in_thread(wait, server) == (code, reason)
    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(failures) == (how == "fail")


async def test_http_and_websocket_on_one_port() -> None:
    """W35: and a drain ends both."""
    async with serving(make_starlette([])) as server:
        with trio.fail_after(TIMEOUT):
            opened, told = trio.Event(), trio.Event()

            def wait() -> int | None:
                with opening(server, "/ws/repeat") as socket:
                    trio.from_thread.run_sync(opened.set)
                    with pytest.raises(websockets.exceptions.ConnectionClosed):
                        socket.recv(TIMEOUT)
                    trio.from_thread.run_sync(told.set)
                    return socket.close_code

            codes: list[int | None] = []

            async def keep() -> None:
                codes.append(await trio.to_thread.run_sync(wait))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep)
                await opened.wait()
                stream = await trio.open_tcp_stream("127.0.0.1", server.port)
                await stream.send_all(b"GET /thread HTTP/1.1\r\nHost: x\r\n\r\n")
                await read_until(stream, b"from a thread")
                await server.drain()
                await told.wait()
                await stream.aclose()
    assert codes == [1001]


async def check_token(websocket: WebSocket) -> str:
    token = websocket.query_params.get("token", "")
    if token != "emma":
        raise WebSocketException(1008, "not you")
    return token


async def test_fastapi() -> None:
    """W35: a dependency decides, and messages go both ways."""
    app = FastAPI()

    @app.websocket("/rooms/{room}")
    async def talk(
        websocket: WebSocket, room: int, who: Annotated[str, Depends(check_token)]
    ) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{room} {who}: {text}")

    def ask(server: ASGIServer) -> None:
        with opening(server, "/rooms/7?token=emma") as socket:
            socket.send("hello")
            assert socket.recv() == "7 emma: hello"
        refused = pytest.raises(websockets.exceptions.InvalidStatus)
        with refused as caught, opening(server, "/rooms/7"):
            pass
        assert caught.value.response.status_code == 403

    async with serving(app) as server:
        await in_thread(ask, server)
        await server.drain()
