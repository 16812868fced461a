"""What socket options do, and how they are refused (row P3)."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import sys
import threading
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from snowtrio import (
    Client,
    ClientLimits,
    ConnectError,
    ConnectionLostError,
    ConnectRefusedError,
    KeepAlive,
    LineCodec,
    RequestClient,
    ServerLimits,
    SocketOptionError,
    SocketOptions,
    Subscriber,
    TCPEndpoint,
    UnsupportedOptionError,
    open_tcp_connection,
    open_tcp_listeners,
)

from ..serving import LIMIT
from .optioned import accepting, has_ss, linux, look
from .tcp import serving_tcp, until


@linux
async def test_two_servers_on_one_port() -> None:
    """P3, W33: if both have said so."""
    options = SocketOptions(reuse_port=True)
    async with serving_tcp(options=options) as server:
        port = server.port
        async with serving_tcp(where=port, options=options) as second:
            served = set[int]()
            for _ in range(100):
                if len(served) == 2:
                    break
                async with open_tcp_connection(LineCodec(), "127.0.0.1", port) as connection:
                    await connection.send(b"a")
                    await connection.receive()
                    pools = [each.statistics().pool for each in (server, second)]
                    served |= {index for index, pool in enumerate(pools) if pool.connections}
            assert served == {0, 1}
        with pytest.raises(OSError, match="cannot listen") as caught:
            await open_tcp_listeners(port)
        assert caught.value.errno == errno.EADDRINUSE


async def test_ipv6_and_ipv4_on_one_socket() -> None:
    """P3: where they are not kept apart."""
    options = SocketOptions(ipv6_only=False)
    async with (
        serving_tcp(host="::", options=options) as server,
        open_tcp_connection(LineCodec(), "127.0.0.1", server.port) as connection,
    ):
        await connection.send(b"a")
        assert await connection.receive() == b"a"
    async with serving_tcp(host="::") as server:
        with pytest.raises(ConnectRefusedError):
            async with open_tcp_connection(LineCodec(), "127.0.0.1", server.port):
                pass


async def test_no_time_to_linger_resets() -> None:
    """P3: the peer is told at once that what it waits for will not come."""
    # With time for it, a close begins by saying the end.
    limits = ServerLimits(linger_timeout=0)
    async with serving_tcp(options=SocketOptions(linger=0), limits=limits) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await until(lambda: server.connections)
        for connection in server.connections:
            connection.drop()
        with trio.fail_after(LIMIT), pytest.raises(trio.BrokenResourceError) as caught:
            await stream.receive_some()
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        await stream.aclose()


@linux
async def test_lingering_holds_nobody_up() -> None:
    """P3: the kernel waits in close, and the other tasks of the run do not."""
    options = SocketOptions(linger=600, send_buffer_size=1 << 20, unsent_low_water=1 << 20)
    limits = ClientLimits(linger_timeout=0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with open_tcp_connection(
            LineCodec(), *listener.getsockname(), options=options, limits=limits
        ) as connection:
            peer, _ = listener.accept()
            for _ in range(5):
                await connection.send(b"a" * 59_999)
            await connection.flush()
            with trio.fail_after(LIMIT):
                await connection.aclose()
        await until(lambda: count_lingering() == 1)
        assert await trio.to_thread.run_sync(read_all, peer) == 300_000
        await until(lambda: not count_lingering())


@linux
async def test_many_that_linger() -> None:
    """P3: so many have a thread; the next closes as if it did not linger."""
    options = SocketOptions(linger=600, unsent_low_water=1 << 20)
    limits = ClientLimits(linger_timeout=0)
    with socket.socket() as listener, contextlib.ExitStack() as peers:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        for _ in range(66):
            async with open_tcp_connection(
                LineCodec(), *listener.getsockname(), options=options, limits=limits
            ) as connection:
                peers.enter_context(listener.accept()[0])
                await connection.send(b"a" * 60_000)
                await connection.flush()
        await until(lambda: count_lingering() == 64)
    await until(lambda: not count_lingering())


# In a process of its own, which has no thread that is there already.
WITHOUT_THREADS = """
import socket, threading, trio
from snowtrio import ClientLimits, LineCodec, SocketOptions, open_tcp_connection

options = SocketOptions(linger=600, unsent_low_water=1 << 20)
limits = ClientLimits(linger_timeout=0)

async def close_one(listener):
    async with open_tcp_connection(
        LineCodec(), *listener.getsockname(), options=options, limits=limits
    ) as connection:
        peer, _ = listener.accept()
        await connection.send(b"a" * 60_000)
        await connection.flush()
        await connection.aclose()
        assert connection.socket.fileno() == -1
        return peer

async def main():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        usual = threading.stack_size(1 << 46)
        for _ in range(65):
            with await close_one(listener) as peer:
                assert len(peer.makefile("rb").read()) == 60_001
        threading.stack_size(usual)
        with await close_one(listener), trio.fail_after(5):
            while "snowtrio linger" not in [each.name for each in threading.enumerate()]:
                await trio.sleep(0.002)

