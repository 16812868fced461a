"""Where servers listen: ports, families, Unix sockets, and listeners from elsewhere."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import pytest
import trio
import trio.testing
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSListener

from snowtrio import (
    Cause,
    Connection,
    DrainTimeouts,
    LineCodec,
    Refusal,
    ServerLimits,
    open_tcp_listeners,
    open_unix_listener,
    serve_listeners,
    serve_tcp,
    serve_unix,
)
from snowtrio.interop import from_anyio_listener

from ..conftest import open_descriptors
from ..serving import LIMIT, ask, echo, read_all
from .tcp import QUICK, connect, serving_tcp, until


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", 2), ("::1", 10), ("localhost", 0)])
async def test_port_zero_reports_the_real_address(host: str, family: int) -> None:
    """P1: on IPv4, IPv6 and by name; ready as soon as it is reported."""
    async with serving_tcp(host=host) as server:
        assert server.port > 0
        assert all(isinstance(each, tuple) and each[1] == server.port for each in server.addresses)
        stream = await trio.open_tcp_stream(host, server.port)
        assert await ask(stream, b"ready") == b"ready"
        (connection,) = server.connections
        assert connection.local_address == server.addresses[-1] or family == 0
        assert connection.peer_address == stream.socket.getsockname()
        await stream.aclose()


async def test_no_host_is_all_addresses_on_one_port() -> None:
    """P1: IPv4 and IPv6."""
    async with serving_tcp(host=None) as server:
        assert len(server.addresses) == 2
        assert len({each[1] for each in server.addresses if isinstance(each, tuple)}) == 1
        for host in ("127.0.0.1", "::1"):
            stream = await trio.open_tcp_stream(host, server.port)
            assert await ask(stream, b"x") == b"x"
            await stream.aclose()


async def test_port_that_is_taken_on_the_second_address_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P1: port 0 means one that is free on all of them."""
    bind = socket.socket.bind
    refused: list[int] = []

    def bind_twice(self: socket.socket, address: tuple[str, int]) -> None:
        if ":" in address[0] and len(refused) < 2:
            refused.append(address[1])
            raise OSError(errno.EADDRINUSE, "in use")
        bind(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind_twice)
    listeners = await open_tcp_listeners(0, host=None)
    ports = {each.address[1] for each in listeners if isinstance(each.address, tuple)}
    assert len(listeners) == 2
    assert len(ports) == 1
    assert 0 not in refused
    for listener in listeners:
        await listener.aclose()


async def test_family_that_the_machine_does_not_have_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P1: a name for both families still serves the one there is."""
    bind = socket.socket.bind

    def bind_v4(self: socket.socket, address: tuple[str, int]) -> None:
        if ":" in address[0]:
            raise OSError(errno.EADDRNOTAVAIL, "no such address")
        bind(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind_v4)
    (listener,) = await open_tcp_listeners(0, host=None)
    await listener.aclose()
    with pytest.raises(OSError, match=r"cannot listen on \[::1\]:0") as caught:
        await open_tcp_listeners(0, host="::1")
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_port_in_use_is_a_clear_error_and_leaves_nothing() -> None:
    """P1: also where the first of two addresses was free."""
    async with serving_tcp(host="::1") as server:
        before = open_descriptors()
        for host in ("::1", None):
            with pytest.raises(OSError, match=rf"cannot listen on \[.*\]:{server.port}") as caught:
                await serve_tcp(echo, LineCodec(), server.port, host=host)
            assert caught.value.errno == errno.EADDRINUSE
        assert open_descriptors() == before


async def test_port_can_be_had_again_at_once() -> None:
    """P1: connections of the server before are no obstacle."""
    async with serving_tcp() as server:
        stream = await connect(server)
        assert await ask(stream, b"x") == b"x"
        port = server.port
        await server.drain(DrainTimeouts(wait=0))
        await stream.aclose()
    async with serving_tcp(where=port) as again:
        assert again.port == port


@pytest.mark.parametrize("port", [-1, 70_000])
async def test_senseless_port_leaves_nothing(port: int) -> None:
    """P1."""
    with pytest.raises((OverflowError, OSError)):
        await open_tcp_listeners(port)


async def test_unknown_host_is_named() -> None:
    """P4: it is an OSError as others are."""
    with pytest.raises(socket.gaierror, match=r"nowhere\.invalid"):
        await open_tcp_listeners(0, host="nowhere.invalid")


# Unix sockets


async def test_unix_socket_is_this_users_own_and_is_removed(tmp_path: Path) -> None:
    """S26: by default nobody else can connect."""
    path = tmp_path / "socket"
    async with serving_tcp(serve=serve_unix, where=path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.addresses == [str(path)]
        stream = await trio.open_unix_socket(path)
        assert await ask(stream, b"x") == b"x"
        await stream.aclose()
    assert not path.exists()
    async with serving_tcp(serve=serve_unix, where=str(path), mode=0o666):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


async def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """W25: only what nobody listens on is removed."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    async with serving_tcp(serve=serve_unix, where=path):
        with pytest.raises(OSError, match="another server listens there") as caught:
            await open_unix_listener(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(path) in str(caught.value)
        stream = await trio.open_unix_socket(path)
        assert await ask(stream, b"still") == b"still"
        await stream.aclose()


async def test_live_unix_socket_with_a_full_backlog_is_not_removed(tmp_path: Path) -> None:
    """W25: one that is too busy to answer lives."""
    path = tmp_path / "socket"
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(path))
        with pytest.raises(OSError, match="another server listens there"):
            await open_unix_listener(path)
        assert path.exists()


