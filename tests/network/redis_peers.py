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
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
    command += ["--appendonly", "no", "--dir", str(folder)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with process.stdout:
        try:
            said = b""
            with trio.fail_after(TIMEOUT):
                while b"eady to accept connections" not in said:
                    data = await process.stdout.receive_some()
                    assert data, said.decode()
                    said += data
            yield path
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
