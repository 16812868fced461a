"""What the tests of the key-value server talk with: plain sockets, and a real Redis."""

from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import trio

from .examples import RunningExample

Exchange: TypeAlias = Callable[[bytes], bytes]
"""Sends bytes over a new connection and returns all that comes back."""

TIMEOUT = 20.0


def wire(*words: bytes) -> bytes:
    """Return a command as clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def exchange(family: socket.AddressFamily, address: str | tuple[str, int], data: bytes) -> bytes:
    with socket.socket(family) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(address)
        connection.sendall(data)
        received = bytearray()
        while some := connection.recv(65536):
            received += some
    return bytes(received)


def exchange_with(example: RunningExample) -> Exchange:
    return functools.partial(exchange, socket.AF_INET, (example.host, example.port))


def exchange_over(path: str) -> Exchange:
    return functools.partial(exchange, socket.AF_UNIX, path)


async def read_to_end(stream: trio.SocketStream) -> bytes:
    received = bytearray()
    with trio.fail_after(TIMEOUT):
        async for data in stream:
            received += data
    return bytes(received)


async def read_exactly(stream: trio.SocketStream, size: int) -> bytes:
    received = bytearray()
    with trio.fail_after(TIMEOUT):
        while len(received) < size:
            data = await stream.receive_some(size - len(received))
            assert data, f"ended after {bytes(received)!r}"
            received += data
    return bytes(received)


@contextlib.asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[str]:
    """Run a real Redis on a Unix socket, whose path it gives."""
    path = str(folder / "redis.sock")
    server = RedisServer(folder, "--port", "0", "--unixsocket", path, "--appendonly", "no")
    async with server.running():
        yield path


class RedisServer:
    """A real Redis that can be killed, and started again with what it has written.

    Parameters:
        folder: where it writes.
        options: its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._command = ["redis-server", "--save", "", "--dir", str(folder), *options]
        self._process: trio.Process | None = None

    @property
    def process(self) -> trio.Process:
        assert self._process is not None
        return self._process

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            await self.start()
            yield
        finally:
            with trio.CancelScope(shield=True):
                await self.kill()

    async def start(self) -> None:
        """Start it, and wait until it has read what it has written and takes connections."""
        process = await trio.lowlevel.open_process(self._command, stdout=subprocess.PIPE)
        self._process = process
        assert process.stdout is not None
        said = b""
        with trio.fail_after(TIMEOUT):
            while b"eady to accept connections" not in said:
                data = await process.stdout.receive_some()
                assert data, said.decode()
                said += data

    async def kill(self) -> None:
        """Kill it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()


@contextlib.asynccontextmanager
async def redis_on_a_port(folder: Path, *options: str) -> AsyncIterator[tuple[RedisServer, int]]:
    """Run a real Redis on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    options = ("--bind", "127.0.0.1", "--port", str(port), *options)
    server = RedisServer(folder, *options)
    async with server.running():
        yield server, port
