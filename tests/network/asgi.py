"""ASGI applications that are served, and clients that see each byte."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs
import pytest
import trio

from snowtrio.asgi import ASGIServer, serve_asgi

TIMEOUT = 20.0
"""Seconds that nothing here comes near: only a hang meets it."""

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(app: Application, **options: Any) -> AsyncIterator[ASGIServer]:
    """Serve an application on a free port for the time of a block."""
    with trio.fail_after(TIMEOUT):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_asgi, app, 0, **options))
            yield server
            nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def client_of(app: Any, **options: Any) -> AsyncIterator[Any]:
    """Serve an application, give a client of httpx for it, and drain."""
    httpx = pytest.importorskip("httpx")
    async with serving(app, **options) as server:
        base = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
            yield client
        await server.drain()


async def connect(server: ASGIServer, greeting: bytes = b"") -> trio.SocketStream:
    """Return a connection to a server."""
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    await stream.send_all(greeting)
    return stream


async def read_all(stream: trio.SocketStream) -> bytes:
    """Return what comes up to the end of input, or to a reset."""
    pieces = []
    with contextlib.suppress(trio.BrokenResourceError):
        async for piece in stream:
            pieces.append(piece)
    return b"".join(pieces)


async def read_until(stream: trio.SocketStream, mark: bytes) -> bytes:
    """Return what comes up to, and with, the first read that has a mark in it."""
    data = b""
    while mark not in data:
        piece = await stream.receive_some()
        assert piece, data
        data += piece
    return data


@attrs.frozen
class Answer:
    """A response, and what stood behind its head."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]


def read_answer(data: bytes) -> Answer:
    """Split a response."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (f.partition(":") for f in fields)]
    return Answer(int(line.split(" ")[1]), pairs, body)


async def ask(server: ASGIServer, request: bytes = CLOSE) -> Answer:
    """Send a request that closes its connection and return the answer."""
    async with await connect(server, request) as stream:
        return read_answer(await read_all(stream))


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages: Message) -> Application:
    """Return an application that sends some messages to each request."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        for message in messages:
            await send(message)

    return app
