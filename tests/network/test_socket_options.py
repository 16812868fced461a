"""Socket options on real sockets: what the kernel says of them (row P3)."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from snowtrio import (
    Connection,
    KeepAlive,
    LineCodec,
    SocketOptionError,
    SocketOptions,
    UnixEndpoint,
    UnsupportedOptionError,
    open_connection,
    open_tcp_connection,
    open_tcp_listeners,
    open_unix_connection,
    open_unix_listener,
    read_socket_options,
    serve_listeners,
    serve_unix,
    set_socket_options,
)
from snowtrio.testing import open_memory_pair

from ..serving import echo
from .optioned import accepting, linux
from .tcp import serving_tcp

# Names and numbers apart from those of the package: what is said, where it goes, what is there.
OPTIONS: list[tuple[dict[str, Any], int, int, int | bytes]] = [
    ({"keep_alive": True}, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ({"no_delay": False}, socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
    ({"linger": 7}, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 7)),
    ({"hop_limit": 9}, socket.IPPROTO_IP, socket.IP_TTL, 9),
    ({"dscp": 46}, socket.IPPROTO_IP, socket.IP_TOS, 184),
]
if sys.platform == "linux":
    OPTIONS += [
        ({"keep_alive": KeepAlive(idle=33)}, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 33),
        ({"keep_alive": KeepAlive(interval=4)}, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 4),
        ({"keep_alive": KeepAlive(count=5)}, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
        ({"receive_buffer_size": 40_000}, socket.SOL_SOCKET, socket.SO_RCVBUF, 80_000),
        ({"send_buffer_size": 40_000}, socket.SOL_SOCKET, socket.SO_SNDBUF, 80_000),
        ({"unsent_low_water": 5000}, socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 5000),
        ({"user_timeout": 1.5}, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500),
        ({"congestion_control": "reno"}, socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno"),
        ({"bind_to_device": "lo"}, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"),
        ({"extra": ((6, socket.TCP_SYNCNT, 3),)}, socket.IPPROTO_TCP, socket.TCP_SYNCNT, 3),
    ]
NAMED = [pytest.param(*each, id=next(iter(each[0]))) for each in OPTIONS]


def ask(sock: socket.socket | None, level: int, number: int, value: int | bytes) -> int | bytes:
    """Return what the kernel has, as long as what is expected."""
    assert sock is not None
    if isinstance(value, int):
        return sock.getsockopt(level, number)
    return sock.getsockopt(level, number, 16)[: len(value)]


@pytest.mark.parametrize(("values", "level", "number", "expected"), NAMED)
async def test_what_the_kernel_has(
    values: dict[str, Any], level: int, number: int, expected: int | bytes
) -> None:
    """P3: on the listener, the connections it accepts and a client's."""
    options = SocketOptions(**values)
    listeners = await open_tcp_listeners(0, options=options)
    assert ask(listeners[0].socket, level, number, expected) == expected
    for listener in listeners:
        await listener.aclose()
    async with accepting(options, options=options) as (ours, theirs):
        assert ask(ours.socket, level, number, expected) == expected
        assert ask(theirs.socket, level, number, expected) == expected


@linux
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_read_back(host: str) -> None:
    """P3: in the words in which it was said, but for sizes, which Linux doubles."""
    options = SocketOptions(
        keep_alive=KeepAlive(idle=60, interval=10, count=3),
        linger=0,
        receive_buffer_size=40_000,
        send_buffer_size=50_000,
        unsent_low_water=5000,
        user_timeout=1.5,
        congestion_control="reno",
        dscp=46,
        hop_limit=9,
        bind_to_device="lo",
    )
    told = attrs.evolve(
        options,
        reuse_address=False,
        reuse_port=False,
        no_delay=True,
        receive_buffer_size=80_000,
        send_buffer_size=100_000,
        mark=0,
    )
    async with accepting(options, host=host, options=options) as (ours, theirs):
        assert read_socket_options(ours) == told
        assert read_socket_options(theirs) == attrs.evolve(told, reuse_address=True)


@linux
async def test_read_back_from_a_listener() -> None:
    """P3: with what only listeners have; Linux rounds the wait for first bytes."""
    options = SocketOptions(reuse_port=True, defer_accept=5, fast_open=9)
    listeners = await open_tcp_listeners(0, host="::1", options=options)
    told = read_socket_options(listeners[0])
    assert (told.reuse_address, told.reuse_port, told.ipv6_only) == (True, True, True)
    assert (told.defer_accept, told.fast_open, told.no_delay) == (7, 9, True)
    assert told.keep_alive is False
    assert told.linger is told.user_timeout is told.broadcast is None
    await listeners[0].aclose()


