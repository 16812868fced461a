"""Where servers listen: ports, families, Unix sockets, and listeners from elsewhere."""

from __future__ import annotations

import errno
import socket
import ssl
from functools import partial

import pytest
import trio
import trio.testing

from snowtrio import (
    DrainTimeouts,
    LineCodec,
    Refusal,
    ServerLimits,
    open_tcp_listeners,
    serve_listeners,
    serve_tcp,
)

from ..conftest import open_descriptors
from ..serving import ask, echo, read_all
from .tcp import connect, serving_tcp, until


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
    with socket.socket() as probe:
        # Some connection that another test has left may have this very port over IPv4.
        probe.bind(("0.0.0.0", 0))
        port = probe.getsockname()[1]
    async with serving_tcp(where=port, host="::1") as server:
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


async def test_server_that_is_cancelled_closes_all_its_listeners() -> None:
    """S23, B6."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_tcp, echo, LineCodec(), 0, host=None))
        nursery.cancel_scope.cancel()
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(host, server.port)
