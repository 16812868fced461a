"""Types of WebSockets, as mypy and pyright see them (rows W8, W21, W29). Checked, never run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import assert_type

import trio

from snowtrio import BroadcastReport, WhenSlow
from snowtrio.http import Request, Response
from snowtrio.testing.websocket import (
    Frame,
    WirePeer,
    expect_close,
    expect_message,
    expect_pong,
    open_websocket_pair,
    open_websocket_with_peer,
    serve_websocket_in_memory,
)
from snowtrio.websocket import (
    Close,
    Deflate,
    Hub,
    Message,
    MessageWriter,
    Prepared,
    WebSocket,
    WebSocketCallbacks,
    WebSocketLimits,
    WebSocketServer,
    accept_websocket,
    open_reconnecting,
    open_websocket,
    serve_websocket,
    serve_websocket_unix,
)


async def messages(websocket: WebSocket) -> None:
    """What is received is text or bytes; what is sent may be a little more."""
    assert_type(await websocket.receive(), Message)
    assert_type(await websocket.receive_batch(), list[Message])
    async for message in websocket:
        assert_type(message, Message)
    for sendable in ("text", b"bytes", bytearray(), memoryview(b""), Prepared("text")):
        await websocket.send(sendable)
    await websocket.send_batch(["text", b"bytes"])
    websocket.send_nowait("text")
    await websocket.send(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await websocket.send(Close())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def parts(websocket: WebSocket) -> None:
    """The parts of a message are of its kind."""
    async with websocket.send_stream(str) as text:
        assert_type(text, MessageWriter[str])
        await text.send("part")
        await text.send(b"part")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with websocket.send_stream(bytes) as binary:
        assert_type(binary, MessageWriter[bytes])
        await binary.send(b"part")
    websocket.send_stream(int)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    async for piece in await websocket.receive_stream():
        assert_type(piece, Message)


async def the_rest(websocket: WebSocket) -> None:
    """Round trips are seconds, closes have code and reason."""
    assert_type(await websocket.ping(), float)
    assert_type(websocket.latency, float | None)
    assert_type(websocket.close_received, Close | None)
    assert_type(websocket.close_code, int | None)
    assert_type(websocket.subprotocol, str | None)


class Callbacks(WebSocketCallbacks):
    """Plain functions and coroutine functions."""

    async def on_open(self, websocket: WebSocket) -> None: ...

    async def on_message(self, websocket: WebSocket, message: Message) -> str:
        return str(message)

    def on_ping(self, websocket: WebSocket, payload: bytes) -> bytes:
        return payload


async def served(nursery: trio.Nursery) -> None:
    """All kinds of handlers are taken, and nothing else."""

    async def coroutine(websocket: WebSocket) -> None: ...

    def function(websocket: WebSocket, message: Message) -> Message | None:
        return message or None

    def wants_text(websocket: WebSocket, message: str) -> str:
        return message

    async def known(request: Request) -> Response | str:
        return request.headers.get("x-user") or Response("who?", 401)

    await serve_websocket(coroutine, 0, compression=Deflate(), limits=WebSocketLimits())
    await serve_websocket(function, 0, process_request=known)
    await serve_websocket(lambda _, message: message, 0, when_full="wait")
    await serve_websocket_unix(Callbacks(), "path")
    await serve_websocket(wants_text, 0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await serve_websocket(coroutine, 0, limit=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    server: WebSocketServer = await nursery.start(serve_websocket, coroutine, 0)
    for websocket in server.websockets:
        assert_type(websocket, WebSocket)


async def accepted(request: Request) -> Response | None:
    """A handler of HTTP may return nothing then."""
    async with accept_websocket(request, subprotocols=["chat"]) as websocket:
        assert_type(websocket, WebSocket)
    return None


async def opened() -> None:
    """Each turn of the loop opens one."""
    async with open_websocket("ws://host/") as websocket:
        assert_type(websocket, WebSocket)
    async with open_reconnecting("ws://host/", timeout=3) as connections:
        async for connection in connections:
            assert_type(connection, AbstractAsyncContextManager[WebSocket])
            async with connection as websocket:
                assert_type(websocket, WebSocket)
    open_reconnecting("ws://host/", timeouts=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def published(websocket: WebSocket) -> None:
    """A policy is a value, or a function of the member."""

    def decide(member: WebSocket) -> WhenSlow:
        return WhenSlow.WAIT if member.latency else WhenSlow.DISCONNECT

    hub = Hub(when_slow=decide)
    with hub.join(websocket, "room", 7) as member:
        assert_type(member, WebSocket)
    assert_type(await hub.publish("text", "room", but=websocket), BroadcastReport)
    assert_type(hub.members(), list[WebSocket])
    await hub.publish(Close())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Hub()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def tested() -> None:
    """The kit gives what programs have."""
    async with open_websocket_pair() as (client, server):
        assert_type(client, WebSocket)
        assert_type(await expect_message(server), Message)
        assert_type(await expect_close(server, 1000), Close)
        assert_type(await expect_pong(client), float)
    async with open_websocket_with_peer() as (websocket, peer):
        assert_type(websocket, WebSocket)
        assert_type(peer, WirePeer)
        assert_type(await peer.receive_frame(), Frame | None)
    async with serve_websocket_in_memory(Callbacks()) as memory, memory.open("/") as websocket:
        assert_type(memory.server, WebSocketServer)
        assert_type(websocket, WebSocket)
