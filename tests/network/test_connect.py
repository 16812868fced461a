"""Connecting for real: refused, unreachable and silent told apart; Unix sockets (rows P4, S26).

Nothing here leaves the machine: 255.255.255.255 is refused by the kernel itself.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import (
    Client,
    ClientLimits,
    ConnectError,
    Connection,
    ConnectRefusedError,
    ConnectTimeoutError,
    HostUnreachableError,
    LineCodec,
    Server,
    TCPEndpoint,
    UnixEndpoint,
    open_connection,
    open_tcp_connection,
    open_unix_connection,
    serve_tcp,
    serve_unix,
)

ONCE = ClientLimits(connect_attempts=1)


async def echo(connection: Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(line)


@contextmanager
def unused_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Yield a port that is taken and not listened on: connecting is refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        yield sock.getsockname()[1]


@asynccontextmanager
async def unix_server(path: Path) -> AsyncIterator[Server[bytes, bytes, None]]:
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[Server[bytes, bytes, None]]) -> None:
            await serve_unix(echo, LineCodec(), path, task_status=task_status)

        server = await nursery.start(serve)
        yield server
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_refused(host: str) -> None:
    """P4: by the kernel of the other side, over both families."""
    with unused_port("::1" if host == "::1" else "127.0.0.1") as port:
        with pytest.raises(ConnectRefusedError, match="Connection refused") as caught:
            async with open_tcp_connection(LineCodec(), host, port):
                pass
        assert caught.value.errno == errno.ECONNREFUSED
        assert isinstance(caught.value, ConnectionRefusedError)
        assert str(port) in str(caught.value)


async def test_unreachable() -> None:
    """P4: no way to there."""
    with pytest.raises(HostUnreachableError) as caught:
        async with open_tcp_connection(LineCodec(), "255.255.255.255", 9):
            pass
    assert caught.value.errno == errno.ENETUNREACH
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_address_of_ours_that_is_none() -> None:
    """P4: to connect from an address that this machine does not have is to have no way either."""
    with unused_port() as port:
        endpoint = TCPEndpoint("127.0.0.1", port, local_address="127.0.0.1")
        with pytest.raises(ConnectRefusedError):
            async with open_connection(LineCodec(), endpoint):
                pass
        with pytest.raises(ConnectError):
            async with open_connection(
                LineCodec(), TCPEndpoint("127.0.0.1", port, local_address="255.255.255.255")
            ):
                pass


async def test_the_client_tells_them_apart_too() -> None:
    """P4, S17: a pool's write raises the same."""
    with unused_port() as port:
        async with Client(LineCodec(), "127.0.0.1", port, limits=ONCE) as client:
            with pytest.raises(ConnectRefusedError):
                await client.send(b"a")
    async with Client(LineCodec(), "255.255.255.255", 9, limits=ONCE) as client:
        with pytest.raises(HostUnreachableError):
            await client.send(b"a")


async def test_a_full_backlog_is_silence() -> None:
    """P4: on TCP the kernel drops what it cannot queue."""
    limits = ClientLimits(connect_timeout=0.5)
    with socket.socket() as listener, held_sockets() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            sock = socket.socket()
            held.append(sock)
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        with pytest.raises(ConnectTimeoutError):
            async with open_tcp_connection(LineCodec(), *listener.getsockname(), limits=limits):
                pass


@contextmanager
def held_sockets() -> Iterator[list[socket.socket]]:
    """Close at the end what was put into the list."""
    held: list[socket.socket] = []
    try:
        yield held
    finally:
        for sock in held:
            sock.close()


async def test_unix_echo(tmp_path: Path) -> None:
    """S26: the addresses are paths."""
    path = tmp_path / "socket"
    async with unix_server(path), open_unix_connection(LineCodec(), path) as connection:
        await connection.send(b"a")
        assert await connection.receive() == b"a"
        assert connection.peer_address == str(path)


async def test_unix_without_a_server(tmp_path: Path) -> None:
    """P4: no file, a file that is no socket, and a socket that nobody listens on."""
    path = tmp_path / "socket"
    for number in (errno.ENOENT, errno.ECONNREFUSED, errno.ECONNREFUSED):
        with pytest.raises(ConnectError, match="socket: ") as caught:
            async with open_unix_connection(LineCodec(), path):
                pass
        assert caught.value.errno == number
        if number == errno.ENOENT:
            path.write_bytes(b"a file")
        else:
            path.unlink()
            with socket.socket(socket.AF_UNIX) as sock:
                sock.bind(str(path))


async def test_unix_path_too_long(tmp_path: Path) -> None:
    """P4: an error of the path, told as one."""
    with pytest.raises(ConnectError, match="too long"):
        async with open_unix_connection(LineCodec(), tmp_path / ("a" * 200)):
            pass


async def test_unix_backlog_full(tmp_path: Path) -> None:
    """P4: a server that is slow to accept is waited for, to the deadline and not a moment less."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, held_sockets() as held:
        listener.bind(path)
        listener.listen(0)
        held.append(socket.socket(socket.AF_UNIX))
        held[0].connect(path)
        with pytest.raises(ConnectTimeoutError):
            async with open_unix_connection(
                LineCodec(), path, limits=ClientLimits(connect_timeout=0.2)
            ):
                pass
        async with trio.open_nursery() as nursery:

            async def connect() -> None:
                async with open_unix_connection(LineCodec(), path) as connection:
                    await connection.send(b"a")
                    await connection.flush()
                    connection.drop()

            nursery.start_soon(connect)
            await trio.testing.wait_all_tasks_blocked()
            listener.setblocking(False)
            held.append(listener.accept()[0])
            await trio.lowlevel.wait_readable(listener)
            held.append(listener.accept()[0])
            await trio.lowlevel.wait_readable(held[-1])
            assert held[-1].recv(10) == b"a\n"


async def test_unix_cancelled_while_the_backlog_is_full(tmp_path: Path) -> None:
    """B6: the socket that waits is closed."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, held_sockets() as held:
        listener.bind(path)
        listener.listen(0)
        held.append(socket.socket(socket.AF_UNIX))
        held[0].connect(path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(UnixEndpoint(path).connect)
            await trio.testing.wait_all_tasks_blocked()
            assert nursery.child_tasks
            nursery.cancel_scope.cancel()
        assert nursery.cancel_scope.cancelled_caught


async def test_cancelled_while_connecting() -> None:
    """B6: whenever it strikes, no descriptor is left (the fixture counts them)."""
    async with trio.open_nursery() as nursery:
        server: Server[bytes, bytes, None] = await nursery.start(serve_tcp, echo, LineCodec(), 0)
        for passes in range(12):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:

                    async def strike(passes: int = passes, scope: trio.CancelScope = scope) -> None:
                        for _ in range(passes):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

                    inner.start_soon(strike)
                    async with open_tcp_connection(LineCodec(), "127.0.0.1", server.port):
                        await trio.sleep_forever()
        nursery.cancel_scope.cancel()


async def test_a_name_that_does_not_exist() -> None:
    """P4: told as what it is."""

    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host: object, *rest: object) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def getnameinfo(self, *rest: object) -> tuple[str, str]:
            raise NotImplementedError

    trio.socket.set_custom_hostname_resolver(Resolver())
    with pytest.raises(ConnectError, match="nowhere:9: Name or service not known") as caught:
        async with open_tcp_connection(LineCodec(), "nowhere", 9):
            pass
    assert isinstance(caught.value.causes[0], socket.gaierror)
