"""TLS with OpenSSL's own programs: new keys and new negotiations, in the middle of messages."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio import ClientLimits, Connection, LineCodec, StreamEndpoint, open_connection

from ..serving import LIMIT
from .examples import needs_program
from .pairs import tcp_streams
from .records import crowd
from .tcp import serving_tcp, until

QUICK = ClientLimits(linger_timeout=0.1)


@pytest.fixture(params=[False, True], ids=["alone", "watched"])
def watched(request: pytest.FixtureRequest) -> bool:
    """Whether there are enough sockets for a notifier."""
    wanted: bool = request.param
    return wanted


@asynccontextmanager
async def openssl(*options: str) -> AsyncGenerator[trio.Process]:
    """Run a client or server that takes commands: lines of one letter."""
    process = await trio.lowlevel.open_process(
        ["openssl", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(LIMIT):
            async with process.stdin, process.stdout, process.stderr:
                yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def read_to(stream: trio.abc.ReceiveStream | None, mark: bytes) -> None:
    assert stream is not None
    output = b""
    while mark not in output:
        data = await stream.receive_some()
        assert data, output[-500:]
        output += data


async def chatter(connection: Connection[bytes]) -> None:
    """Answer lines, and send others all the time."""
    async with trio.open_nursery() as nursery:

        async def talk() -> None:
            while True:
                await connection.send(b"x" * 50)
                await connection.flush()

        nursery.start_soon(talk)
        async for line in connection:
            await connection.send(b"<" + line + b">")
        nursery.cancel_scope.cancel()


@needs_program("openssl")
async def test_new_keys_while_both_sides_send(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, tmp_path: Path, watched: bool
) -> None:
    """S26: the peer asks for new keys; ours go out between the messages, and all can be read."""
    roots = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(roots))
    async with (
        crowd(watched),
        serving_tcp(chatter, ssl_context=server_ssl_context) as server,
    ):
        trust = ("-verify_return_error", "-CAfile", str(roots))
        where = ("-connect", f"127.0.0.1:{server.port}")
        async with openssl("s_client", *where, *trust) as process:
            assert process.stdin is not None
            for number in range(5):
                await process.stdin.send_all(b"K\n")
                await read_to(process.stderr, b"KEYUPDATE")
                await process.stdin.send_all(b"after %d\n" % number)
                await read_to(process.stdout, b"<after %d>" % number)


class Relay:
    """Passes bytes on between two streams, and can hold back what the first of them says."""

    def __init__(self, first: trio.abc.Stream, second: trio.abc.Stream) -> None:
        self.passing = trio.Event()
        self.passing.set()
        self._ends = first, second

    async def run(self) -> None:
        first, second = self._ends
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pass, second, first)
            await self._pass(first, second)
            nursery.cancel_scope.cancel()

    async def _pass(self, source: trio.abc.Stream, target: trio.abc.Stream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            async for data in source:
                await target.send_all(data)
                if source is self._ends[0]:
                    await self.passing.wait()


@needs_program("openssl")
async def test_a_server_that_negotiates_anew(
    server_cert: trustme.LeafCert,
    client_ssl_context: ssl.SSLContext,
    tmp_path: Path,
    watched: bool,
) -> None:
    """S26: as TLS 1.2 can: what we send meanwhile waits until that is agreed on."""
    client_ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
    pem = tmp_path / "server.pem"
    server_cert.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = ("-accept", f"127.0.0.1:{port}", "-naccept", "1")
    ours, theirs = tcp_streams()

    async def connect() -> trio.abc.Stream:
        return ours

    endpoint = StreamEndpoint(connect, ssl_context=client_ssl_context, tls_hostname="localhost")
    async with (
        crowd(watched),
        openssl("s_server", "-cert", str(pem), *listen) as process,
        theirs,
    ):
        assert process.stdin is not None
        await read_to(process.stdout, b"ACCEPT")
        async with (
            await trio.open_tcp_stream("127.0.0.1", port) as server,
            trio.open_nursery() as nursery,
        ):
            relay = Relay(server, theirs)
            nursery.start_soon(relay.run)
            async with open_connection(LineCodec(), endpoint, limits=QUICK) as connection:
                for number in range(3):
                    await connection.send(b"<before>")
                    await read_to(process.stdout, b"<before>")
                    relay.passing = trio.Event()
                    await process.stdin.send_all(b"r\n")
                    await until(lambda: not send_now(connection, b"x"))
                    await connection.send(b"<behind>")
                    relay.passing.set()
                    await connection.flush()
                    await read_to(process.stdout, b"<behind>")
                    await process.stdin.send_all(b"line %d\n" % number)
                    assert await connection.receive() == b"line %d" % number
            nursery.cancel_scope.cancel()


def send_now(connection: Connection[bytes], message: bytes) -> bool:
    """Send a message; return whether the kernel had it at once."""
    connection.send_nowait(message)
    return connection.pending == 0