async def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """W25."""
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="no socket is there") as caught:
        await open_unix_listener(path)
    assert caught.value.errno == errno.EEXIST
    assert path.read_text() == "precious"


async def test_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    """W25: somebody else may have taken the path while we listened."""
    path = tmp_path / "socket"
    first = await open_unix_listener(path)
    path.unlink()
    second = await open_unix_listener(path)
    await first.aclose()
    assert path.exists()
    await second.aclose()
    assert not path.exists()
    await second.aclose()


@pytest.mark.parametrize("name", ["no/such/directory", "x" * 200])
async def test_path_that_cannot_be_is_named(name: str, tmp_path: Path) -> None:
    """W25: a bind error raises at once and leaves no file and no descriptor."""
    with pytest.raises(OSError, match="cannot listen on .*" + name[-10:]):
        await open_unix_listener(tmp_path / name)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no blocking to speak of


async def test_unix_socket_whose_permissions_fail_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W25."""

    def refuse(*arguments: object, **keywords: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(PermissionError, match="cannot listen"):
        await open_unix_listener(tmp_path / "socket")
    assert not (tmp_path / "socket").exists()


async def test_cancelled_before_it_listens_it_leaves_nothing(tmp_path: Path) -> None:
    """B6."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_unix_listener(tmp_path / "socket")
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_tcp_listeners(0)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no blocking to speak of


# Listeners from elsewhere


async def test_any_trio_listener_can_be_served(server_ssl_context: ssl.SSLContext) -> None:
    """S26: several at once, in one server; those made of sockets say where they are."""
    client_context = ssl.create_default_context()
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    plain = await trio.open_tcp_listeners(0, host="127.0.0.1")
    secure = await trio.open_ssl_over_tcp_listeners(0, server_ssl_context, host="127.0.0.1")
    ours = await open_tcp_listeners(0)
    async with serving_tcp(serve=serve_listeners, where=[*secure, *plain, *ours]) as server:
        ports = [each[1] for each in server.addresses if isinstance(each, tuple)]
        assert len(ports) == 3
        streams: list[trio.abc.Stream] = [
            await trio.open_ssl_over_tcp_stream("127.0.0.1", ports[0], ssl_context=client_context),
            *[await trio.open_tcp_stream("127.0.0.1", port) for port in ports[1:]],
        ]
        for stream in streams:
            assert await ask(stream, b"x") == b"x"
        assert len(server.connections) == 3
        for stream in streams:
            await stream.aclose()


async def test_silent_peer_of_a_trio_tls_listener_does_not_stop_the_refusing(
    server_ssl_context: ssl.SSLContext,
) -> None:
    """S20: closing such a stream in order would first shake hands, and wait for ever."""
    listeners = await trio.open_ssl_over_tcp_listeners(0, server_ssl_context, host="127.0.0.1")
    limits = ServerLimits(max_connections=1, linger_timeout=0.2, drain_timeout=0.2)
    async with serving_tcp(serve=serve_listeners, where=listeners, limits=limits) as server:
        first = await connect(server)
        await until(lambda: server.connections)
        for _ in range(3):
            refused = await connect(server)
            assert await read_all(refused) == b""
            await refused.aclose()
        assert server.statistics().refused[Refusal.FULL] == 3
        await first.aclose()


async def test_anyio_listener_can_be_served() -> None:
    """S26: IPv4 and IPv6 of anyio's under one server, with addresses and a clean end."""
    listener = await anyio.create_tcp_listener(local_port=0)
    async with trio.open_nursery() as nursery:
        adapted = await nursery.start(from_anyio_listener, listener)
        async with serving_tcp(serve=serve_listeners, where=[adapted]) as server:
            for host in ("127.0.0.1", "::1"):
                stream = await trio.open_tcp_stream(host, server.port)
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


async def test_server_that_is_cancelled_closes_all_its_listeners() -> None:
    """S23, B6."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_tcp, echo, LineCodec(), 0, host=None))
        nursery.cancel_scope.cancel()
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(host, server.port)