trio.run(main)
"""


@linux
def test_no_thread_to_linger_in() -> None:
    """P3: where the system gives none it is closed all the same, and its place is free again."""
    completed = subprocess.run(
        [sys.executable, "-c", WITHOUT_THREADS],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr


def count_lingering() -> int:
    return sum(each.name == "snowtrio linger" for each in threading.enumerate())


def read_all(sock: socket.socket) -> int:
    with sock:
        return sum(map(len, iter(partial(sock.recv, 65536), b"")))


@linux
async def test_user_timeout() -> None:
    """P3: a peer that takes nothing is given up by the kernel."""
    options = SocketOptions(user_timeout=0.2, send_buffer_size=8192)
    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(LIMIT):
        async with open_tcp_connection(
            LineCodec(), *listener.getsockname(), options=options
        ) as connection:
            with listener.accept()[0], pytest.raises(ConnectionLostError, match="timed out"):
                await connection.send_batch([b"a" * 60_000] * 1000)


@linux
async def test_defer_accept() -> None:
    """P3: who says nothing is not accepted, and does not hold up who does."""
    async with serving_tcp(options=SocketOptions(defer_accept=60)) as server:
        silent = await trio.open_tcp_stream("127.0.0.1", server.port)
        async with open_tcp_connection(LineCodec(), "127.0.0.1", server.port) as connection:
            await connection.send(b"a")
            assert await connection.receive() == b"a"
            assert server.statistics().pool.opened == 1
            await silent.send_all(b"b\n")
            assert await silent.receive_some() == b"b\n"
            assert server.statistics().pool.opened == 2
        await silent.aclose()


# What another program sees


@linux
@has_ss
async def test_keep_alive_timers() -> None:
    """P3: they run at both ends, with the times that were said."""
    options = SocketOptions(keep_alive=KeepAlive(idle=3000))
    async with accepting(options, options=options) as (ours, _):
        assert isinstance(ours.peer_address, tuple)
        for where in ("sport", "dport"):
            assert "timer:(keepalive,49min" in look(where, ours.peer_address[1])


@linux
@has_ss
@pytest.mark.parametrize("kind", [Client, RequestClient, Subscriber])
async def test_clients(kind: Any) -> None:
    """P3: whatever opens connections to a host takes options, or endpoints that have them."""
    options = SocketOptions(congestion_control="reno")
    async with serving_tcp() as server:
        for where in (
            partial(kind, LineCodec(), "127.0.0.1", server.port, options=options),
            partial(kind, LineCodec(), TCPEndpoint("127.0.0.1", server.port, options=options)),
        ):
            async with where() as client:
                if hasattr(client, "bootstrap"):
                    await client.bootstrap()
                await until(lambda: server.statistics().pool.connections)
                assert " reno " in look("dport", server.port)
                assert " reno " not in look("sport", server.port)
            await until(lambda: not server.statistics().pool.connections)
        with pytest.raises(TypeError, match="its own port, ssl_context and options"):
            kind(LineCodec(), TCPEndpoint("127.0.0.1", 1), options=options)


# Refusals


async def test_refused_before_anything_is_opened() -> None:
    """P3: where it is said, and of what is meant for others."""
    for_listeners = SocketOptions(defer_accept=1)
    with pytest.raises(UnsupportedOptionError, match="defer_accept: it is for a TCP listener"):
        TCPEndpoint("127.0.0.1", 1, options=for_listeners)
    with pytest.raises(UnsupportedOptionError, match="and this is a TCP connection"):
        Client(LineCodec(), "127.0.0.1", 1, options=for_listeners)
    with pytest.raises(UnsupportedOptionError, match="broadcast: it is for a UDP socket"):
        await open_tcp_listeners(
            0, host="no.such.host.invalid", options=SocketOptions(broadcast=True)
        )


async def test_refused_by_the_kernel_for_a_listener() -> None:
    """P3: nothing is left open, and the error names the option."""
    with pytest.raises(SocketOptionError) as caught:
        await open_tcp_listeners(0, options=SocketOptions(congestion_control="nonsense"))
    assert caught.value.option == "congestion_control"
    assert "'nonsense' is refused" in str(caught.value)
    if sys.platform == "linux":
        with pytest.raises(SocketOptionError, match="'nonsense0' is refused: No such device"):
            await open_tcp_listeners(0, options=SocketOptions(bind_to_device="nonsense0"))


@linux
async def test_refused_by_the_kernel_for_a_client() -> None:
    """P3: it is not tried again, for no network can mend that."""
    options = SocketOptions(congestion_control="nonsense")
    tried = 0

    @attrs.frozen
    class Counted(TCPEndpoint):
        async def connect(self) -> Any:
            nonlocal tried
            tried += 1
            return await super().connect()

    async with serving_tcp() as server:
        endpoint = Counted("localhost", server.port, options=options)
        async with Client(LineCodec(), endpoint) as client:
            with pytest.raises(ConnectError, match="congestion_control: 'nonsense' is refused"):
                await client.send(b"a")
        assert tried == 1
        assert server.statistics().pool.opened == 0


async def test_what_the_kernel_does_not_know() -> None:
    """P3: refused, or passed over by choice."""
    options = SocketOptions(extra=((socket.IPPROTO_TCP, 9999, 1),))
    with pytest.raises(UnsupportedOptionError, match="extra: the system does not have it"):
        await open_tcp_listeners(0, options=options)
    quiet = attrs.evolve(options, unsupported="ignore")
    for listener in await open_tcp_listeners(0, options=quiet):
        await listener.aclose()


MARKED = """
import encodings.idna, os, trio
from snowtrio import SocketOptionError, SocketOptions, open_tcp_listeners

async def main():
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        await open_tcp_listeners(0, options=SocketOptions(mark=7))
    except SocketOptionError as error:
        print(error.errno, error)

trio.run(main)
"""


@linux
async def test_what_needs_a_privilege() -> None:
    """P3: who lacks it is told which."""
    done = await trio.run_process([sys.executable, "-c", MARKED], capture_stdout=True)
    said = done.stdout.decode()
    assert said.startswith(f"{errno.EPERM} socket option mark: 7 is refused: ")
    assert "(it needs CAP_NET_ADMIN)" in said
