"""Servers on every kind of address: what is asked is answered, and nothing is left."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import Connection, LineCodec, serve_tcp, serve_unix

from ..serving import LIMIT, ask, echo, read_all
from .tcp import connect, serving_tcp, until

pytestmark = pytest.mark.usefixtures("readiness")

FAMILIES = ["127.0.0.1", "::1", "unix"]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
async def test_echo_passes_on_every_address(
    family: str,
    secure: bool,
    tmp_path: Path,
    server_ssl_context: ssl.SSLContext,
    client_ssl_context: ssl.SSLContext,
) -> None:
    """S26: TCP over both families, Unix sockets, and TLS over each; addresses through TLS too."""
    path = tmp_path / "socket"
    options: dict[str, Any] = {"ssl_context": server_ssl_context} if secure else {}
    if family == "unix":
        options |= {"serve": serve_unix, "where": path}
    else:
        options |= {"host": family}
    async with serving_tcp(**options) as server:
        below: trio.abc.Stream
        if family == "unix":
            below = await trio.open_unix_socket(path)
        else:
            below = await trio.open_tcp_stream(family, server.port)
        stream: trio.abc.Stream = below
        if secure:
            stream = trio.SSLStream(below, client_ssl_context, server_hostname="localhost")
        for _ in range(3):
            assert await ask(stream, b"hello " * 1000) == b"hello " * 1000
        (connection,) = server.connections
        assert isinstance(below, trio.SocketStream)
        assert connection.peer_address == below.socket.getsockname()
        assert connection.local_address == below.socket.getpeername()
        await stream.aclose()


async def test_loopback_exchange_from_ready_to_nothing_left() -> None:
    """Z1: ready before the client connects, the expected reply, nothing left open."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_tcp, echo, LineCodec(), 0))
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        assert await ask(stream, b"hello") == b"hello"
        await stream.aclose()
        report = await server.drain()
    assert report.clean
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_many_clients_all_get_the_shutdown_line_and_are_joined() -> None:
    """Z3, S23: a farewell to each, an orderly end for each, and no client left behind."""
    number = 50

    class Chat:
        joined = left = 0

    async def chat(connection: Connection[bytes]) -> None:
        Chat.joined += 1
        async for line in connection:
            await connection.send(line)
        await connection.send(b"the server shuts down")
        Chat.left += 1

    answers: list[bytes] = []

    async with serving_tcp(chat) as server:

        async def client(name: bytes) -> None:
            async with await connect(server) as stream:
                assert await ask(stream, name) == name
                answers.append(await read_all(stream))

        async with trio.open_nursery() as nursery:
            for index in range(number):
                nursery.start_soon(client, b"client %d" % index)
            await until(lambda: Chat.joined == number)
            await until(lambda: server.statistics().pool.messages_sent == number)
            with trio.fail_after(LIMIT):
                report = await server.drain()
    assert answers == [b"the server shuts down\n"] * number
    assert Chat.left == number
    assert len(report.connections) == number
    assert report.clean


async def test_closing_all_keeps_the_server_listening() -> None:
    """S24: those who are there are dropped, those who come are served."""
    async with serving_tcp() as server:
        streams = [await connect(server) for _ in range(5)]
        for stream in streams:
            assert await ask(stream, b"x") == b"x"
        server.close_all()
        for stream in streams:
            with trio.fail_after(LIMIT):
                assert await stream.receive_some() == b""
            await stream.aclose()
        await until(lambda: not server.connections)
        async with await connect(server) as stream:
            assert await ask(stream, b"again") == b"again"


async def test_half_closed_peer_gets_its_replies() -> None:
    """P5: more of them than one send buffer holds."""
    async with serving_tcp() as server, await connect(server) as stream:
        line = b"x" * 1000 + b"\n"
        async with trio.open_nursery() as nursery:

            async def ask_all() -> None:
                await stream.send_all(line * 10_000)
                await stream.send_eof()

            nursery.start_soon(ask_all)
            assert await read_all(stream) == line * 10_000


async def test_peers_in_the_backlog_are_served_by_a_drain() -> None:
    """S23: who had connected before it began is not reset."""
    streams: list[trio.SocketStream] = []
    async with serving_tcp() as server:
        for _ in range(20):
            streams.append(await connect(server))
            await streams[-1].send_all(b"x\n")
        report = await server.drain()
        for stream in streams:
            # Its handler hears the end of input at once, with or without the line before it.
            assert await read_all(stream) in (b"", b"x\n")
            await stream.aclose()
    assert len(report.connections) == 20
    assert server.statistics().accepted == 20
