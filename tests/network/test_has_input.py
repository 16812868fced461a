"""Looking at a quiet connection before it is used (for row Z8)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from snowtrio import Connection, LineCodec, open_tcp_connection

from .tcp import serving_tcp, until


@asynccontextmanager
async def both_ends(
    server: ssl.SSLContext | None, client: ssl.SSLContext | None
) -> AsyncGenerator[tuple[Connection[bytes], Connection[bytes]], None]:
    """Give our end of a connection, on which a line came and went, and the server's."""
    ends: list[Connection[bytes]] = []

    async def handle(connection: Connection[bytes]) -> None:
        ends.append(connection)
        async for line in connection:
            await connection.send(line)

    async with (
        serving_tcp(handle, ssl_context=server) as serving,
        open_tcp_connection(
            LineCodec(), "localhost", serving.port, ssl_context=client
        ) as connection,
    ):
        await connection.send(b"first")
        assert await connection.receive() == b"first"
        yield connection, ends[0]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("idle", [0.0, 0.1])
async def test_what_has_come_is_seen_and_stays(
    readiness: str,
    idle: float,
    tls: bool,
    server_ssl_context: ssl.SSLContext,
    client_ssl_context: ssl.SSLContext,
) -> None:
    """A message in the kernel, in the inbox or in the receiver's batch is there; none is lost."""
    contexts = (server_ssl_context, client_ssl_context) if tls else (None, None)
    async with both_ends(*contexts) as (ours, theirs):
        await trio.sleep(idle)
        assert not ours.has_input()
        theirs.send_nowait(b"a")
        assert ours.has_input()
        await until(ours.has_input)
        await trio.sleep(idle)
        assert ours.has_input()
        theirs.send_nowait(b"b")
        assert [await ours.receive(), await ours.receive()] == [b"a", b"b"]
        assert not ours.has_input()


async def test_the_end_is_seen(readiness: str) -> None:
    """So is the end of input, before and after somebody has read it."""
    async with both_ends(None, None) as (ours, theirs):
        theirs.drop()
        await until(ours.has_input)
        with pytest.raises(trio.EndOfChannel):
            await ours.receive()
        assert ours.has_input()