async def test_without_options() -> None:
    """P3: no delay at either end; what Trio bounds for clients is bounded here."""
    async with accepting() as (ours, theirs):
        for each in (ours, theirs):
            told = read_socket_options(each)
            assert (told.no_delay, told.keep_alive, told.linger) == (True, False, None)
        if sys.platform == "linux":
            assert read_socket_options(ours).unsent_low_water == 16 * 1024


async def test_a_listener_of_somebody_else() -> None:
    """P3: its connections have no delay; set options hold for those to come."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    set_socket_options(listeners[0], SocketOptions(keep_alive=True))
    kept: list[SocketOptions] = []

    async def look(connection: Connection[bytes]) -> None:
        kept.append(read_socket_options(connection))
        await echo(connection)

    port = listeners[0].socket.getsockname()[1]
    async with (
        serving_tcp(look, serve=serve_listeners, where=listeners),
        open_tcp_connection(LineCodec(), "127.0.0.1", port) as connection,
    ):
        await connection.send(b"a")
        assert await connection.receive() == b"a"
    assert kept[0].no_delay is True
    if sys.platform == "linux":
        assert kept[0].keep_alive


async def test_through_tls(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """P3: the options of the socket below."""
    options = SocketOptions(hop_limit=9)
    theirs, ours = server_ssl_context, client_ssl_context
    async with (
        serving_tcp(options=options, ssl_context=theirs) as server,
        open_tcp_connection(
            LineCodec(), "localhost", server.port, ssl_context=ours, options=options
        ) as connection,
    ):
        assert read_socket_options(connection).hop_limit == 9


async def test_nothing_to_read() -> None:
    """P3: in memory there are no sockets, and closed ones say nothing."""
    async with open_memory_pair(LineCodec()) as (client, _):
        assert client.socket is None
        with pytest.raises(ValueError, match="has no socket"):
            read_socket_options(client)
    async with accepting() as (ours, _):
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_socket_options(ours)


async def test_a_live_connection() -> None:
    """P3: options of one connection alone, but for those that count before it is bound."""
    async with accepting() as (ours, _):
        set_socket_options(ours, SocketOptions(no_delay=False, hop_limit=9))
        told = read_socket_options(ours)
        assert (told.no_delay, told.hop_limit) == (False, 9)
        with pytest.raises(SocketOptionError, match="reuse_port: it has to be set before"):
            set_socket_options(ours, SocketOptions(hop_limit=8, reuse_port=True))
        with pytest.raises(UnsupportedOptionError, match="fast_open: it is for a TCP listener"):
            set_socket_options(ours, SocketOptions(hop_limit=8, fast_open=1))
        assert read_socket_options(ours).hop_limit == 9
        set_socket_options(ours, SocketOptions(hop_limit=8, fast_open=1, unsupported="ignore"))
        assert read_socket_options(ours).hop_limit == 8


# Unix sockets


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
async def test_unix_sockets_have_buffers(tmp_path: Path) -> None:
    """P3: accepted ones do not inherit theirs, and have them all the same."""
    path, options = tmp_path / "socket", SocketOptions(send_buffer_size=50_000)
    told: list[SocketOptions] = []

    async def look(connection: Connection[bytes]) -> None:
        told.append(read_socket_options(connection))
        await echo(connection)

    async with (
        serving_tcp(look, serve=serve_unix, where=path, options=options),
        open_unix_connection(LineCodec(), path, options=options) as connection,
    ):
        await connection.send(b"a")
        assert await connection.receive() == b"a"
        told.append(read_socket_options(connection))
    times = 2 if sys.platform == "linux" else 1
    assert [each.send_buffer_size for each in told] == [50_000 * times] * 2
    assert [each.no_delay for each in told] == [None, None]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
async def test_unix_sockets_are_not_tcp(tmp_path: Path) -> None:
    """P3: told before there is a file, or ignored by choice."""
    path, options = tmp_path / "socket", SocketOptions(user_timeout=1)
    with pytest.raises(UnsupportedOptionError, match="and this is a Unix listener"):
        await open_unix_listener(path, options=options)
    assert not path.exists()
    with pytest.raises(UnsupportedOptionError, match="and this is a Unix connection"):
        UnixEndpoint(path, options=options)
    quiet = attrs.evolve(options, unsupported="ignore")
    async with (
        serving_tcp(serve=serve_unix, where=path, options=quiet),
        open_connection(LineCodec(), UnixEndpoint(path, options=quiet)) as connection,
    ):
        await connection.send(b"a")
        assert await connection.receive() == b"a"
