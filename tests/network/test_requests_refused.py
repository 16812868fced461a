"""Requests that the kernel refuses in the moment in which they are sent.

Only a socket can do that: its connection is chosen, the bytes are made, and then it is broken.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from snowtrio import (
    ById,
    InOrder,
    LineCodec,
    RequestClient,
    RequestInDoubtError,
    RequestLimits,
    RequestNotSentError,
    StreamEndpoint,
)

BY_ID: ById[bytes, bytes] = ById(lambda request: request, lambda reply: reply)


class Sockets:
    """Connects a client to sockets of ours."""

    def __init__(self) -> None:
        self.ours: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        theirs, ours = socket.socketpair()
        streams = [trio.SocketStream(trio.socket.from_stdlib_socket(s)) for s in (theirs, ours)]
        for each in streams:
            each.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.ours.append(streams[1])
        return streams[0]

    async def read(self, index: int) -> bytes:
        with trio.fail_after(10):
            return bytes(await self.ours[index].receive_some(65536))

    async def answer(self, index: int, count: int) -> None:
        read = b""
        while read.count(b"\n") < count:
            read += await self.read(index)
        await self.ours[index].send_all(read)

    def close(self) -> None:
        for each in self.ours:
            each.socket.close()


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@asynccontextmanager
async def client_of(
    sockets: Sockets, correlation: Any, *, move_unsent: bool = False
) -> AsyncIterator[RequestClient[bytes]]:
    client = RequestClient(
        LineCodec(),
        StreamEndpoint(sockets.connect, "sockets"),
        correlation=correlation,
        move_unsent=move_unsent,
        limits=RequestLimits(max_connections=1, linger_timeout=0, backoff=0.001),
    )
    try:
        async with client:
            yield client
    finally:
        sockets.close()


@pytest.mark.parametrize("correlation", [InOrder(), BY_ID])
async def test_a_refused_request_goes_to_another_connection(
    sockets: Sockets, correlation: Any
) -> None:
    """B5, S18: it is not accepted by the first one, and is answered once, by the second."""
    async with client_of(sockets, correlation) as client:
        await client.bootstrap()
        # The client has not had the time to see its end.
        sockets.ours[0].socket.close()
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                while len(sockets.ours) < 2:
                    await trio.lowlevel.checkpoint()
                await sockets.answer(1, 1)

            nursery.start_soon(serve)
            assert await client.request(b"a") == b"a"
        found = client.statistics()
        assert (found.answered, found.in_doubt, found.not_sent, found.in_flight) == (1, 0, 0, 0)


@pytest.mark.parametrize("correlation", [InOrder(), BY_ID])
async def test_a_refused_request_behind_others(sockets: Sockets, correlation: Any) -> None:
    """B5: those that the peer had are in doubt; the refused one is not taken for one of them."""
    async with client_of(sockets, correlation) as client:
        results: dict[bytes, Any] = {}

        async def ask(message: bytes) -> None:
            try:
                results[message] = await client.request(message)
            except RequestInDoubtError as error:
                results[message] = error

        async def serve() -> None:
            while len(sockets.ours) < 2:
                await trio.lowlevel.checkpoint()
            await sockets.answer(1, 1)

        async with trio.open_nursery() as nursery:
            # The first reply begins a new turn, so that the next request goes out at once.
            nursery.start_soon(ask, b"0")
            while not sockets.ours:
                await trio.lowlevel.checkpoint()
            assert await sockets.read(0) == b"0\n"
            nursery.start_soon(ask, b"a")
            assert await sockets.read(0) == b"a\n"
            await sockets.ours[0].send_all(b"0\n")
            while b"0" not in results:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(serve)
            sockets.ours[0].socket.close()
            await ask(b"b")
        assert isinstance(results[b"a"], RequestInDoubtError)
        assert results[b"b"] == b"b"
        found = client.statistics()
        assert (found.answered, found.in_doubt, found.in_flight) == (2, 1, 0)


@pytest.mark.parametrize("messages", [[b"a"], [b"a", b"b", b"c"]])
@pytest.mark.parametrize("correlation", [InOrder(), BY_ID])
async def test_a_refused_batch(sockets: Sockets, correlation: Any, messages: list[bytes]) -> None:
    """B5: a batch is not repeated by itself; nothing of it was sent, and it says so."""
    async with client_of(sockets, correlation) as client:
        await client.bootstrap()
        sockets.ours[0].socket.close()
        with pytest.raises(RequestNotSentError) as caught:
            await client.request_batch(messages)
        assert [type(each) for each in caught.value.outcomes] == [RequestNotSentError] * len(
            messages
        )
        found = client.statistics()
        assert (found.not_sent, found.in_doubt, found.in_flight) == (len(messages), 0, 0)


@pytest.mark.parametrize("correlation", [InOrder(), BY_ID])
async def test_a_refused_request_of_a_session(sockets: Sockets, correlation: Any) -> None:
    """B5, S18: it raises, for it may not move; and is not counted twice."""
    async with client_of(sockets, correlation) as client:
        await client.bootstrap()
        async with client.session() as session:
            sockets.ours[0].socket.close()
            with pytest.raises(RequestNotSentError, match="connection of this session has ended"):
                await session.request(b"a")
            with pytest.raises(RequestNotSentError, match="connection of this session has ended"):
                async with session.stream(b"a", ends=bool):
                    pass
        found = client.statistics()
        assert (found.not_sent, found.in_doubt, found.in_flight) == (0, 0, 0)


@pytest.mark.parametrize("move_unsent", [False, True])
async def test_a_message_of_which_the_kernel_took_a_part(
    sockets: Sockets, move_unsent: bool
) -> None:
    """B5: it is in doubt; those behind it are not sent, or move."""
    async with client_of(sockets, InOrder(), move_unsent=move_unsent) as client:
        results: dict[bytes, Any] = {}

        async def ask(message: bytes) -> None:
            try:
                results[message[:1]] = await client.request(message)
            except (RequestInDoubtError, RequestNotSentError) as error:
                results[message[:1]] = error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, b"a" * 60_000)
            while not sockets.ours:
                await trio.lowlevel.checkpoint()
            assert (await sockets.read(0)).startswith(b"aaa")
            nursery.start_soon(ask, b"b")
            await trio.testing.wait_all_tasks_blocked()
            sockets.ours[0].socket.close()
            if move_unsent:
                while len(sockets.ours) < 2:
                    await trio.lowlevel.checkpoint()
                await sockets.answer(1, 1)
        assert isinstance(results[b"a"], RequestInDoubtError)
        if move_unsent:
            assert results[b"b"] == b"b"
        else:
            assert isinstance(results[b"b"], RequestNotSentError)
        assert client.statistics().in_flight == 0
