"""Listeners of anyio's under our servers."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from functools import partial

import anyio
import anyio.abc
import pytest
import trio
import trio.testing
from anyio.abc import SocketAttribute
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSListener

from snowtrio import (
    Cause,
    Connection,
    LineCodec,
    ServerLimits,
    serve_listeners,
)
from snowtrio.interop import from_anyio_listener

from ..conftest import open_descriptors
from ..serving import LIMIT, ask, echo, read_all
from .tcp import QUICK, connect, serving_tcp, until


async def test_anyio_listener_can_be_served() -> None:
    """S26: IPv4 and IPv6 of anyio's under one server, with addresses and a clean end."""
    listener = await anyio.create_tcp_listener(local_port=0)
    # Those of older versions have a port each; newer ones may be one for both.
    ports = {
        each.extra(SocketAttribute.family): each.extra(SocketAttribute.local_port)
        for each in listener.listeners
    }
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        async with serving_tcp(serve=serve_listeners, where=[adapted]) as server:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                stream = await trio.open_tcp_stream(host, ports.get(family, server.port))
                assert await ask(stream, b"x") == b"x"
                peer = server.connections[-1].peer_address
                assert isinstance(peer, tuple)
                assert peer[1] == stream.socket.getsockname()[1]
                await stream.aclose()


async def test_anyio_listener_keeps_to_the_limits() -> None:
    """S20: who has to wait does so in the backlog, and not as an open descriptor of ours."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        limits = ServerLimits(max_connections=1, linger_timeout=0.2)
        async with serving_tcp(
            serve=serve_listeners, where=[adapted], limits=limits, when_full="wait"
        ) as server:
            first = await connect(server)
            assert await ask(first, b"x") == b"x"
            waiting = [await connect(server) for _ in range(10)]
            assert len(open_descriptors()) < 40
            ours = sum(target.startswith("socket") for target in open_descriptors().values())
            assert ours <= 2 * 2 + len(waiting) + 6
            await first.aclose()
            assert await ask(waiting[0], b"now") == b"now"
            for stream in waiting:
                await stream.aclose()


async def test_anyio_listener_is_closed_with_the_server_that_is_cancelled() -> None:
    """S23, B6: both its sockets, though its own close would leave one when cancelled."""
    listener = MultiListener(
        [await anyio.create_tcp_listener(local_host=host) for host in ("127.0.0.1", "::1")]
    )
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        serve = partial(serve_listeners, echo, LineCodec(), [adapted], limits=QUICK)
        server = await nursery.start(serve)
        stream = await trio.open_tcp_stream("::1", server.port)
        assert await ask(stream, b"x") == b"x"
        nursery.cancel_scope.cancel()
    with trio.fail_after(LIMIT):
        assert await stream.receive_some() == b""
    await stream.aclose()


async def test_anyio_tls_listener_can_be_served(
    server_ssl_context: ssl.SSLContext,
    client_ssl_context: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S26: a stream that cannot end one direction alone is closed in order all the same."""

    async def answer(connection: Connection[bytes]) -> None:
        await connection.send(await connection.receive())

    listener = TLSListener(
        await anyio.create_tcp_listener(local_host="127.0.0.1"), server_ssl_context
    )
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        async with serving_tcp(answer, serve=serve_listeners, where=[adapted]) as server:
            port = listener.listener.extra(anyio.abc.SocketAttribute.local_port)
            for _ in range(3):
                stream = await trio.open_ssl_over_tcp_stream(
                    "127.0.0.1", port, ssl_context=client_ssl_context
                )
                assert await ask(stream, b"x") == b"x"
                assert await read_all(stream) == b""
                await stream.aclose()
            await until(lambda: server.statistics().pool.ended == {Cause.DONE: 3})
    assert caplog.records == []


async def test_anyio_listener_that_the_server_has_left_closes_what_it_accepts() -> None:
    """S23: nobody waits for an answer that cannot come."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked(0.01)
        await adapted.aclose()
        for stream in streams:
            with contextlib.suppress(trio.BrokenResourceError):
                assert await read_all(stream) == b""
            await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await adapted.accept()


async def test_anyio_listener_that_is_cancelled_closes_what_it_accepted() -> None:
    """B6: what it was about to hand over too."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with trio.open_nursery() as nursery:
        await nursery.start(from_anyio_listener, listener)
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    with trio.fail_after(LIMIT), contextlib.suppress(trio.BrokenResourceError):
        assert await stream.receive_some() == b""
    await stream.aclose()


async def test_anyio_listener_says_when_descriptors_run_out() -> None:
    """S21: the server backs off as with its own listeners."""

    class Exhausted(anyio.abc.SocketListener):
        def __init__(self, below: anyio.abc.SocketListener) -> None:
            self._below = below
            self.failures = 3

        @property
        def _raw_socket(self) -> socket.socket:
            return self._below.extra(anyio.abc.SocketAttribute.raw_socket)

        async def accept(self) -> anyio.abc.SocketStream:
            stream = await self._below.accept()
            if self.failures:
                self.failures -= 1
                await stream.aclose()
                raise anyio.BrokenResourceError from OSError(errno.EMFILE, "too many")
            return stream

        async def aclose(self) -> None:
            await self._below.aclose()

    (below,) = (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners
    assert isinstance(below, anyio.abc.SocketListener)
    listener = Exhausted(below)
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        async with serving_tcp(serve=serve_listeners, where=[adapted]) as server:
            for _ in range(3):
                async with await connect(server) as stream:
                    assert await read_all(stream) == b""
            async with await connect(server) as stream:
                assert await ask(stream, b"x") == b"x"
            assert server.statistics().accept_errors == 3
