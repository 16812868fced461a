"""What has come before anybody waits for it: read at once, and nothing of it lost or invented."""

from __future__ import annotations

import gc
import socket
import struct
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from typing_extensions import override

from snowtrio import (
    Cause,
    Connection,
    LineCodec,
    RemoteProtocolError,
    Server,
    Side,
    serve_listeners,
)
from snowtrio._transport import open_tcp_listeners

from ..serving import LIMIT, echo
from .tcp import serving_tcp, until

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]


def echo_function(connection: Connection[bytes], line: bytes) -> bytes:
    return line


HANDLERS = pytest.mark.parametrize("handler", [echo, echo_function])


@asynccontextmanager
async def called_on(
    handler: Any, first: bytes, protocol: Any = None
) -> AsyncGenerator[tuple[Server[Any, Any, Any], trio.SocketStream], None]:
    """Serve a peer that has connected and sent before the server begins to accept."""
    listeners = await open_tcp_listeners(0)
    address = listeners[0].address
    assert isinstance(address, tuple)
    stream = await trio.open_tcp_stream(*address[:2])
    await stream.send_all(first)
    async with stream, serving_tcp(handler, protocol, serve=serve_listeners, where=listeners) as it:
        yield it, stream


async def receive(stream: trio.SocketStream, size: int) -> bytes:
    read = b""
    with trio.fail_after(LIMIT):
        while len(read) < size and (data := await stream.receive_some()):
            read += data
    return read


@HANDLERS
@pytest.mark.parametrize("cut", range(8))
async def test_first_bytes_come_before_the_server_is_there(handler: Any, cut: int) -> None:
    """S1, S12: two lines, cut anywhere, the first part there already and the rest on its way."""
    async with called_on(handler, b"one\ntwo\n"[:cut]) as (server, stream):
        await until(lambda: server.connections)
        await stream.send_all(b"one\ntwo\n"[cut:])
        assert await receive(stream, 8) == b"one\ntwo\n"


@HANDLERS
async def test_question_and_end_are_there_already(handler: Any) -> None:
    """S1, P5: the answers are sent, and the peer's end of input is the cause."""
    async with called_on(handler, b"one\ntwo\n") as (server, stream):
        await stream.send_eof()
        assert await receive(stream, 100) == b"one\ntwo\n"
        await until(lambda: server.statistics().pool.ended)
        pool = server.statistics().pool
        assert pool.ended == {Cause.PEER_CLOSED: 1}
        assert (pool.messages_received, pool.messages_sent, pool.bytes_received) == (2, 2, 8)


async def test_line_that_is_too_long_is_there_already() -> None:
    """S3: what came before it is received, then the error that it is."""
    errors: list[Exception] = []

    async def handle(connection: Connection[bytes]) -> None:
        try:
            await echo(connection)
        except RemoteProtocolError as error:
            errors.append(error)
            raise

    codec = LineCodec(max_message_size=4)
    async with called_on(handle, b"one\n" + b"x" * 50, codec) as (server, stream):
        assert await receive(stream, 100) == b"one\n"
        await until(lambda: server.statistics().pool.ended)
        assert server.statistics().pool.ended == {Cause.PROTOCOL_ERROR: 1}
    assert len(errors) == 1


@HANDLERS
async def test_peer_was_reset_before_anybody_read(handler: Any) -> None:
    """S18: noticed at the first read, or already at the accept."""
    async with called_on(handler, b"") as (server, stream):
        linger = struct.pack("ii", 1, 0)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await stream.aclose()
        await until(lambda: server.statistics().pool.ended or not server.connections)
        await until(lambda: not server.connections)
        assert set(server.statistics().pool.ended) <= {Cause.LOST}


async def test_nothing_is_read_after_stop_receiving() -> None:
    """B3: a handler that stops before it has received sees the end, not what has come."""
    received: list[bytes] = []

    async def handle(connection: Connection[bytes]) -> None:
        connection.stop_receiving()
        async for line in connection:
            received.append(line)

    async with called_on(handle, b"one\n") as (server, _):
        await until(lambda: server.statistics().pool.ended)
    assert received == []


@HANDLERS
@pytest.mark.parametrize("first", [b"", b"one\n"])
async def test_connection_that_has_ended_is_freed_at_once(handler: Any, first: bytes) -> None:
    """W24: what is left of a connection, as its coder, waits for no collection of cycles."""
    coders: list[weakref.ref[LineCodec]] = []

    class Own(LineCodec):
        @override
        def start(self, side: Side, context: object) -> LineCodec:
            coder = LineCodec()
            coders.append(weakref.ref(coder))
            return coder

    gc.collect()
    gc.disable()
    try:
        async with called_on(handler, first, Own()) as (server, stream):
            await stream.send_all(b"two\n")
            assert await receive(stream, len(first) + 4) == first + b"two\n"
            await stream.aclose()
            await until(lambda: server.statistics().pool.ended)
            await until(lambda: all(coder() is None for coder in coders))
    finally:
        gc.enable()
    assert len(coders) == 1
